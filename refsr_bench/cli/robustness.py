"""Robustness to changes of the reference (the paper's Fig. 6)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli.common import (
    command_line,
    data_root_option,
    exit_on_failures,
    load_methods,
    names,
    out_option,
    pair_progress,
    weights_of,
)
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from leaderboard.statistics.estimates import Estimate
    from leaderboard.statistics.robustness import Row
    from refsr_bench.core.schema import MetricInfo, Result

METHODS = ("c2matching",)
MATCHERS = ("student", "vgg", "pixels", "sift", "dis")


@click.command()
@click.option(
    "--transform",
    required=True,
    help="rotation, scale, rotation+scale, perspective, blur, noise, jpeg, illumination, occlusion; or 'given': the "
    "data set's own references, where their true correspondence is known.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    shell_complete=names("METHODS"),
    help=f"May be given again. Default: {', '.join(METHODS)}.",
)
@click.option(
    "--matcher",
    "matchers",
    multiple=True,
    shell_complete=names("MATCHERS"),
    help=f"May be given again; 'none' for no matcher. Default: {', '.join(MATCHERS)}.",
)
@click.option("--matchers-only", is_flag=True, help="Compare correspondences alone, without restoration.")
@click.option("--dataset", "dataset_name", default="sample", show_default=True, shell_complete=names("DATASETS"))
@click.option(
    "--levels",
    help="Groups (identity,small,medium,large: the default) or numbers (0,10,20: degrees, factors ...). An unrelated "
    "reference is always measured with methods.",
)
@click.option("--weights", multiple=True, metavar="[NAME=]PATH", help="Weights of a method or a matcher.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N pairs.")
@click.option("--subset", type=click.Choice(["texture"]), help="Only the more textured half, as in the ablation.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--fresh", is_flag=True, help="Start over instead of resuming; the old runs are set aside.")
@data_root_option
@out_option
def robustness(
    transform: str,
    methods: tuple[str, ...],
    matchers: tuple[str, ...],
    matchers_only: bool,
    dataset_name: str,
    levels: str | None,
    weights: tuple[str, ...],
    limit: int | None,
    subset: str | None,
    device: str,
    fresh: bool,
    data_root: Path | None,
    out: Path,
) -> None:
    """Measure matching and restoration while the reference turns, shrinks or spoils (the paper's Fig. 6).

    References are made from the ground truth, so nothing here is ever ranked. Stopped at any point, the same command
    goes on.
    """
    from leaderboard.figures.robustness import write
    from leaderboard.statistics import robustness as rows_of
    from refsr_bench.core import catalogue
    from refsr_bench.core.files import write_text
    from refsr_bench.core.schema import MetricInfo
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluate import runner
    from refsr_bench.geometry.correspondences import MEASURES
    from refsr_bench.robustness import levels as study

    if matchers_only and methods:
        raise Misuse("--matchers-only leaves methods out; give no --method with it.")
    methods = () if matchers_only else methods or METHODS
    matchers = () if matchers == ("none",) else matchers or MATCHERS
    if not methods and not matchers:
        raise Misuse("There is nothing to measure: give --method or --matcher.")
    chosen = tuple(catalogue.collect("METHODS")) if "all" in methods else methods
    cards = [catalogue.get("MATCHERS", name) for name in matchers]
    files = weights_of([w for w in weights if w != "synthetic"], list(dict.fromkeys([*chosen, *matchers])))
    device = runner.resolve_device(device)
    dataset = open_dataset(dataset_name, data_root)
    level_names = study.parse_levels(levels, transform, dataset)
    if not methods:
        level_names = tuple(name for name in level_names if name != study.UNRELATED)
    opened = study.open_levels(
        dataset, transform, level_names, limit, lambda text: click.echo(text, err=True),
        study.texture_ids(dataset) if subset else None,
    )  # fmt: skip
    protocol = study.protocol_for(catalogue.get("PROTOCOLS", "c2"))
    quality = [catalogue.get("METRICS", name) for name in (protocol.psnr, protocol.ssim)] if methods else []
    metrics = runner.load_metrics(quality, device, None, lambda text: click.echo(text, err=True))
    folder = out / "robustness" / runner.slug(dataset.name)
    matches = [card.load(files.get(card.name), device) for card in cards]  # what is missing is said before hours pass
    done: list[dict[str, tuple[Result, Path]]] = []

    def measure(predictor: runner.Predictor, match: Callable | None, metrics: dict) -> None:
        def track(level: str) -> Callable:
            return pair_progress(f"{predictor.info.name}, {transform} {level}")

        done.append(
            study.measure(predictor, match, opened, protocol, metrics, folder / "runs", fresh=fresh,
                          command=command_line(), track=track)
        )  # fmt: skip

    own = [f"{name}={path}" for name, path in files.items() if name in chosen]
    own += [w for w in weights if w == "synthetic"]
    for card, loaded in load_methods(methods, own, device, None, None, 0.0) if methods else ():
        match = loaded.match and study.method_matches(loaded.match)
        measure(runner.method_predictor(card, loaded, device), match, metrics)
    for card, match in zip(cards, matches, strict=True):
        measure(*study.matcher_predictor(card, match, device), {})

    rows = [row for found in done for row in rows_of.rows({level: result for level, (result, _) in found.items()})]
    shown = [MetricInfo(c.name, c.title, c.direction, c.unit, c.digits) for c, _ in metrics.values()]
    images = max(len(level.pairs) for level in opened)
    what = "references as given" if transform == study.GIVEN else f"{transform} of the reference"
    title = f"{dataset.name}{', texture subset' if subset else ''}, {what}, {images} image{'s' * (images > 1)}"
    click.echo(f"\n{title}; protocol {protocol.label}\n\n{tables(rows, shown)}")
    click.echo(f"\n{remarks(rows, transform)}")
    for results in done:
        for level, (result, _) in results.items():
            for record in result.failed:
                click.echo(f"failed: {result.run.method.name}, {level}, {record.id}: {record.error}", err=True)
    target = folder / (runner.slug(transform) + (f"-{subset}" if subset else ""))
    try:
        target.mkdir(parents=True, exist_ok=True)
        columns = rows_of.columns_of(MEASURES, shown)
        write_text(target / "table.csv", rows_of.csv_text(rows, columns, transform, dataset.name))
        drawn = write(rows, protocol.psnr, transform, title, target)
    except OSError as error:
        raise BenchError(f"{target}: cannot be written ({error.strerror or error}). Choose another --out.") from None
    click.echo("\n" + "\n".join(f"Written: {path}" for path in (target / "table.csv", *drawn)))
    exit_on_failures([pair for results in done for pair in results.values()])


MATCHING_REMARK = (
    "AEE, median and PCK: distance from the true place in HR pixels, over points that were matched and are visible;\n"
    "coverage: of the visible 4x4 cells. Means over images; brackets: 95 % bootstrap over images."
)
GAIN_REMARK = "gain: PSNR minus that of the same method with an unrelated reference, image by image."
LEAK_REMARK = (
    "The references are made from the ground truth: a leak by construction, never ranked. Where the groups end is\n"
    "this toolkit's choice, the paper does not say."
)


def tables(rows: Sequence[Row], metrics: Sequence[MetricInfo]) -> str:
    """Text: matching, then restoration; means, with the intervals of AEE, PSNR, gain and SSIM; n/a where a method has
    nothing to measure, as one without correspondences."""
    from leaderboard.statistics.robustness import UNRELATED, columns_of
    from refsr_bench.geometry.correspondences import MEASURES

    matching = [column for column in MEASURES if column.name != "points"]
    seen = [row for row in rows if row.level != UNRELATED]
    restored = [row for row in rows if row.values.keys() & {metric.name for metric in metrics}]
    text = f"Matching\n{_table(seen, matching)}"
    return f"{text}\n\nRestoration\n{_table(restored, columns_of((), metrics))}" if restored else text


def _table(rows: Sequence[Row], columns: Sequence[MetricInfo]) -> str:
    from refsr_bench.core.report import text_table

    head = ("method", "level", "images", *(f"{c.title} [95 %]" if _spread(c) else c.title for c in columns))
    lines = []
    for n, row in enumerate(rows):
        first = row.title if n == 0 or rows[n - 1].method != row.method else ""
        counted = f"{row.images}/{row.images + row.failed}" if row.failed else str(row.images)
        lines.append((first, row.level, counted, *(_cell(row.values.get(c.name), c) for c in columns)))
    return text_table(head, lines)


def _spread(column: MetricInfo) -> bool:
    return column.name in ("aee", "gain") or column.name.startswith(("psnr", "ssim"))


def _cell(value: Estimate | None, column: MetricInfo) -> str:
    if value is None:
        return "n/a"
    mean = f"{value.mean:+.{column.digits}f}" if column.name == "gain" else f"{value.mean:.{column.digits}f}"
    if not _spread(column) or math.isnan(value.low):
        return mean
    return f"{mean} [{value.low:.{column.digits}f}, {value.high:.{column.digits}f}]"


def remarks(rows: Sequence[Row], transform: str) -> str:
    """What a reader must know of the tables."""
    from leaderboard.statistics.robustness import GAIN, GIVEN

    said = [MATCHING_REMARK]
    if any(GAIN.name in row.values for row in rows):
        said.append(GAIN_REMARK)
    return "\n".join(said if transform == GIVEN else [*said, LEAK_REMARK])
