"""Places names beside points so that none covers another or a point; the same points give the same places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REACH = (7, 13, 20, 28, 37, 48, 60)  # points from the centre of a mark to its name, nearest first
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.8, 0.8), (-0.8, 0.8), (0.8, -0.8), (-0.8, -0.8))


def place(figure: Figure, axis: Axes, points: Sequence[tuple[float, float, str]], size: float = 7) -> None:
    """Write the names of (x, y, name) into ``axis``, whose limits are set and stay.

    Each name takes the place near its point that covers the least of other names, of points and of the outside, the
    first one if several do. A name that had to move away is joined to its point by a thin line. Names are placed from
    the top of the figure down.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import Bbox

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()  # the layout is settled, so pixels are meaningful now
    unit = figure.dpi / 72
    centres = [axis.transData.transform((x, y)) for x, y, _ in points]
    radius = 4.5 * unit
    taken = [Bbox.from_bounds(x - radius, y - radius, 2 * radius, 2 * radius) for x, y in centres]
    inside = axis.get_window_extent(renderer)
    for n in sorted(range(len(points)), key=lambda n: (-points[n][1], points[n][0], points[n][2])):
        x, y, name = points[n]
        text = axis.annotate(
            name, (x, y), (0, 0), textcoords="offset points", va="bottom", fontsize=size, color=style.INK, zorder=5
        )
        width, height = text.get_window_extent(renderer).size
        best: tuple[float, float, float, Bbox, int] | None = None
        for turn, reach in enumerate(REACH):
            for side, (right, up) in enumerate(SIDES):
                left = centres[n][0] + right * reach * unit - width * (0 if right > 0 else 1 if right < 0 else 0.5)
                bottom = centres[n][1] + up * reach * unit - height * (0 if up > 0 else 1 if up < 0 else 0.5)
                box = Bbox.from_bounds(left, bottom, width, height)
                others = [other for m, other in enumerate(taken) if m != n]
                cost = 10 * (sum(_overlap(box, other) for other in others) + width * height - _overlap(box, inside))
                cost += 0.02 * width * height * (turn + side / len(SIDES))
                if best is None or cost < best[0] - 1e-6:
                    best = (cost, left, bottom, box, turn)
        _, left, bottom, box, turn = best
        text.set_position(((left - centres[n][0]) / unit, (bottom - centres[n][1]) / unit))
        text.set_in_layout(False)
        if turn:
            near = (min(max(centres[n][0], box.x0), box.x1), min(max(centres[n][1], box.y0), box.y1))
            end = axis.transData.inverted().transform(near)
            line = axis.plot([x, end[0]], [y, end[1]], color=style.DIM, linewidth=0.5, zorder=1.5)[0]
            line.set_in_layout(False)
        taken.append(box)


def _overlap(a, b) -> float:
    """Return the common area of two boxes, in square pixels."""
    return max(0.0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0.0, min(a.y1, b.y1) - max(a.y0, b.y0))
