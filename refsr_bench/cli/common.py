"""Shares what several commands need around a run: its protocol, metrics, progress, report and exit code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli import sources
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
    """Return the files of --metric-weights and --lpips-weights by the names of their metrics."""
    from refsr_bench.evaluation.metrics import files_by_name

    old = {"lpips": asked.lpips_weights} if asked.lpips_weights else {}
    return old | files_by_name(asked.metric_weights)


def pair_progress(what: str) -> Track:
    """Return a progress bar over the pairs of a run."""
    from refsr_bench.core.terminal import tracked

    return functools.partial(tracked, what=what)


def report_runs(done: Sequence[Result], out: Path) -> None:
    """Print the means of these runs, then build the pages of everything in the results folder, with small pictures."""
    from leaderboard.pages.site import build
    from leaderboard.reading.failures import reasons
    from refsr_bench.cli.tables import means_table

    for label in dict.fromkeys(result.run.protocol.label for result in done):
        group = [result for result in done if result.run.protocol.label == label]
        click.echo(f"\nProtocol {label} ({group[0].run.protocol.digest[:8]})\n{means_table(group)}")
    for result in done:
        for reason, number in reasons(result.failed):
            where = f"{result.run.method.name}, {result.run.dataset.name}"
            click.echo(one_line(f"failed: {where}, {number} of {len(result.run.pair_ids)} pairs: {reason}"), err=True)
    built = build(out, out / "site", images="thumbs", drawn=False)
    for problem in built.problems:
        click.echo(one_line(f"left out of the page: {problem.path}: {problem.reason}"), err=True)
    click.echo(f"\nPage: {built.pages[0]}")


def exit_on_failures(done: Sequence[tuple[Result, Path]]) -> None:
    failed = sum(len(result.failed) for result, _ in done)
    if failed:
        click.echo(f"{failed} images failed, for the reasons above. The same command tries them again.", err=True)
        sys.exit(1)
