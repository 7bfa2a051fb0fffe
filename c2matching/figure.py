"""The figure of a match: the patch of a reference that each patch of an LR image found, like the paper's Fig. 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from c2matching.matching.correspondence import Correspondence, canvas_tops
from c2matching.matching.window import CELL
from c2matching.method import MATCHING, METHODS, MIN_SIDE, SYSTEM, restore_views
from refsr_bench.core.files import cannot_write, writing
from refsr_bench.core.schema import IN_WORDS
from refsr_bench.core.types import Image, Propose
from refsr_bench.learning.method import Asking, check_sizes, tensors, upright_of
from refsr_bench.learning.weights import read
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.images import read_image
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.pixels.saved import GREY, hatched

if TYPE_CHECKING:
    from torch import nn

WIDTH = 7.2  # inches, both columns of a page
# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")


Viewing = Callable[[Image, Sequence[Image], int], Propose]
"""``viewing(lr, refs, scale)`` returns what proposes views of these references."""


@dataclass(frozen=True)
class Matched:
    """The contents of a figure.

    enlarged: LR at four times its size. images: those that were matched with, views first, then references cut to
    multiples of four. names: those of LR and of these images. own, there (h, w, 2), (x, y): the middles of all patches
    and of their matches, in HR pixels of the chosen image. confidence (h, w): the cosine of the two patches; in views,
    the correlation of their pixels. chosen (h, w): the number of the image, -1 for patches that take nothing, because
    no view was believed and nothing is nearly the same. views: how many of the images are views.
    """

    enlarged: Image
    images: Sequence[Image]
    names: Sequence[str]
    own: np.ndarray
    there: np.ndarray
    confidence: np.ndarray
    chosen: np.ndarray
    views: int = 0


def match_files(
    lr_path: Path,
    ref_paths: Sequence[Path],
    weights: Path | None,
    matching: str = MATCHING[0],
    viewing: Viewing | None = None,
    device: str = "cpu",
) -> Matched:
    """Match an LR image with one or several references. weights: None takes those that come with the package.

    viewing: makes views of the references to match with, too. device: torch's name for it. Raises BenchError naming an
    image that cannot be read or is too small.
    """
    import torch

    lr, refs = read_image(lr_path), [read_image(path) for path in ref_paths]
    check_sizes(MIN_SIDE, lr, refs)
    net = read(SYSTEM, METHODS[0].name, [weights or METHODS[0].bundled]).net.eval().requires_grad_(False).to(device)
    net.matching = matching
    enlarged = resize_pil_bicubic(lr, CELL * lr.shape[0], CELL * lr.shape[1])
    cut = [mod_crop(ref, CELL) for ref in refs]
    names = [lr_path.name, *(path.name for path in ref_paths)]
    if viewing is not None:
        return _matched_with_views(net, (lr, enlarged), cut, names, Asking(viewing(lr, refs, CELL), device))
    _, lr_up, ref_tensors = tensors(device, lr, refs)
    with torch.inference_mode():
        (found,) = net.correspondences(lr_up, ref_tensors)
    own, there = matched_points(found, [ref.shape[0] // CELL for ref in cut])
    return Matched(enlarged, cut, names, own, there, found.similarity.cpu().numpy(), found.reference.cpu().numpy())


def _matched_with_views(
    net: nn.Module, images: tuple[Image, Image], refs: Sequence[Image], names: Sequence[str], ask: Asking
) -> Matched:
    import torch

    with torch.inference_mode():
        _, found = restore_views(net, *tensors(ask.device, images[0], refs), ask)
    views = ask.views
    upright = [upright_of(views, n) for n in range(len(refs))]
    shown = [ref if stands is None else stands.image for ref, stands in zip(refs, upright, strict=True)]
    grid = (images[0].shape[0] - MIN_SIDE + 1, images[0].shape[1] - MIN_SIDE + 1)
    # the figure counts from the corner of a pixel, correspondences from its centre
    own, there = (0.5 + np.reshape(at, (*grid, 2)) for at in (found.points, found.targets))
    seen = [f"view of {names[1 + view.reference]} by {IN_WORDS['found_by'][view.found_by]}" for view in views]
    return Matched(
        images[1], [*map(hatched, views), *shown], [names[0], *seen, *names[1:]], own, there,
        found.confidence.reshape(grid), found.chosen.reshape(grid), len(views),
    )  # fmt: skip


def matched_points(found: Correspondence, heights: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles of all patches in the input and of their matches in the winning references.

    heights: those of the references' feature maps, in cells. Both results are (h-2, w-2, 2), (x, y), in HR pixels.
    """
    flow, reference = found.flow.cpu().numpy(), found.reference.cpu().numpy()
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]]
    own = np.stack((x, y), axis=-1) + 1.5  # the middle of a 3x3 patch, from its top-left corner
    there = own + flow
    there[..., 1] -= np.array(canvas_tops(heights))[reference]
    return CELL * own, CELL * there


def flow_colours(flow: np.ndarray) -> np.ndarray:
    """Colour displacements (..., 2), (x, y), in units of the largest: RGB (..., 3) in [0, 1].

    Direction is hue, length is saturation.
    """
    angle, length = np.arctan2(flow[..., 1], flow[..., 0]), np.linalg.norm(flow, axis=-1).clip(0, 1)
    return hsv_to_rgb(np.stack(((angle / (2 * np.pi)) % 1, length, np.full_like(length, 0.97)), axis=-1))


