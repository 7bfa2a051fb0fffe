"""Tables made ready to show: measured and published ones in one form, for the page, its script and the exports.

A measured grid has the published number of the same method and data set beside a result, with the difference; a
published grid is one source's table as it stands there, ranked in itself alone. All text in a grid is clean.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from leaderboard.reading.published import EVIDENCE, Published, Source
from leaderboard.tables.protocols import differences
from leaderboard.tables.tables import (
    COLUMNS,
    GROUPS,
    MISSING,
    Cell,
    Column,
    Row,
    Score,
    Table,
    clean,
    number,
    slug,
)
from leaderboard.tables.tables import _ranked as ranked
from refsr_bench.core.schema import MethodInfo, MetricInfo

PSNR = MetricInfo("psnr", "PSNR", "higher", "dB", 2)
SSIM = MetricInfo("ssim", "SSIM", "higher", "", 3)
LPIPS = MetricInfo("lpips", "LPIPS", "lower", "", 3)
FID = MetricInfo("fid", "FID", "lower", "", 2)

TITLES = {
    "cufed5": "CUFED5",
    "sun80": "Sun80",
    "urban100": "Urban100",
    "manga109": "Manga109",
    "wrsr": "WR-SR",
    "drefsr": "DRefSR",
    "lmr": "LMR",
    "plantrsr": "PlantRSR",
}
# Which of several published numbers stands beside a result: the method's usual one first, then the closest to its
# authors.
_BEST_EVIDENCE = tuple(EVIDENCE)
_MINUS = "−"


@dataclass(frozen=True)
class Beside:
    """The published number beside a result. texts, gaps: by metric of the grid, as printed, "" where there is none;
    values: the same numbers. source: its place in ``Grid.sources``, from 1. caveat: with which weights and on how many
    images the result was measured, where it had weights and lacks images."""

    source: int
    texts: tuple[str, ...]
    gaps: tuple[str, ...]
    values: tuple[float | None, ...]
    caveat: str


@dataclass(frozen=True)
class GridCell:
    """One method on one data set. scores: by metric of the grid. href: where its evidence is, "" for published numbers.

    status: "complete", "partial", "failed", "synthetic weights" or "published"; remark: why it is not ranked ("1 of 3
    images"), "" when it is; about: what a pointer shows beside it.
    """

    href: str
    scores: tuple[Score, ...]
    status: str
    remark: str = ""
    about: str = ""
    beside: Beside | None = None


@dataclass(frozen=True)
class GridRow:
    """One method. line: the small print below its title; weights: "" where there are none or nothing is known of them;
    references: "none", "one", "many" or "unknown"; verified: the implementation was checked against its authors' (or
    the number read in the source itself). parameters: a count; gmacs: 10^9 multiply-accumulates; href: its page."""

    title: str
    group: str
    gan: bool | None
    year: int | None
    references: str
    verified: bool
    weights: str
    weights_sha256: str
    mark: str
    line: str
    parameters: float | None
    href: str
    cells: tuple[GridCell | None, ...]
    gmacs: float | None = None


@dataclass(frozen=True)
class GridSet:
    """One data set. note: the number of its footnote, None without; about: the footnote's text."""

    key: str
    title: str
    official: bool = True
    note: int | None = None
    about: str = ""

    @property
    def label(self) -> str:
        """The title and what tells it from its namesakes."""
        return f"{self.title} [{self.note}]" if self.note else self.title


@dataclass(frozen=True)
class Grid:
    """A table. key: safe as an anchor, unique in one page; kind: "measured" or "published"; title: its name in lists.

    about: in a sentence or two how its numbers were made; digest: the protocol's, "" for published ones; shown: indices
    of the metrics shown at first; sources: where its published numbers stand; remarks: footnotes of single numbers.
    """

    key: str
    kind: str
    title: str
    about: str
    digest: str
    sets: tuple[GridSet, ...]
    metrics: tuple[MetricInfo, ...]
    shown: tuple[int, ...]
    rows: tuple[GridRow, ...]
    sources: tuple[Source, ...] = ()
    remarks: tuple[str, ...] = ()
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    version: int | None = None
    download: str = ""
    changes: tuple[tuple[str, str, tuple[str, ...]], ...] = ()

    @property
    def groups(self) -> tuple[tuple[str, tuple[GridRow, ...]], ...]:
        """Rows by group, in order."""
        names = dict.fromkeys(row.group for row in self.rows)
        return tuple((name, tuple(row for row in self.rows if row.group == name)) for name in names)


