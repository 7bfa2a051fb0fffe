"""Shows published numbers beside measured ones with the difference, or as tables of their own, one for each source."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from leaderboard.reading.published import EVIDENCE, Published, Source
from leaderboard.tables.best_values import ranked
from leaderboard.tables.model import COLUMNS, GROUPS, Beside, Cell, Column, Row, Score, Table
from leaderboard.text import anchor, count, number, of_metric, signed
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import MetricInfo

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
FEWEST = 8  # numbers of one source that make a table; fewer go to the list of single ones

# The order decides which of several published numbers is shown beside a result: the method's usual one first, then the
# closest to its authors.
_BEST_EVIDENCE = tuple(EVIDENCE)

Place = tuple[str, str, str]  # title, variant, condition: they identify a row of a source's table


# -- beside measured ones ------------------------------------------------------------------------------------------


def with_published(table: Table, entries: Iterable[Published]) -> Table:
    """Return a measured table with the published number of the same method and data set beside each result."""
    entries = tuple(entries)
    sources: list[Source] = []
    rows = []
    for row in table.rows:
        cells = tuple(cell and _with_beside(cell, table, entries, sources, row.weights) for cell in row.cells)
        size = next((e.params_m * 1e6 for e in entries if e.method == row.method.name and e.params_m), None)
        rows.append(_with_size(dataclasses.replace(row, cells=cells), size))
    return dataclasses.replace(table, rows=tuple(rows), sources=tuple(sources))


def _with_size(row: Row, size: float | None) -> Row:
    """Return a row that says so if its network does not have the published size."""
    # Sources round, and some count differently: a size an eighth off is the same network, a fifth of the size is not.
    if not size or not row.parameters or 0.7 < row.parameters / size < 1.4:
        return row
    mark = f"{count(row.parameters)} parameters, published with {count(size)}"
    return dataclasses.replace(row, mark="; ".join(filter(None, (row.mark, mark))), verified=False)


def _with_beside(cell: Cell, table: Table, entries: Sequence[Published], sources: list[Source], weights: str) -> Cell:
    entry = _entry(cell, entries)
    if entry is None:
        return cell
    if entry.source not in sources:
        sources.append(entry.source)
    return dataclasses.replace(cell, beside=_beside(cell, table, entry, sources.index(entry.source) + 1, weights))


def _entry(cell: Cell, entries: Iterable[Published]) -> Published | None:
    """The published number to show beside a result: same method, official data set, scale and channel; else None."""
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


def _beside(cell: Cell, table: Table, entry: Published, source: int, weights: str) -> Beside:
    texts, gaps, values = [], [], []
    for metric in table.metrics:
        known = {table.psnr.name: entry.psnr, table.ssim.name: entry.ssim, LPIPS.name: entry.lpips}.get(metric.name)
        value = cell.scores[metric.name].value
        whole = metric.name == table.psnr.name
        digits = max(2 if whole else 3, _decimals(known))
        values.append(known)
        texts.append("" if known is None else number(known, digits, whole))
        comparable = known is not None and value is not None and math.isfinite(value)
        comparable = comparable and cell.status != "synthetic weights"
        gaps.append(signed(value - known, digits, whole) if comparable else "")
    own = cell.run.result.run.method.weights
    caveats = [f"weights {weights}" if own.kind != "none" else ""]
    caveats += [cell.covered if cell.measured != cell.total else ""]
    return Beside(source, tuple(texts), tuple(gaps), tuple(values), ", ".join(filter(None, caveats)))


def _decimals(value: float | None) -> int:
    return len(str(value).partition(".")[2]) if value is not None else 0


# -- as published --------------------------------------------------------------------------------------------------


def as_published(entries: Iterable[Published]) -> tuple[Table, ...]:
    """Return one table per source with at least FEWEST results, in the order of the entries."""
    scored = (entry for entry in entries if entry.psnr is not None or entry.ssim is not None)
    by_source = grouped(scored, lambda entry: entry.source)
    return tuple(_table(source, found) for source, found in by_source.items() if len(found) >= FEWEST)


def single_reports(entries: Iterable[Published]) -> tuple[Published, ...]:
    """Return results from the sources that ``as_published`` skips, and entries of parameters and gains alone."""
    entries = tuple(entries)
    tabled = {table.sources[0] for table in as_published(entries)}
    return tuple(entry for entry in entries if entry.source not in tabled)


def title_of(dataset: str) -> str:
    """Return a data set's title in tables of published numbers."""
    return TITLES.get(dataset, dataset)


