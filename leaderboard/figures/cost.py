"""Draws PSNR against cost: parameters (the paper's Table 4), seconds per image and multiply-additions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.figures import style
from leaderboard.figures.figure import (
    Column,
    Figure,
    csv_of,
    dataset_words,
    method_facts,
    name_of,
    protocol_words,
    table_of,
    titles_of,
)
from leaderboard.figures.labels import place
from leaderboard.reading.load import LoadedRun, dataset_key
from leaderboard.tables.model import Table
from leaderboard.tables.published import title_of
from leaderboard.tables.timing import timing_of
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import to_json

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from leaderboard.reading.published import Published

KIND = "cost"
LEAST = 3  # fewest points that make a picture
GAN, PLAIN = "^", "o"
GROUPS = {"SISR": style.COLOURS[0], "Ref-SR": style.COLOURS[1]}
OTHER = style.COLOURS[2]


@dataclass(frozen=True)
class Axis:
    """A kind of cost. name: in lists. heading: of its panel. label: of its axis. timed: whether it is in seconds."""

    name: str
    heading: str
    label: str
    timed: bool = False


PARAMETERS = Axis("parameters", "Parameters", "parameters")
GMACS = Axis("GMACs", "Multiply-additions", "GMACs")


def seconds_on(machine: str) -> Axis:
    """Return seconds per image on one machine, in words, because times of different machines do not compare."""
    return Axis(f"seconds on {machine}", f"Time on {machine}", "seconds per image", timed=True)


@dataclass(frozen=True)
class Point:
    """One method. costs: positive. record: for the table."""

    title: str
    group: str
    gan: bool
    psnr: float
    published: bool
    costs: Mapping[Axis, float]
    record: dict[str, Any]


def figures(tables: Sequence[Table], published: Iterable[Published] = ()) -> list[Figure]:
    """Return a figure per table and data set with three or more methods; a data set's first shows published points.

    Tables of protocols with overrides are drawn only if a data set has no other. Published points of a figure come from
    one table of one paper, the one with most methods of known size, because different papers do not measure alike.
    """
    published = tuple(published)
    found: list[Figure] = []
    shown: set[str] = set()  # data sets whose published points are already drawn
    drawn: set[tuple] = set()
    for table in tables:
        for n, column in enumerate(table.columns):
            dataset = column.dataset
            if table.protocol.overrides and dataset_key(dataset) in drawn:
                continue
            fits = dataset.official and dataset.name not in shown and table.protocol.fields.get("scale", 4) == 4
            if figure := _of_column(table, n, published if fits else ()):
                shown.add(dataset.name)
                drawn.add(dataset_key(dataset))
                found.append(figure)
    for name in sorted({entry.dataset for entry in published if entry.dataset and entry.dataset not in shown}):
        beside, source = as_published(published, name)
        if axes := _axes(beside):
            found.append(
                _figure(f"{title_of(name)}: PSNR against parameters, as published",
                        f"As published in {source}; nothing here was measured.",
                        name_of(KIND, f"{name}-published", name), beside, axes, "PSNR, dB")
            )  # fmt: skip
    return found


def _of_column(table: Table, place: int, published: Iterable[Published]) -> Figure | None:
    """Return the figure of one data set under one protocol; None with too few points."""
    dataset = table.columns[place].dataset
    cells = [row.cells[place] for row in table.rows if row.cells[place]]
    points = measured([cell.run for cell in cells if cell.status == "complete" and cell.psnr.value is not None])
    beside, source = as_published(published, dataset.name)
    axes = _axes([*points, *beside])
    if not axes:
        return None
    caption = f"Mean {table.psnr.title} on {dataset_words(dataset)}, {protocol_words(table.protocol)}."
    if any(axis.timed for axis in axes):
        caption += " Seconds are means per image, by machine; the table has the load that other processes made."
    if source:
        caption += f" Hollow: as published in {source}, not measured here and not under this protocol."
    without = {kind: [point.title for point in points if point.record["parameters"] == kind] for kind in (0, None)}
    if without[0] and PARAMETERS in axes:
        caption += f" Dashed: without parameters ({', '.join(without[0])})."
    if without[None] and PARAMETERS in axes:
        caption += f" Not among the parameters, which nobody counted: {', '.join(without[None])}."
    # Figures keep the names, and addresses, that they had before data sets had variations.
    identity = {name: value for name, value in to_json(dataset).items() if name != "variation"}
    return _figure(
        f"{dataset.title}: what quality costs, protocol {table.protocol.label}", caption,
        name_of(KIND, f"{dataset.name}-{table.protocol.label}", table.protocol.digest, identity),
        [*points, *beside], axes, f"{table.psnr.title}, dB",
    )  # fmt: skip


def measured(runs: Sequence[LoadedRun]) -> list[Point]:
    """Return the points of complete runs with a finite PSNR."""
    points = []
    for loaded, title in zip(runs, titles_of([loaded.result.run.method for loaded in runs]), strict=True):
        result, run = loaded.result, loaded.result.run
        psnr = result.means[run.protocol.psnr]
        if not math.isfinite(psnr):
            continue
        timing, gmacs = timing_of(result), run.method.gmacs
        costs = {PARAMETERS: run.method.parameters, GMACS: gmacs}
        if timing and not timing.mixed:
            costs[seconds_on(timing.machine)] = timing.seconds
        record = method_facts(run.method) | {
            "group": run.method.group, "gan": str(run.method.gan).lower(), "psnr": psnr,
            "parameters": run.method.parameters, "seconds_per_image": timing.seconds if timing else None,
            "machine": timing.machine if timing else None, "load": timing.load if timing else None,
            "disturbed": "yes" if timing and timing.disturbed else "",
            "gmacs": gmacs, "source": "measured", "run_file": loaded.path,
        }  # fmt: skip
        costs = {axis: value for axis, value in costs.items() if value and 0 < value < 1e15}  # also excludes nan
        points.append(Point(title, run.method.group, run.method.gan, psnr, False, costs, record))
    return points


def as_published(entries: Iterable[Published], dataset: str) -> tuple[list[Point], str | None]:
    """Return the published points with a size, from the table that has most of them, and that table in words."""
    usable = [e for e in entries if e.dataset == dataset and e.comparable and e.params_m and not e.condition]
    by_table = grouped(usable, lambda entry: entry.source.key)
    if not by_table:
        return [], None
    chosen = min(by_table.items(), key=lambda item: (-len(item[1]), item[1][0].source.year or 9999, item[0]))[1]
    source = chosen[0].source
    points = []
    for entry in chosen:
        record = {"method": entry.method, "title": entry.title, "group": entry.group,
                  "gan": str(bool(entry.gan)).lower(),
                  "psnr": entry.psnr, "parameters": round(entry.params_m * 1e6),
                  "source": f"published: {source.name}"}  # fmt: skip
        costs = {PARAMETERS: entry.params_m * 1e6}
        points.append(Point(entry.title, entry.group, bool(entry.gan), entry.psnr, True, costs, record))
    return points, f"{source.title}, {source.name}"


def _axes(points: Sequence[Point]) -> list[Axis]:
    """Return the axes with enough points: parameters, seconds by device, GMACs."""
    counted = Counter(axis for point in points for axis in point.costs)
    order = sorted(counted, key=lambda axis: (axis != PARAMETERS, axis == GMACS, axis.name))
    return [axis for axis in order if counted[axis] >= LEAST]


def _figure(title: str, caption: str, name: str, points: list[Point], axes: list[Axis], unit: str) -> Figure:
    records = [point.record for point in points]
    best = max(points, key=lambda point: point.psnr)
    small = min((p for p in points if PARAMETERS in p.costs), key=lambda p: p.costs[PARAMETERS], default=None)
    alt = f"Scatter plot of {len(points)} methods, {unit} against {', '.join(axis.name for axis in axes)}."
    alt += f" Highest: {best.title}, {best.psnr:.2f} dB."
    if small:
        alt += f" Fewest parameters: {small.title}, {small.costs[PARAMETERS] / 1e6:.2f} million, {small.psnr:.2f} dB."
    columns = (
        Column("title", "Method"), Column("weights", "Weights"), Column("group", "Group"), Column("psnr", unit, 2),
        Column("parameters", "Parameters", 0), Column("seconds_per_image", "Seconds per image", 3),
        Column("machine", "Machine"), Column("load", "Load of others", 2), Column("disturbed", "Disturbed"),
        Column("gmacs", "GMACs", 0), Column("source", "Source"),
    )  # fmt: skip
    return Figure(KIND, name, title, caption, alt, table_of(records, columns), csv_of(records),
                  lambda narrow: draw(points, axes, unit, narrow))  # fmt: skip


def draw(points: Sequence[Point], axes: Sequence[Axis], unit: str, narrow: bool) -> Drawing:
    """Draw scatter plots over logarithmic costs, where up and left is better.

    Colour shows the group, a triangle GAN training.
    """
    figure, panels = style.panels(len(axes), narrow, height=3.3 if len(axes) > 1 or narrow else 3.6)
    for panel, axis in zip(panels, axes, strict=True):
        _scatter(panel, axis, points)
        panel.set_ylabel(unit)
    style.legend(figure, *_key(points), narrow)
    for panel, axis in zip(panels, axes, strict=True):
        place(figure, panel, [(p.costs[axis], p.psnr, style.label(p.title, 22)) for p in points if axis in p.costs])
        for point in _flat(points, axis):
            panel.annotate(style.label(point.title, 22), (0, point.psnr), (3, 2), xycoords=panel.get_yaxis_transform(),
                           textcoords="offset points", fontsize=7, color=style.INK, in_layout=False)  # fmt: skip
    return figure


def _scatter(panel: Axes, axis: Axis, points: Sequence[Point]) -> None:
    """Draw one panel: a mark for each method whose cost is known, lines for those without parameters."""
    from matplotlib.ticker import LogLocator, NullFormatter

    own, flat = [point for point in points if axis in point.costs], _flat(points, axis)
    for point in own:
        colour = GROUPS.get(point.group, OTHER)
        panel.plot(
            point.costs[axis], point.psnr, GAN if point.gan else PLAIN, color=colour, markersize=6.5,
            markerfacecolor=style.PAPER if point.published else colour, markeredgewidth=1.3, linestyle="none",
        )  # fmt: skip
    panel.set_xscale("log")
    low, high = (edge(point.costs[axis] for point in own) for edge in (min, max))
    room = max(1.6, (high / low) ** 0.18)  # leaves room for the names beside the outermost marks
    panel.set_xlim(low / room, high * room)
    values = [point.psnr for point in [*own, *flat]]
    margin = 0.16 * max(max(values) - min(values), 0.4)
    panel.set_ylim(min(values) - margin, max(values) + margin)
    for point in flat:
        panel.axhline(point.psnr, color=GROUPS.get(point.group, OTHER), linewidth=1, linestyle=(0, (4, 2)), zorder=1)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
    panel.xaxis.set_major_formatter(lambda value, _: _short(value))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(style.label(axis.label))
    panel.set_title(style.label(axis.heading, 40))


def _key(points: Sequence[Point]) -> tuple[list[Artist], list[str]]:
    """Draw the legend for the colours and marks that occur."""
    from matplotlib.lines import Line2D

    groups = [group for group in (*GROUPS, None) if any(_group(point) == group for point in points)]
    hollow = {"markerfacecolor": style.PAPER, "markeredgewidth": 1.3}
    entries = [(group or "other", {"marker": PLAIN, "color": GROUPS.get(group, OTHER)}) for group in groups]
    if any(point.gan for point in points):
        entries.append(("GAN-trained", {"marker": GAN, "color": style.DIM}))
    if any(point.published for point in points):
        entries.append(("as published", {"marker": PLAIN, "color": style.DIM, **hollow}))
    handles = [Line2D([], [], linestyle="none", markersize=6.5, **look) for _, look in entries]
    return handles, [label for label, _ in entries]


def _flat(points: Sequence[Point], axis: Axis) -> list[Point]:
    """Draw each measured method without parameters as a line across the first panel."""
    return [point for point in points if not point.published and axis == PARAMETERS and point.record["parameters"] == 0]


def _group(point: Point) -> str | None:
    return point.group if point.group in GROUPS else None


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