def spread(confidence: np.ndarray, n: int) -> list[tuple[int, int]]:
    """Choose at most ``n`` cells (row, column), the most confident of each block of an even grid.

    Cells whose confidence is NaN are never chosen.
    """
    h, w = confidence.shape
    side = max(1, int(np.sqrt(h * w / max(1, n))))
    cells = []
    for top in range(0, h, side):
        for left in range(0, w, side):
            block = confidence[top : top + side, left : left + side]
            if np.isnan(block).all():
                continue
            row, column = np.unravel_index(np.nanargmax(block), block.shape)
            cells.append((top + int(row), left + int(column)))
    return sorted(cells, key=lambda cell: -confidence[cell])[:n]


def draw(match: Matched, lines: int, path: Path) -> None:
    """Write the figure: PNG, PDF or SVG by the suffix of ``path``. Raises BenchError when the disk refuses."""
    figure = _figure(match, lines)
    try:
        with writing(path) as part:
            figure.savefig(part, format=path.suffix.lower().removeprefix("."))
    except OSError as error:
        raise cannot_write(path, error) from None


def _figure(match: Matched, lines: int) -> Figure:
    enlarged, refs, names = match.enlarged, match.images, match.names
    nothing = match.chosen < 0
    own, there = match.own, np.where(nothing[..., None], match.own, match.there)
    confidence, reference = np.where(nothing, np.nan, match.confidence), match.chosen
    several = len(refs) > 1 or nothing.any()
    panels = 3 if several else 2
    widths = [enlarged.shape[1] / enlarged.shape[0], *(ref.shape[1] / ref.shape[0] for ref in refs)]
    heights = WIDTH / sum(widths) + 0.3, WIDTH / panels / widths[0] + 0.3  # inches, with room for a line of text
    figure = Figure(figsize=(WIDTH, sum(heights)), dpi=200, layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    axes = above.subplots(1, 1 + len(refs), width_ratios=widths, squeeze=False)[0]
    for axis, image, title in zip(axes, (enlarged, *refs), (f"LR {names[0]}", *names[1:]), strict=True):
        axis.imshow(image)
        _titled(axis, title)
    for n, (row, column) in enumerate(spread(confidence, lines)):
        target = int(reference[row, column])
        colour = COLOURS[(target if several else n) % len(COLOURS)]
        line = ConnectionPatch(
            own[row, column], there[row, column], "data", "data", axesA=axes[0], axesB=axes[1 + target],
            color=colour, linewidth=0.7, alpha=0.9, arrowstyle="-", shrinkA=0, shrinkB=0,
        )  # fmt: skip
        figure.add_artist(line)
        for axis, point in ((axes[0], own[row, column]), (axes[1 + target], there[row, column])):
            axis.plot(*point, "o", color=colour, markersize=2.2, markeredgewidth=0.4, markeredgecolor="white")
    maps = below.subplots(1, panels, squeeze=False)[0]
    _flow_panel(maps[0], there - own)
    shown = maps[1].imshow(confidence, cmap="cividis", vmin=min(0, match.confidence[~nothing].min(initial=0)), vmax=1)
    mean = f" (mean {match.confidence[~nothing].mean():.2f})" if not nothing.all() else ""
    _titled(maps[1], f"confidence{mean}")
    below.colorbar(shown, ax=maps[1], shrink=0.8, pad=0.02).ax.tick_params(labelsize=6)
    if several:
        colours = np.array([tuple(int(COLOURS[n % len(COLOURS)][i : i + 2], 16) for i in (1, 3, 5))
                            for n in range(len(refs))] + [(GREY,) * 3])  # fmt: skip
        maps[2].imshow(colours[reference])  # -1 is the last of them
        _titled(maps[2], "which reference")
        for n, name in enumerate(names[1:]):
            share = (reference == n).mean()
            maps[2].plot([], [], "s", color=COLOURS[n % len(COLOURS)], markersize=4, label=f"{name}, {share:.0%}")
        if nothing.any():
            maps[2].plot([], [], "s", color=f"#{GREY:02x}{GREY:02x}{GREY:02x}", markersize=4,
                         label=f"none, {nothing.mean():.0%}")  # fmt: skip
        maps[2].legend(loc="upper center", bbox_to_anchor=(0.5, -0.02), fontsize=6, frameon=False, ncols=2)
    return figure


def _titled(axis: Axes, text: str) -> None:
    axis.set_title(text, fontsize=7.5)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_linewidth(0.4)


def _flow_panel(axis: Axes, displacement: np.ndarray) -> None:
    largest = max(1.0, float(np.percentile(np.linalg.norm(displacement, axis=-1), 98)))
    axis.imshow(flow_colours(displacement / largest))
    _titled(axis, f"displacement (rim: {largest:.0f} pixels)")
    wheel = axis.inset_axes((0.78, 0.02, 0.2, 0.26))
    y, x = np.mgrid[-1:1:65j, -1:1:65j]
    outside = np.hypot(x, y) > 1
    picture = np.dstack([flow_colours(np.stack((x, y), axis=-1)), ~outside])
    wheel.imshow(picture)
    wheel.axis("off")
