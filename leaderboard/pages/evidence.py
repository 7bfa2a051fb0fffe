"""Writes the page of each method: what it is, where its numbers come from, and every image behind them."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from leaderboard.pages.gallery import Gallery, ImagePage
from leaderboard.pages.pages import Site, render, safe_link
from leaderboard.tables.model import Cell, Column, Row, Table, method_path
from leaderboard.tables.timing import cost_of, legend_of, machine_words
from leaderboard.text import clean, identity_text, number
from refsr_bench.core.schema import IN_WORDS, VERIFIED, ImageRecord, LeakKind, MethodInfo, MetricInfo

EXTREMES = 3  # images shown at either end
_ARXIV = re.compile(r"\barXiv:\s?(\d{4}\.\d{4,5})\b")
_ADDRESS = re.compile(r"https://[^\s<>\"')]+")


@dataclass(frozen=True)
class RunView:
    """One run of a method. rank: its place by PSNR; None when unranked. of: how many runs are ranked beside it."""

    table: Table
    column: Column
    row: Row
    cell: Cell
    of: int
    chart: Markup
    worst: tuple[tuple[ImageRecord, ImagePage | None], ...]
    best: tuple[tuple[ImageRecord, ImagePage | None], ...]

    @property
    def leaks(self) -> list[tuple[LeakKind, int]]:
        """Return the number of images with each kind of leak, most frequent first."""
        return Counter(image.leak.kind for image in self.cell.run.result.measured).most_common()


@dataclass(frozen=True)
class MethodPage:
    """A method with all of its weights.

    info: as the run that started last has it. weights: by set, its runs.
    """

    info: MethodInfo
    path: str
    link: str | None
    weights: tuple[tuple[MethodInfo, str, tuple[RunView, ...]], ...]

    @property
    def runs(self) -> tuple[RunView, ...]:
        return tuple(run for _, _, runs in self.weights for run in runs)


def methods(tables: Sequence[Table], gallery: Gallery) -> tuple[MethodPage, ...]:
    """Return methods in the order of the tables."""
    found: dict[str, dict[str, tuple[MethodInfo, str, list[RunView]]]] = {}
    for table in tables:
        for group in table.groups:
            for row in group.rows:
                entry = found.setdefault(row.method.name, {})
                runs = entry.setdefault(row.method.weights.key, (row.method, clean(row.weights), []))[2]
                runs += [
                    _run(table, column, row, cell, gallery)
                    for column, cell in zip(table.columns, row.cells, strict=True) if cell
                ]  # fmt: skip
    pages = []
    for by_weights in found.values():
        latest = max((run for _, _, runs in by_weights.values() for run in runs),
                     key=lambda view: (view.cell.run.result.run.started, view.cell.run.path))  # fmt: skip
        info = latest.cell.run.result.run.method
        pages.append(
            MethodPage(
                info,
                method_path(info),
                paper_link(info.paper),
                tuple((method, name, tuple(runs)) for method, name, runs in by_weights.values()),
            )
        )
    return tuple(pages)


def pages(tables: Sequence[Table], gallery: Gallery, site: Site) -> Iterator[tuple[str, str]]:
    """Return (path, HTML) of every method's page."""
    for page in methods(tables, gallery):
        yield (
            page.path,
            render(
                "method.html.j2",
                here="methods",
                root="../",
                site=site,
                page=page,
                gallery=gallery,
                brief=_brief,
                machine=machine_words,
                cost_of=cost_of,
                times=legend_of(view.cell.timing for view in page.runs),
                identity=identity_text,
                words=IN_WORDS,
                verified=VERIFIED,
            ),
        )


def paper_link(text: str) -> str | None:
    """Return the address of a paper from its citation: the one given there, or that of its arXiv number."""
    if match := _ARXIV.search(text):
        return f"https://arxiv.org/abs/{match[1]}"
    if match := _ADDRESS.search(text):
        return safe_link(match[0].rstrip(".,;"))
    return None


