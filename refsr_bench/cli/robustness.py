"""Robustness to changes of the reference (the paper's Fig. 6)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.common import command_line, exit_on_failures, pair_progress
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one, views_option
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from leaderboard.statistics.estimates import Estimate
    from leaderboard.statistics.robustness import Row
    from refsr_bench.core.schema import MetricInfo
    from refsr_bench.sweeps.measure import RobustnessPlan
    from refsr_bench.sweeps.session import Measured, RobustnessStudy

METHODS = ("c2matching",)
MATCHERS = ("student", "vgg", "pixels", "sift", "dis")


@click.command(cls=Command)
@options.transform(
    "'given': the data set's own references, where their true correspondence is known.",
    "transforms",
    required=True,
    multiple=True,
)
@options.method(f"Default: {', '.join(METHODS)}.", "methods", multiple=True)
@options.matcher(
    f"'none' for no matcher. Default: {', '.join(MATCHERS)}.",
    "matchers",
    multiple=True,
    shell_complete=complete.names("MATCHERS", "none"),
)
@click.option("--matchers-only", is_flag=True, help="Compare only correspondences, without restoration.")
@options.dataset("", "dataset_name", default="sample", show_default=True)
@options.levels("An unrelated reference is always measured with methods.", show_default="identity,small,medium,large")
@options.weights("Also of a matcher.", multiple=True, metavar="[METHOD=]PATH")
@options.matching("All that are given are measured.", multiple=True)
@views_option(
    "robustness",
    "'truth' gives the reference put back by its true transformation, the most that any view could give. All that are "
    "given are measured.",
    multiple=True,
)
@options.limit("The first pairs.")
@options.subset_option
@options.device_option
@options.reuse_option
@options.data_root_option
@options.results_out
@options.json_option
@as_one
def robustness(asked: Any) -> None:
    """Measure matching and restoration while the reference turns, shrinks or spoils (the paper's Fig. 6).

    References are made from the ground truth, so nothing measured here is ever ranked. If the command is stopped, run
    it again to continue.
    """
    from refsr_bench.sweeps.session import plan_of, run_study

    studies = [_study(asked, transform) for transform in dict.fromkeys(asked.transforms)]
    plans = [plan_of(study, asked.out) for study in studies]  # all of them first, so that misuse is told at once
    measured, documents = [], []
    for study, plan in zip(studies, plans, strict=True):
        done = list(run_study(study, plan, asked.reuse, pair_progress))
        documents.append(_report(study, plan, done, asked))
        measured += [pair for results in done for pair in results.values()]
    if asked.as_json:
        output.answer(True, {"transformations": documents}, "")
    exit_on_failures(measured)


def _report(study: RobustnessStudy, plan: RobustnessPlan, done: Sequence[Measured], asked: Any) -> dict[str, Any]:
    """Write the files of one transformation; print its tables, or return them as JSON values."""
    from leaderboard.reading.load import method_key
    from leaderboard.statistics.robustness import rows_by_series
    from refsr_bench.core.names import slug
    from refsr_bench.sweeps.session import folder

    results = [{level: result for level, (result, _) in found.items()} for found in done]
    by_series = {method_key(next(iter(levels.values())).run.method): levels for levels in results if levels}
    rows = [row for found in rows_by_series(by_series).values() for row in found]
    metrics = [metric.info for metric in plan.metrics]
    title = _title(study, max(len(level.pairs) for level in plan.levels))
    _report_failures(done)
    target = folder(study, asked.out) / (slug(study.transform) + ("-texture" if study.textured else ""))
    files = _write(rows, plan, study, title, target)
    if not asked.as_json:
        click.echo(f"\n{title}; protocol {plan.protocol.label}\n\n{tables(rows, metrics)}")
        click.echo(f"\n{remarks(rows, study.transform)}")
        click.echo("\n" + "\n".join(f"Written: {path}" for path in files))
    return {"transform": study.transform, "dataset": study.dataset.name, "protocol": plan.protocol.label,
            "rows": rows, "files": files}  # fmt: skip


def _study(asked: Any, transform: str) -> RobustnessStudy:
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation.machine import resolve_device
    from refsr_bench.sweeps.session import RobustnessStudy

    if asked.matchers_only and asked.methods:
        raise Misuse("--matchers-only leaves methods out; give no --method with it.")
    return RobustnessStudy(
        dataset=open_dataset(asked.dataset_name, asked.data_root),
        transform=transform,
        methods=() if asked.matchers_only else asked.methods or METHODS,
        matchers=() if asked.matchers == ("none",) else asked.matchers or MATCHERS,
        levels=asked.levels,
        weights=asked.weights,
        limit=asked.limit,
        textured=asked.subset == "texture",
        device=resolve_device(asked.device),
        views=asked.views,
        matching=asked.matching,
        command=command_line(),
    )


def _title(study: RobustnessStudy, images: int) -> str:
    from refsr_bench.geometry.kinds import GIVEN

    what = "references as given" if study.transform == GIVEN else f"{study.transform} of the reference"
    subset = ", texture subset" if study.textured else ""
    return f"{study.dataset.name}{subset}, {what}, {images} image{'s' * (images > 1)}"


def _report_failures(done: Sequence[Measured]) -> None:
    for results in done:
        for level, (result, _) in results.items():
            for record in result.failed:
                output.warn(f"failed: {result.run.method.name}, {level}, {record.id}: {record.error}")


def _write(rows: Sequence[Row], plan: RobustnessPlan, study: RobustnessStudy, title: str, target: Path) -> list[Path]:
    """Write the table as CSV and draw what the levels allow; return the files."""
    from leaderboard.figures.robustness import write
    from leaderboard.statistics.robustness import columns_of, to_csv
    from refsr_bench.core.files import make_folder, write_text
    from refsr_bench.geometry.correspondences import MEASURES

    columns = columns_of(MEASURES, [metric.info for metric in plan.metrics], rows)
    table = make_folder(target, below=target.parent) / "table.csv"
    write_text(table, to_csv(rows, columns, study.transform, study.dataset.name))
    drawn = write(rows, plan.protocol.psnr, study.transform, title, target)
    return [table, *drawn]


MATCHING_REMARK = (
    "AEE, median and PCK: distance from the true place in HR pixels, over points that were matched and are visible;\n"
    "coverage: of the visible 4x4 cells. Means over images; brackets: 95 % bootstrap over images."
)
SHARE_REMARK = (
    "share: of the gain that is possible, between the plain method with an unrelated reference (0) and the reference\n"
    "warped back by its true transformation (1); the ratio of mean gains."
)
GAIN_REMARK = "gain: PSNR minus that of the same method with an unrelated reference, image by image."
LEAK_REMARK = (
    "The references are made from the ground truth: a leak by construction, never ranked. Where the groups end is\n"
    "this toolkit's choice, the paper does not say."
)


def tables(rows: Sequence[Row], metrics: Sequence[MetricInfo]) -> str:
    """Return the tables of matching and restoration as text: means; AEE, PSNR, SSIM, gain and share with intervals.

    A cell is n/a when a method has nothing to measure, such as a method without correspondences.
    """
    from leaderboard.statistics.robustness import columns_of
    from refsr_bench.geometry.correspondences import MEASURES
    from refsr_bench.geometry.kinds import UNRELATED

    matching = [column for column in MEASURES if column.name != "points"]
    seen = [row for row in rows if row.level != UNRELATED]
    restored = [row for row in rows if row.values.keys() & {metric.name for metric in metrics}]
    text = f"Matching\n{_table(seen, matching)}"
    return f"{text}\n\nRestoration\n{_table(restored, columns_of((), metrics, rows))}" if restored else text


def _table(rows: Sequence[Row], columns: Sequence[MetricInfo]) -> str:
    from refsr_bench.core.terminal import text_table

    head = ("method", "level", "images", *(f"{c.title} [95 %]" if _spread(c) else c.title for c in columns))
    lines = []
    for n, row in enumerate(rows):
        first = row.title if n == 0 or rows[n - 1].method != row.method else ""
        counted = f"{row.images}/{row.images + row.failed}" if row.failed else str(row.images)
        lines.append((first, row.level, counted, *(_cell(row.values.get(c.name), c) for c in columns)))
    return text_table(head, lines)


def _spread(column: MetricInfo) -> bool:
    return column.name in ("aee", "gain", "share") or column.name.startswith(("psnr", "ssim"))


def _cell(value: Estimate | None, column: MetricInfo) -> str:
    if value is None:
        return "n/a"
    mean = f"{value.mean:+.{column.digits}f}" if column.name == "gain" else f"{value.mean:.{column.digits}f}"
    if not _spread(column) or math.isnan(value.low):
        return mean
    return f"{mean} [{value.low:.{column.digits}f}, {value.high:.{column.digits}f}]"


def remarks(rows: Sequence[Row], transform: str) -> str:
    """Return the remarks that a reader of the tables must know."""
    from leaderboard.statistics.robustness import GAIN
    from leaderboard.statistics.shares import SHARE
    from refsr_bench.geometry.kinds import GIVEN

    said = [MATCHING_REMARK]
    if any(GAIN.name in row.values for row in rows):
        said.append(GAIN_REMARK)
    if any(SHARE.name in row.values for row in rows):
        said.append(SHARE_REMARK)
    return "\n".join(said if transform == GIVEN else [*said, LEAK_REMARK])
