"""The commands for results that people send to each other: check them, and start a repository that collects them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.common import metric_files
from refsr_bench.cli.grammar import Group
from refsr_bench.cli.options import as_one, path_type
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.terminal import progress_bar

if TYPE_CHECKING:
    from leaderboard.submissions.submission import Finding
    from refsr_bench.core.schema import Result
    from refsr_bench.evaluation.metrics import Metric
    from refsr_bench.evaluation.remeasure import Disagreement

SAMPLE = 10


@dataclass
class Report:
    """The findings in one file. measured_again: how many images were. note: a sentence about them.

    result: None for a file that is no run file.
    """

    file: str
    note: str = "No image was measured again: the file itself is wrong."
    measured_again: int = 0
    findings: list[Finding] = field(default_factory=list)
    result: Result | None = None

    @property
    def ok(self) -> bool:
        return not any(finding.level == "error" for finding in self.findings)

    def add(self, found: Iterable[Disagreement], level: str = "error") -> bool:
        """Add the points on which the catalogue disagrees; return whether there were any."""
        from leaderboard.submissions.submission import Finding

        more = [Finding(level, each.where, each.text) for each in found]
        self.findings += more
        return bool(more)


@click.group(cls=Group)
def submit() -> None:
    """Share results: check a run file, send it to a repository that collects them, or start such a repository."""


def _count(context: click.Context, option: click.Parameter, sample: str) -> int | None:
    """The number of images to measure again; None for all."""
    if sample == "all":
        return None
    if not sample.isascii() or not sample.isdigit() or len(sample) > 6:
        raise Misuse(f"--sample takes a number or 'all', not '{sample}'.")
    return int(sample)


@submit.command("check")
@click.argument("files", nargs=-1, required=True, type=path_type())
@options.images("Of the run; default: images/ beside the file, when there.", type=path_type())
@click.option("--sample", default=str(SAMPLE), callback=_count, show_default=True,
              help="Images to measure again: a number, or 'all'.")  # fmt: skip
@click.option("--comment", type=path_type(), help="A file for the findings as Markdown, as a pull request shows them.")
@options.json_option
@options.data_root_option
@options.metric_weights_option
@options.lpips_option
@as_one
def check(asked: Any) -> None:
    """Check run files as a leaderboard would: schema, means, protocol, data set, plausibility.

    If SR images and the data set are available, some images are measured again. The exit code is 1 when a check fails;
    warnings need a person's judgement and do not fail. Nothing in a file is executed.
    """
    _refuse_misuse(asked)
    reports = []
    for path in asked.files:
        reports.append(_check(path, asked, asked.images))
        if not asked.as_json:
            _print(reports[-1])
    if asked.as_json:
        output.answer(True, {"files": [_listed(report) for report in reports]}, "")
    if asked.comment:
        files.write_text(asked.comment, _comment(reports))
    if not all(report.ok for report in reports):
        sys.exit(1)


@submit.command("prepare")
@click.argument("run", type=path_type())
@click.option("--repository", type=path_type(), required=True, help="Your clone of the results repository.")
@click.option("--branch", help="The name of the new branch; default: made of protocol, data set and method.")
@click.option("--with-images", is_flag=True, help="Commit the SR images of the run, too.")
@options.out("A new file for the text of the pull request; default: standard output.")
@click.option("--sample", default=str(SAMPLE), callback=_count, show_default=True,
              help="Images to measure again: a number, or 'all'.")  # fmt: skip
@options.json_option
@options.data_root_option
@options.metric_weights_option
@options.lpips_option
@as_one
def prepare(asked: Any) -> None:
    """Check a run and commit it to a new branch of your clone of a results repository.

    RUN is a result.json, or the folder that holds it. The text of a pull request is written; nothing is pushed. A run
    that fails the check is not committed.
    """
    from leaderboard.submissions import prepare as repositories

    path = asked.run / "result.json" if asked.run.is_dir() else asked.run
    if path.name != "result.json" or not path.is_file():
        raise Misuse(f"{path}: no run file. Give a result.json, or the folder that holds one.")
    if asked.out:
        options.refuse_existing(asked.out, False)
    report = _check(path, asked)
    if report.result is None or not report.ok:
        _print(report)
        raise BenchError(f"{path} fails the check, so that nothing was committed.")
    made = repositories.prepare(asked.repository, path.parent, report.result, asked.with_images, asked.branch)
    text = _comment([replace(report, file=f"{made.folder}/result.json")])
    if asked.out:
        files.write_text(asked.out, text)
    output.answer(asked.as_json, {"branch": made.name, "files": made.files, "text": text, "check": _listed(report)},
                  f"{asked.out}" if asked.out else text)  # fmt: skip
    output.notice(f"Committed {len(made.files)} files to the branch {made.name} of {asked.repository}.")
    output.notice("Push it, and open a pull request with this text.")


@submit.command("template")
@click.argument("folder", type=path_type())
@click.option("--package", default="", metavar="ADDRESS", help="What the workflows install: git+https://... or a path.")
@options.json_option
def template(folder: Path, package: str, as_json: bool) -> None:
    """Start a repository that collects results: README, folder of results, checks of pull requests, publishing."""
    from leaderboard.submissions.repository import write

    written = write(folder, package)
    output.answer(as_json, {"files": written}, "\n".join(map(str, written)))
    if not package:
        output.notice("The workflows need refsr-bench's address: set the repository's variable REFSR_BENCH_PACKAGE.")


def _refuse_misuse(asked: Any) -> None:
    """Raise Misuse for files and images that do not fit each other or the disk."""
    if asked.images and len(asked.files) > 1:
        raise Misuse("--images belongs to one run file; give them one at a time.")
    if asked.images and not asked.images.is_dir():
        raise Misuse(f"--images {asked.images}: no such folder.")
    for path in asked.files:
        if not path.exists() and not path.is_symlink():
            raise Misuse(f"There is no file {path}.")


def _listed(report: Report) -> dict[str, Any]:
    """Return a report as JSON values, without the run file itself."""
    return {**asdict(replace(report, result=None)), "ok": report.ok}


def _comment(reports: Iterable[Report]) -> str:
    from leaderboard.submissions.comment import Checked, comment

    return comment(Checked(report.file, report.result, report.findings, report.note) for report in reports)


def _print(report: Report) -> None:
    from leaderboard.submissions import submission

    _say(f"{report.file}: {'ok' if report.ok else 'failed'}")
    for finding in submission.grouped(report.findings):
        _say(f"  {finding.level}: {finding.where + ': ' if finding.where else ''}{finding.text}")
    _say(f"  {report.note}")


def _say(line: str) -> None:
    """Print one line whatever a file's text holds, because a line of its own could command the terminal or CI."""
    from leaderboard.text import clean

    indent = "  " if line.startswith("  ") else ""
    click.echo(indent + clean(" ".join(line.split())))