def measured(
    tables: Sequence[Table],
    entries: Iterable[Published],
    method_path: Callable[[MethodInfo], str],
    download: Callable[[Table], str],
) -> tuple[Grid, ...]:
    """One grid per table. method_path: the page of a method, download: the CSV file of a table, from the page."""
    entries = tuple(entries)
    grids = []
    for table in tables:
        others = [other for other in tables if other is not table]
        changes = tuple(
            (other.slug, clean(other.protocol.label), tuple(map(clean, differences(table.protocol, other.protocol))))
            for other in others
        )
        grids.append(_measured(table, entries, method_path, download(table), changes))
    return tuple(grids)


def _measured(
    table: Table,
    entries: Sequence[Published],
    method_path: Callable[[MethodInfo], str],
    download: str,
    changes: tuple[tuple[str, str, tuple[str, ...]], ...],
) -> Grid:
    sources: list[Source] = []
    rows = []
    for group in table.groups:
        for row in group.rows:
            found = [_entry(cell, entries) if cell else None for cell in row.cells]
            for entry in found:
                if entry and entry.source not in sources:
                    sources.append(entry.source)
            cells = tuple(
                _cell(cell, table, entry, sources, row, method_path) if cell else None
                for cell, entry in zip(row.cells, found, strict=True)
            )
            rows.append(_row(row, group.name, cells, method_path, _published_size(row.method, entries)))
    protocol = table.protocol
    return Grid(
        key=table.slug,
        kind="measured",
        title=clean(protocol.label),
        about=clean(protocol.summary),
        digest=clean(protocol.digest),
        sets=tuple(_set(column, index) for index, column in enumerate(table.columns)),
        metrics=tuple(_clean_metric(metric) for metric in table.metrics),
        shown=_indices(table),
        rows=tuple(rows),
        sources=tuple(sources),
        fields=protocol.fields,
        version=protocol.version,
        download=download,
        changes=changes,
    )


def _indices(table: Table) -> tuple[int, ...]:
    names = [metric.name for metric in table.metrics]
    return tuple(dict.fromkeys(names.index(name) for name in (table.psnr.name, table.ssim.name) if name in names))


def _clean_metric(metric: MetricInfo) -> MetricInfo:
    return structs.replace(metric, name=clean(metric.name), title=clean(metric.title), unit=clean(metric.unit))


def _set(column: Column, index: int) -> GridSet:
    dataset = column.dataset
    about = ""
    if column.note:
        edition = "one of several editions of this set" if dataset.official else "not the official data set"
        pairs = f"{dataset.n_pairs} pair{'s' if dataset.n_pairs != 1 else ''}"
        notes = "".join(f" {note}" for note in dataset.notes)
        about = f"{dataset.title}: {edition}; {pairs}, manifest {dataset.manifest_sha256[:12]}.{notes}"
    key = f"{slug(dataset.name)}-{index}" if column.note else dataset.name
    return GridSet(clean(key), clean(dataset.title), dataset.official, column.note, clean(about))


def _published_size(method: MethodInfo, entries: Iterable[Published]) -> float | None:
    """Parameters of a method's network as published, where some source says."""
    return next((entry.params_m * 1e6 for entry in entries if entry.method == method.name and entry.params_m), None)


def _row(row: Row, group: str, cells: tuple, method_path: Callable[[MethodInfo], str], size: float | None) -> GridRow:
    method = row.method
    # Sources round, and some count differently: an eighth is no other network, a fifth of the size is.
    other = size and method.parameters and not 0.7 < method.parameters / size < 1.4
    marks = [method.mark, f"{count(method.parameters)} parameters, published with {count(size)}" if other else ""]
    return GridRow(
        title=clean(method.title),
        group=clean(group),
        gan=method.gan,
        year=method.year,
        references=clean(method.references),
        verified=not any(marks),
        weights=clean(row.weights),
        weights_sha256=clean(method.weights.sha256 or ""),
        mark=clean("; ".join(filter(None, marks))),
        line=clean(f"{method.year} · {row.weights}"),
        parameters=method.parameters,
        href=method_path(method),
        cells=cells,
        gmacs=method.gmacs,
    )


