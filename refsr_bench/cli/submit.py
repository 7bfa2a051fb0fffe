"""Results that people send to each other: checking them, and a repository that collects them."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli.common import Bar, data_root_option, lpips_option, path_type
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from leaderboard.submissions.submission import Finding
    from refsr_bench.core.schema import Result

SAMPLE = 10


@click.group()
def submit() -> None:
    """Results for a shared leaderboard: check a run file, or begin a repository that collects them."""


@submit.command("check")
@click.argument("files", nargs=-1, required=True, type=path_type())
@click.option("--images", type=path_type(), help="SR images of the run. Default: images/ beside the file, when there.")
@click.option("--sample", default=str(SAMPLE), show_default=True, help="Images to measure again: a number, or 'all'.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
@data_root_option
@lpips_option
def check(
    files: tuple[Path, ...],
    images: Path | None,
    sample: str,
    as_json: bool,
    data_root: Path | None,
    lpips_weights: Path | None,
) -> None:
    """Check run files as a leaderboard would: schema, means, protocol, data set, plausibility.

    Where SR images and the data set are at hand, some images are measured again. Exit code 1 when a check fails;
    warnings want a person's eye and fail nothing. Nothing in a file is executed.
    """
    from leaderboard.submissions import submission

    @functools.cache
    def ready(metric: str) -> dict:
        from refsr_bench.core import catalogue
        from refsr_bench.evaluate import runner

        card = catalogue.get("METRICS", metric)
        return runner.load_metrics([card], "cpu", lpips_weights, lambda text: click.echo(text, err=True))

    count = _count(sample)
    if images and len(files) > 1:
        raise Misuse("--images belongs to one run file; give them one at a time.")
    if images and not images.is_dir():
        raise Misuse(f"--images {images}: no such folder.")
    for path in files:
        if not path.exists() and not path.is_symlink():
            raise Misuse(f"There is no file {path}.")
    reports = []
    for path in files:
        findings, measured, note = _check(path, images, count, data_root, ready)
        failed = any(finding.level == "error" for finding in findings)
        reports.append({"file": str(path), "ok": not failed, "measured_again": measured, "note": note,
                        "findings": [vars(finding) for finding in findings]})  # fmt: skip
        if not as_json:
            _say(f"{path}: {'failed' if failed else 'ok'}")
            for finding in submission.grouped(findings):
                _say(f"  {finding.level}: {finding.where + ': ' if finding.where else ''}{finding.text}")
            _say(f"  {note}")
    if as_json:
        click.echo(json.dumps(reports, indent=1))
    if not all(report["ok"] for report in reports):
        sys.exit(1)


def _say(line: str) -> None:
    """One line, whatever a file's text holds: a line of its own could speak to the terminal, or to the CI service."""
    from leaderboard.tables.tables import clean

    indent = "  " if line.startswith("  ") else ""
    click.echo(indent + clean(" ".join(line.split())))


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Misuse(f"--sample takes a number or 'all', not '{text}'.")
    return int(text)


def _check(
    path: Path, images: Path | None, count: int | None, data_root: Path | None, ready: Callable[[str], dict]
) -> tuple[list[Finding], int, str]:
    """Findings, how many images were measured again, and a sentence on that. ready: loads a metric that can be had."""
    from leaderboard.reading.published import published
    from leaderboard.submissions import submission
    from refsr_bench.core import catalogue
    from refsr_bench.core.errors import BenchError
    from refsr_bench.core.schema import published as schema
    from refsr_bench.evaluate import remeasure

    try:
        value = submission.read_submission(path)
    except BenchError as error:
        return [submission.Finding("error", "", str(error).removeprefix(f"{path}: "))], 0, "Nothing else was checked."
    result, findings = submission.file_findings(value, str(path), schema())
    if result is None or any(finding.level == "error" for finding in findings):
        return findings, 0, "No image was measured again: the file itself is wrong."
    findings += submission.plausibility(result, published())
    protocol, wrong = remeasure.protocol_of(result, lambda name: catalogue.get("PROTOCOLS", name))
    findings += [submission.Finding("error", each.where, each.text) for each in wrong]
    if result.run.kind != "benchmark":
        return findings, 0, f"No image was measured again: runs of kind {result.run.kind} are not ranked."
    # Who says that his images are not the published ones may well have others than are here.
    level = "error" if result.run.dataset.official else "warning"
    try:
        dataset = _open(result, data_root)
    except BenchError as error:
        card = catalogue.collect("DATASETS").get(result.run.dataset.name)
        found = remeasure.card_disagreements(result, card)
        findings += [submission.Finding(level, each.where, each.text) for each in found]
        return findings, 0, f"Data set not compared, no image measured again: {error}"
    if found := list(remeasure.dataset_disagreements(result, dataset)):
        findings += [submission.Finding(level, each.where, each.text) for each in found]
        return findings, 0, "No image was measured again: the data set is another."
    folder = images or path.parent / "images"
    if protocol is None or count == 0 or not folder.is_dir():
        why = "the protocol is unknown" if protocol is None else "--sample 0" if count == 0 else f"no folder {folder}"
        return findings, 0, f"No image was measured again: {why}."
    stated = {metric.name for metric in result.run.metrics}.intersection(protocol.metrics)
    metrics = {name: each for metric in protocol.metrics if metric in stated for name, each in ready(metric).items()}
    left = stated.difference(metrics)
    chosen = remeasure.choose(result, count)
    measured = 0
    for _, wrong in _counted(remeasure.remeasure(result, chosen, folder, dataset, protocol, metrics), len(chosen)):
        findings += [submission.Finding("error", each.where, each.text) for each in wrong]
        measured += 1
    note = f"{measured} of {len(result.images)} images measured again with {', '.join(metrics)}"
    return findings, measured, f"{note}, not with {', '.join(sorted(left))}." if left else f"{note}."


def _counted(items: Iterator[Any], total: int) -> Iterator[Any]:
    with Bar("measuring again") as progress:
        for n, item in enumerate(items, 1):
            yield item
            progress(n, total)


def _open(result: Result, data_root: Path | None) -> Any:
    from refsr_bench.core import catalogue
    from refsr_bench.data.opening import open_dataset

    name = result.run.dataset.name
    if name not in catalogue.collect("DATASETS"):
        raise BenchError(f"the data set '{name}' is not known here.")
    return open_dataset(name, data_root)


@submit.command("template")
@click.argument("folder", type=path_type())
def template(folder: Path) -> None:
    """Begin a repository that collects results: README, folder of results, checks of pull requests, publishing."""
    from leaderboard.submissions.repository import write

    for path in write(folder):
        click.echo(path)