def _check(path: Path, asked: Any, images: Path | None = None) -> Report:
    """Check one file by itself, then against the installed protocols and data sets, then with its images."""
    from leaderboard.reading.published import published
    from leaderboard.submissions import submission
    from refsr_bench.core import catalogue
    from refsr_bench.evaluation import remeasure

    result, findings = submission.read(path)
    report = Report(str(path), findings=findings, result=result)
    if result is None or not report.ok:
        return report
    report.findings += submission.plausibility(result, published())
    protocol, wrong = remeasure.known_protocol(result, lambda name: catalogue.get("PROTOCOLS", name))
    report.add(wrong)
    report.note = "No image was measured again: "
    if result.run.kind != "benchmark":
        report.note += f"runs of kind {result.run.kind} are not ranked."
        return report
    dataset = _dataset(result, asked.data_root, report)
    folder = images or path.parent / "images"
    if dataset is None:
        return report
    if protocol is None or asked.sample == 0 or not folder.is_dir():
        why = "the protocol is unknown" if protocol is None else "--sample 0" if asked.sample == 0 else ""
        report.note += f"{why or f'no folder {folder}'}."
        return report
    known = catalogue.collect("METRICS")
    stated = {metric.name: metric for metric in result.run.metrics if metric.name in known and metric.level == "image"}
    metrics = _metrics(tuple(stated), tuple(metric_files(asked).items()))
    chosen = remeasure.draw_records(result, asked.sample)
    again = remeasure.Remeasurement(result, folder, dataset, protocol, metrics)
    with progress_bar("measuring again") as progress:
        for _, wrong in remeasure.remeasure(again, chosen):
            report.add(wrong)
            report.measured_again += 1
            progress(report.measured_again, len(chosen))
    names = [metric.card.name for metric in metrics]
    left = ", ".join(sorted(stated.keys() - names))
    report.note = (
        f"{report.measured_again} of {len(result.images)} images measured again with {', '.join(names)}"
        f"{f', not with {left}' if left else ''}."
    )
    return report


def _dataset(result: Result, data_root: Path | None, report: Report) -> Any:
    """Return the installed data set if it is that of the run, else None, which the report then says."""
    from refsr_bench.core import catalogue
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation import remeasure

    stated = result.run.dataset
    # A run that says its images are not the published ones may well use others than those installed.
    level = "error" if stated.official else "warning"
    card = catalogue.collect("DATASETS").get(stated.name)
    try:
        if card is None:
            raise BenchError(f"the data set '{stated.name}' is not known here.")
        dataset = open_dataset(stated.name, data_root)
    except BenchError as error:
        report.add(remeasure.card_disagreements(result, card), level)
        report.note = f"Data set not compared, no image measured again: {error}"
        return None
    if report.add(remeasure.dataset_disagreements(result, dataset), level):
        report.note += "the data set is another."
        return None
    return dataset


@cache
def _metrics(names: tuple[str, ...], files: tuple[tuple[str, Path], ...]) -> tuple[Metric, ...]:
    """Return the metrics that can be computed on this machine; the others are left out with one notice."""
    from refsr_bench.evaluation.metrics import load_metrics

    return tuple(metric for metric in load_metrics(names, "cpu", dict(files)) if metric.compute)