def _table(source: Source, entries: Sequence[Published]) -> Table:
    metrics = _metrics(entries)
    datasets = sorted(
        dict.fromkeys(entry.dataset for entry in entries),
        key=lambda name: (COLUMNS.index(name) if name in COLUMNS else len(COLUMNS), name),
    )
    scores = {(_place(entry), entry.dataset): _scores(entry, metrics) for entry in entries}
    for dataset in datasets:
        for metric in metrics:
            column = {place: found[metric.name] for place, found in scores.items() if place[1] == dataset}
            for place, score in ranked(column, metric.direction).items():
                scores[place][metric.name] = score
    rows = _rows(entries)
    return Table(
        key=f"published-{anchor(source.key)}",
        kind="published",
        title=source.name,
        about=source.protocol,
        columns=tuple(Column(name, title_of(name)) for name in datasets),
        metrics=metrics,
        shown=tuple(range(min(2, len(metrics)))),
        rows=tuple(
            _row(found, tuple(Cell(scores[place, name]) if name in found else None for name in datasets))
            for place, found in rows
        ),
        sources=(source,),
        remarks=tuple(remark for _, found in rows for remark in _remarks(found)),
    )


def _metrics(entries: Sequence[Published]) -> tuple[MetricInfo, ...]:
    """Return the metrics that a source gives, with the digits of its most exact number."""
    known = ((metric, [getattr(entry, metric.name) for entry in entries]) for metric in (PSNR, SSIM, LPIPS, FID))
    return tuple(
        structs.replace(metric, digits=max(metric.digits, *map(_decimals, values)))
        for metric, values in known
        if any(value is not None for value in values)
    )


def _row(found: Mapping[str, Published], cells: tuple[Cell | None, ...]) -> Row:
    """Return one method's row. found: its numbers by data set."""
    first = next(iter(found.values()))
    line = [str(first.year) if first.year else "", first.condition, "quoted" if first.evidence == "quoted" else ""]
    return Row(
        title=first.title,
        group=first.group,
        cells=cells,
        gan=first.gan,
        year=first.year,
        references="none" if first.group == "SISR" else "unknown",
        verified=all(entry.verified for entry in found.values()),
        line=" · ".join(filter(None, line)),
        parameters=next((entry.params_m * 1e6 for entry in found.values() if entry.params_m), None),
    )


def _remarks(found: Mapping[str, Published]) -> list[str]:
    first = next(iter(found.values()))
    if first.note and all(entry.note == first.note for entry in found.values()):
        return [f"{first.title}: {first.note}."]
    return [f"{e.title} on {title_of(e.dataset)}: {e.note}." for e in found.values() if e.note]


def _place(entry: Published) -> Place:
    return (entry.title, entry.variant, entry.condition)


def _scores(entry: Published, metrics: Iterable[MetricInfo]) -> dict[str, Score]:
    found = ((metric, getattr(entry, metric.name)) for metric in metrics)
    return {m.name: Score(value, of_metric(value, m), None if value is None else 0) for m, value in found}


def _rows(entries: Iterable[Published]) -> list[tuple[Place, dict[str, Published]]]:
    """Join the entries of one method over data sets; by group, then in the source's order, '-rec' beside its other."""
    by_row: dict[Place, dict[str, Published]] = {}
    for entry in entries:
        by_row.setdefault(_place(entry), {})[entry.dataset] = entry
    family = {place: next(iter(found.values())).family or place[0] for place, found in by_row.items()}
    families = list(dict.fromkeys(family.values()))

    def order(item: tuple[Place, dict[str, Published]]) -> tuple:
        place, found = item
        group = next(iter(found.values())).group
        return (GROUPS.index(group), families.index(family[place]), place[1] == "rec")

    return sorted(by_row.items(), key=order)
