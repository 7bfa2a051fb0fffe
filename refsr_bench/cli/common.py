"""Shares what several commands need around a run: its protocol, metrics, progress, report and exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import output, sources
from refsr_bench.core.terminal import one_line

if TYPE_CHECKING:
    from refsr_bench.core.schema import Result
    from refsr_bench.evaluation.loop import Track
    from refsr_bench.evaluation.metrics import Metric
    from refsr_bench.protocols.base import Protocol
    from refsr_bench.views.proposals import Views


def command_line() -> str:
    """Return the command that was typed, with what a configuration and the environment added to it."""
    return sources.command_line(click.get_current_context(), sys.argv[1:])


def protocol_of(name: str, settings: Sequence[str] = (), refs: str | None = None) -> Protocol:
    from refsr_bench.core import catalogue
    from refsr_bench.protocols.base import parse_label, parse_settings

    values = parse_settings(settings)
    if refs is not None:
        values["refs"] = refs
    protocol = parse_label(name, lambda label: catalogue.get("PROTOCOLS", label))
    return protocol.changed(values) if values else protocol


def views_of(text: str) -> Views | None:
    from refsr_bench.views.proposals import parse

    return parse(text)


def metrics_of(protocol: Protocol, device: str, asked: Any) -> tuple[Metric, ...]:
    """Load the protocol's metrics and those of --metric. asked: the options of the command."""
    from refsr_bench.evaluation.metrics import load_metrics

    return load_metrics(dict.fromkeys((*protocol.metrics, *asked.more_metrics)), device, metric_files(asked))


def metric_files(asked: Any) -> dict[str, Path]:
    """Return the files of --metric-weights by the names of their metrics."""
    from refsr_bench.evaluation.metrics import files_by_name

    return files_by_name(asked.metric_weights)


def pair_progress(what: str) -> Track:
    """Return a progress bar over the pairs of a run."""
    from refsr_bench.core.terminal import tracked

    return functools.partial(tracked, what=what)


def report_runs(done: Sequence[tuple[Result, Path]], out: Path, as_json: bool) -> None:
    """Build the pages of everything in the results folder, with small pictures, and print the means of these runs.

    done: each result and its folder.
    """
    from leaderboard.pages.site import build
    from leaderboard.reading.failures import reasons
    from leaderboard.tables.terminal import means_table

    text = []
    for label in dict.fromkeys(result.run.protocol.label for result, _ in done):
        group = [result for result, _ in done if result.run.protocol.label == label]
        text.append(f"\nProtocol {label} ({group[0].run.protocol.digest[:8]})\n{means_table(group)}")
    for result, _ in done:
        for reason, number in reasons(result.failed):
            where = f"{result.run.method.name}, {result.run.dataset.name}"
            output.warn(one_line(f"failed: {where}, {number} of {len(result.run.pair_ids)} pairs: {reason}"))
    built = build(out, out / "site", images="links", drawn=False)
    for problem in built.problems:
        output.warn(one_line(f"left out of the page: {problem.path}: {problem.reason}"))
    document = {"results": [_document(result, folder) for result, folder in done], "page": built.pages[0]}
    output.answer(as_json, document, "\n".join([*text, f"\nPage: {built.pages[0]}"]))


def _document(result: Result, folder: Path) -> dict[str, Any]:
    run = result.run
    return {
        "file": folder / "result.json",
        "method": run.method.name,
        "title": run.method.title,
        "weights": run.method.weights.name,
        "dataset": run.dataset.name,
        "protocol": run.protocol.label,
        "protocol_digest": run.protocol.digest,
        "pairs": run.dataset.n_pairs,
        "measured": len(result.measured),
        "means": result.means,
        "failed": {record.id: record.error for record in result.failed},
    }


def exit_on_failures(done: Sequence[tuple[Result, Path]]) -> None:
    failed = sum(len(result.failed) for result, _ in done)
    if failed:
        output.warn(f"{failed} images failed, for the reasons above. The same command tries them again.")
        sys.exit(1)