def _cell(
    cell: Cell,
    table: Table,
    entry: Published | None,
    sources: Sequence[Source],
    row: Row,
    method_path: Callable[[MethodInfo], str],
) -> GridCell:
    covered = f"{cell.measured} of {cell.total} image{'s' if cell.total != 1 else ''}"
    partial = cell.measured != cell.total
    remark = "" if cell.status == "complete" else covered if partial else cell.status
    time = "" if cell.seconds is None else f" · {cell.seconds:.3g} s per image"
    return GridCell(
        href=f"{method_path(cell.run.result.run.method)}#{cell.anchor}",
        scores=tuple(cell.scores[metric.name] for metric in table.metrics),
        status=cell.status,
        remark=remark,
        about=f"{covered}{time}",
        beside=_beside(cell, table, entry, sources, row.weights, covered if partial else "") if entry else None,
    )


def _entry(cell: Cell, entries: Iterable[Published]) -> Published | None:
    """The published number to stand beside a result: same method, official data set, scale and channel; else None."""
    run = cell.run.result.run
    fields = run.protocol.fields
    if not run.dataset.official:
        return None
    fitting = [
        entry
        for entry in entries
        if entry.method == run.method.name
        and entry.dataset == run.dataset.name
        and (entry.scale, entry.channel) == (fields.get("scale"), fields.get("channel", "y"))
        and entry.degradation == "bicubic"
        and entry.psnr is not None
    ]
    return min(fitting, key=lambda e: (e.condition != "", _BEST_EVIDENCE.index(e.evidence)), default=None)


def _beside(
    cell: Cell, table: Table, entry: Published, sources: Sequence[Source], weights: str, covered: str
) -> Beside:
    texts, gaps, values = [], [], []
    for metric in table.metrics:
        known = {table.psnr.name: entry.psnr, table.ssim.name: entry.ssim, LPIPS.name: entry.lpips}.get(metric.name)
        score = cell.scores[metric.name]
        digits = max(2 if metric.name == table.psnr.name else 3, _decimals(known))
        whole = metric.name == table.psnr.name
        values.append(known)
        texts.append("" if known is None else number(known, digits, whole))
        comparable = known is not None and score.value is not None and math.isfinite(score.value)
        gap = score.value - known if comparable and cell.status != "synthetic weights" else None
        gaps.append("" if gap is None else signed(gap, digits, whole))
    bare = cell.run.result.run.method.weights.name in ("", "none") and not cell.run.result.run.method.weights.sha256
    caveats = ["" if bare else f"weights {weights}", covered]
    return Beside(
        source=sources.index(entry.source) + 1,
        texts=tuple(texts),
        gaps=tuple(gaps),
        values=tuple(values),
        caveat=clean(", ".join(filter(None, caveats))),
    )


def signed(value: float, digits: int, leading_zero: bool = True) -> str:
    """A difference as printed, with its sign; a plain zero where it rounds to nothing."""
    text = number(abs(value), digits, leading_zero)
    if not text.strip("0."):
        return text
    return f"{'+' if value > 0 else _MINUS}{text}"


def _decimals(value: float | None) -> int:
    return len(str(value).partition(".")[2]) if value is not None else 0


# -- as published --------------------------------------------------------------------------------------------------


def as_published(entries: Iterable[Published], fewest: int = 8) -> tuple[Grid, ...]:
    """One grid per source with at least ``fewest`` results, in the order of the entries."""
    by_source: dict[Source, list[Published]] = {}
    for entry in entries:
        if entry.psnr is not None or entry.ssim is not None:
            by_source.setdefault(entry.source, []).append(entry)
    return tuple(_published(source, found) for source, found in by_source.items() if len(found) >= fewest)


def single_reports(entries: Iterable[Published], fewest: int = 8) -> tuple[Published, ...]:
    """Results from the sources that ``as_published`` passes over, with those of parameters and gains alone."""
    entries = tuple(entries)
    tabled = {grid.sources[0] for grid in as_published(entries, fewest)}
    return tuple(entry for entry in entries if entry.source not in tabled)


