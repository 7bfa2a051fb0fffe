"""Places the levels of a sweep on an axis: at their number, or side by side where a level has two numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from leaderboard.figures import style
from refsr_bench.geometry.kinds import numbers_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SLANTED = {"rotation": 28, "ha": "right", "rotation_mode": "anchor"}
"""The look of the names of levels where several stand side by side."""


def places(levels: Iterable[str]) -> dict[str, float]:
    """Return the place of each level, given in numbers, on the axis of a sweep."""
    numbers = {level: numbers_of(level) for level in levels}
    if all(len(found) == 1 for found in numbers.values()):
        return {level: number for level, (number,) in numbers.items()}
    return {level: float(n) for n, level in enumerate(sorted(numbers, key=lambda level: (numbers[level], level)))}


def set_axis(axis: Axes, where: Mapping[str, float], units: str) -> None:
    """Set the scale, the marks and the label of the axis of levels. where: as from ``places``."""
    axis.set_xlabel(units)
    if any(len(numbers_of(level)) != 1 for level in where):
        axis.set_xticks(list(where.values()), [style.label(level, 12) for level in where], **SLANTED)
    elif min(where.values()) > 0 and max(where.values()) / min(where.values()) > 2:
        axis.set_xscale("log", base=2)  # factors: half and double are equally far from 1
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