def _run(table: Table, column: Column, row: Row, cell: Cell, gallery: Gallery) -> RunView:
    psnr = table.psnr
    measured = [r for r in cell.run.result.images if r.error is None and psnr.name in r.metrics]
    ordered = sorted(measured, key=lambda record: (record.metrics[psnr.name], record.id))
    ends = min(EXTREMES, len(ordered) // 2) or len(ordered)
    place = row.cells.index(cell)
    peers = [other.cells[place] for group in table.groups for other in group.rows]
    return RunView(
        table=table,
        column=column,
        row=row,
        cell=cell,
        of=sum(peer is not None and peer.psnr.rank is not None for peer in peers),
        chart=histogram([record.metrics[psnr.name] for record in measured], psnr),
        worst=tuple((record, gallery.page(cell, record.id)) for record in ordered[:ends]),
        best=tuple((record, gallery.page(cell, record.id)) for record in reversed(ordered[ends:][-ends:])),
    )


def _brief(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


# -- the distribution over images ----------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _BASE = 520, 118, 6, 84


def histogram(values: Sequence[float], metric: MetricInfo) -> Markup:
    """Draw one value per image as an inline SVG; "" for fewer than 3 images.

    It has bars, a tick per image below them, and the mean as a line. Infinite values are counted in words. Colours are
    those of the style sheet.
    """
    finite = [value for value in values if math.isfinite(value)]
    if len(finite) < 3:
        return Markup("")
    low, high = min(finite), max(finite)
    step = _nice((high - low) / max(8, min(24, math.isqrt(len(finite)) * 2)))
    first = math.floor(low / step)
    count = max(1, math.floor(high / step) - first + 1)
    bins = [0] * count
    for value in finite:
        bins[min(count - 1, math.floor(value / step) - first)] += 1
    width = (_WIDTH - 2 * _LEFT) / count

    def x(value: float) -> str:
        return f"{_LEFT + (value / step - first) * width:.1f}"

    most = max(bins)
    bars = "".join(
        f"M{_LEFT + n * width + 0.5:.1f} {_BASE}v{-bar / most * 72:.1f}h{width - 1:.1f}V{_BASE}z"
        for n, bar in enumerate(bins) if bar
    )  # fmt: skip
    rug = "".join(f"M{x(value)} {_BASE + 3}v7" for value in sorted(finite))
    mean = math.fsum(finite) / len(finite)
    digits = metric.digits if metric.digits < 3 else 2
    decimals = max(0, -math.floor(math.log10(step)))
    every = max(1, round(count / 6))
    labels = "".join(
        f'<text x="{_LEFT + n * width:.1f}" y="{_BASE + 27}" text-anchor="{_anchor(n, count)}">'
        f"{(first + n) * step:.{decimals}f}</text>"
        for n in range(0, count + 1, every)
    )
    unit = f" {clean(metric.unit)}" if metric.unit else ""
    infinite = len(values) - len(finite)
    said = (
        f"{clean(metric.title)} of {len(finite)} images: {number(low, digits)} to {number(high, digits)}{unit}, "
        f"median {number(statistics.median(finite), digits)}{unit}, mean {number(mean, digits)}{unit}"
        + (f"; {infinite} more identical to HR" if infinite else "")
    )
    return Markup(
        f'<figure class="spread"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{escape(said)}"><path class="bars" d="{bars}"/><path class="rug" d="{rug}"/>'
        f'<path class="axis" d="M{_LEFT} {_BASE}H{_WIDTH - _LEFT}"/><path class="mean" d="M{x(mean)} 6V{_BASE}"/>'
        f"{labels}</svg>"
        f"<figcaption>{escape(said)}.</figcaption></figure>"
    )


def _anchor(place: int, count: int) -> str:
    return "start" if place == 0 else "end" if place == count else "middle"


def _nice(step: float) -> float:
    """Return the next of 1, 2, 5 times a power of ten; 1 for a step of 0."""
    if step <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * 0.999)