def _published(source: Source, entries: Sequence[Published]) -> Grid:
    known = (
        (PSNR, [entry.psnr for entry in entries]),
        (SSIM, [entry.ssim for entry in entries]),
        (LPIPS, [entry.lpips for entry in entries]),
        (FID, [entry.fid for entry in entries]),
    )
    metrics = tuple(
        structs.replace(metric, digits=max(metric.digits, *map(_decimals, values)))
        for metric, values in known
        if any(value is not None for value in values)
    )
    datasets = sorted(
        dict.fromkeys(entry.dataset for entry in entries),
        key=lambda name: (COLUMNS.index(name) if name in COLUMNS else len(COLUMNS), name),
    )
    scores = {(_place(entry), entry.dataset): _scores(entry, metrics) for entry in entries}
    for dataset in datasets:
        for index, metric in enumerate(metrics):
            column = {place: found[index] for place, found in scores.items() if place[1] == dataset}
            for place, score in ranked(column, metric.direction).items():
                scores[place][index] = score
    rows, remarks = [], []
    for place, found in _rows(entries):
        first = found[next(iter(found))]
        line = [str(first.year) if first.year else "", first.condition, "quoted" if first.evidence == "quoted" else ""]
        if first.note and all(entry.note == first.note for entry in found.values()):
            remarks.append(f"{first.title}: {first.note}.")
        else:
            remarks += [f"{e.title} on {_title(e.dataset)}: {e.note}." for e in found.values() if e.note]
        cells = tuple(
            GridCell("", tuple(scores[place, name]), "published") if name in found else None for name in datasets
        )
        rows.append(
            GridRow(
                title=first.title,
                group=first.group,
                gan=first.gan,
                year=first.year,
                references="none" if first.group == "SISR" else "unknown",
                verified=all(entry.verified for entry in found.values()),
                weights="",
                weights_sha256="",
                mark="",
                line=" · ".join(filter(None, line)),
                parameters=next((entry.params_m * 1e6 for entry in found.values() if entry.params_m), None),
                href="",
                cells=cells,
            )
        )
    return Grid(
        key=f"published-{slug(source.key)}",
        kind="published",
        title=source.name,
        about=source.protocol,
        digest="",
        sets=tuple(GridSet(name, _title(name)) for name in datasets),
        metrics=metrics,
        shown=tuple(range(min(2, len(metrics)))),
        rows=tuple(rows),
        sources=(source,),
        remarks=tuple(remarks),
    )


def _title(dataset: str) -> str:
    return TITLES.get(dataset, dataset)


def _place(entry: Published) -> tuple[str, str, str]:
    return (entry.title, entry.variant, entry.condition)


def _scores(entry: Published, metrics: Sequence[MetricInfo]) -> list[Score]:
    values = {PSNR.name: entry.psnr, SSIM.name: entry.ssim, LPIPS.name: entry.lpips, FID.name: entry.fid}
    found = [(values[metric.name], metric) for metric in metrics]
    return [
        Score(value, number(value, metric.digits, metric.digits < 3 or metric is PSNR), None if value is None else 0)
        for value, metric in ((value, metric) for value, metric in found)
    ]


def _rows(entries: Sequence[Published]) -> list[tuple[tuple[str, str, str], dict[str, Published]]]:
    """Entries of one method together by data set; by group, then as the source has them, '-rec' beside its other."""
    by_row: dict[tuple[str, str, str], dict[str, Published]] = {}
    for entry in entries:
        by_row.setdefault(_place(entry), {})[entry.dataset] = entry
    families = list(dict.fromkeys(_family(place) for place in by_row))

    def order(item: tuple[tuple[str, str, str], dict[str, Published]]) -> tuple:
        place, found = item
        group = next(iter(found.values())).group
        return (GROUPS.index(group), families.index(_family(place)), place[1] == "rec")

    return sorted(by_row.items(), key=order)


def _family(place: tuple[str, str, str]) -> str:
    return place[0].removesuffix("-rec")


def count(parameters: float | None) -> str:
    """A number of parameters: 8.9 M, 730 k."""
    if parameters is None:
        return MISSING
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1_000 else f"{parameters:.0f}"


def operations(gmacs: float | None) -> str:
    """Multiply-accumulates, 10^9: 1,295, 65.2."""
    if gmacs is None:
        return MISSING
    return f"{gmacs:,.0f}" if gmacs >= 100 else f"{gmacs:.3g}"
