"""Draws the share of the possible gain that each variant of a method recovers, by group and over a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

from leaderboard.figures import style, sweeps
from leaderboard.statistics.estimates import Estimate
from leaderboard.statistics.shares import SHARE
from refsr_bench.geometry.kinds import numbers_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

    from leaderboard.statistics.robustness import Row

FORM = "share"
CEILING, FLOOR = "reference warped back by the truth", "unrelated reference"
_LIMITS = (-0.5, 1.5)  # wider bands are cut: a share far outside 0 to 1 says that little could be gained


@dataclass(frozen=True)
class Plot:
    """The contents of one drawing, rows that have a share. units: of a sweep's levels. order: see ``style.marks``."""

    rows: Sequence[Row]
    title: str = ""
    units: str = ""
    order: Mapping[str, int] = field(default_factory=dict)


def draw(plot: Plot, narrow: bool = False) -> Drawing:
    """Draw a panel for groups and one for a sweep, if there are such levels; bands are 95 % intervals."""
    from matplotlib.lines import Line2D

    groups = [row for row in plot.rows if not numbers_of(row.level)]
    numbers = [row for row in plot.rows if numbers_of(row.level)]
    panels = [(title, rows) for title, rows in (("By group", groups), ("Over a sweep", numbers)) if rows]
    methods = {row.series: row.method for row in plot.rows}
    looks = dict(zip(methods, style.marks(list(methods.values()), plot.order), strict=True))
    figure, axes = style.panels(len(panels), narrow, height=2.9)
    for axis, (title, rows) in zip(axes, panels, strict=True):
        axis.set_title(title)
        axis.set_ylabel("share of the possible gain")
        _lines(axis, rows, looks)
        if rows is groups:
            names = list(dict.fromkeys(row.level for row in rows))
            axis.set_xticks(range(len(names)), [style.label(name, 12) for name in names])
        else:
            sweeps.set_axis(axis, _places(rows), style.folded(plot.units, 52 if len(panels) > 1 else 100))
    if plot.title:
        figure.suptitle(style.folded(plot.title, 50 if narrow else 100), fontsize=8.5)
    titles = {row.series: style.label(row.title, 44) for row in plot.rows}
    handles = [Line2D([], [], **{**look.line, "markeredgewidth": None}) for look in looks.values()]
    style.legend(figure, handles, [titles[series] for series in looks], narrow)
    return figure


def _lines(axis: Axes, rows: Sequence[Row], looks: Mapping[str, style.Mark]) -> None:
    where = _places(rows)
    for series, look in looks.items():
        own = sorted(
            ((where[row.level], row.values[SHARE.name]) for row in rows if row.series == series), key=itemgetter(0)
        )
        if not own:
            continue
        x, values = zip(*own, strict=True)
        axis.plot(x, [value.mean for value in values], **look.line)
        axis.fill_between(x, *_band(values), color=look.colour, alpha=0.11, linewidth=0)
    means = [row.values[SHARE.name].mean for row in rows]
    axis.set_ylim(max(_LIMITS[0], min(-0.08, min(means) - 0.08)), min(_LIMITS[1], max(1.12, max(means) + 0.08)))
    for height, text, side, points in ((1, CEILING, "bottom", 1.5), (0, FLOOR, "top", -1.5)):
        axis.axhline(height, color=style.DIM, linewidth=0.8, linestyle=(0, (4, 2)))
        axis.annotate(
            text, (0.01, height), (0, points), xycoords=axis.get_yaxis_transform(), textcoords="offset points",
            va=side, fontsize=6.5, color=style.DIM,
        )  # fmt: skip


def _places(rows: Sequence[Row]) -> dict[str, float]:
    names = list(dict.fromkeys(row.level for row in rows))
    return sweeps.places(names) if numbers_of(names[0]) else {name: float(n) for n, name in enumerate(names)}


def _band(values: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of the intervals within the limits of the axis; the mean where there is no interval."""
    import numpy as np

    mean = np.array([value.mean for value in values])
    ends = np.array([[value.low, value.high] for value in values]).T
    low, high = np.where(np.isnan(ends), mean, ends).clip(*_LIMITS)
    return low, high


def describe(rows: Sequence[Row]) -> str:
    """Describe the figure in words: each variant's share at its first and last level."""
    said = []
    for series in dict.fromkeys(row.series for row in rows):
        first, *others = [row for row in rows if row.series == series]
        text = f"{first.title}: {first.values[SHARE.name].mean:.2f} at {first.level}"
        said.append(text + (f", {others[-1].values[SHARE.name].mean:.2f} at {others[-1].level}" if others else ""))
    return "; ".join(said) + "."
