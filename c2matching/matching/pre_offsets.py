"""The displacement p0 of Eq. (9), which moves the taps of dynamic aggregation to the matched place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.patches import PATCH
from refsr_bench.learning.scales import Scale


def pre_offsets(
    flow: Tensor, scale: int = 1, taps: str = "mirrored", rows: tuple[int, int] | None = None
) -> Tensor:
    """Compute the displacement p0 of each of the nine kernel taps, at ``scale`` times the matching resolution.

    flow (h-2, w-2, 2) -> (9, h*scale, w*scale, 2), (x, y), in pixels of that resolution. rows: the rows of
    cells wanted (first, last + 1); None for all.

    A cell lies in up to nine patches, and each of the nine taps takes p0 from a different one. ``taps`` chooses the
    patch for tap k = 3i + j at cell (y, x); patches are named by their top-left cell:

    * ``mirrored``: patch (y-i, x-j), zero where there is none. This is the convention of the authors' checkpoints; the
      displacement is mirrored with respect to the tap's own position.
    * ``unmirrored``: patch (y+i-2, x+j-2), the one centred on the cell that the tap samples, (y+i-1, x+j-1).
    * ``covering``: patch (y-i, x-j) as in ``mirrored``, so that the nine are all the patches that contain the cell.

    In the last two, the patch nearest to the border stands for those beyond it.
    """
    # Padding moves patch (r, c) to row r + 2 and column c + 2, so that no index above is negative.
    if taps == "mirrored":
        padded = F.pad(flow, (0, 0, 2, 2, 2, 2))
    else:
        padded = F.pad(flow.permute(2, 0, 1)[None], (2, 2, 2, 2), mode="replicate")[0].permute(1, 2, 0)
    top, end = rows or (0, flow.shape[0] + 2)
    # (end - top + 2, w + 2, 2) -> the same with every cell repeated scale x scale times, in pixels of that resolution
    padded = padded[top : end + 2].repeat_interleave(scale, 0).repeat_interleave(scale, 1) * scale
    h, w = (end - top) * scale, (flow.shape[1] + 2) * scale
    starts = [n * scale for n in (range(PATCH) if taps == "unmirrored" else (2, 1, 0))]
    return torch.stack([padded[top : top + h, left : left + w] for top in starts for left in starts])


def pre_offsets_by_layer(
    flows: Sequence[Tensor], scales: Iterable[Scale], taps: str = "mirrored"
) -> dict[str, Tensor]:
    """Stack ``pre_offsets`` of a batch by layer, (N, 9, h*f, w*f, 2). flows: (h-2, w-2, 2), one per image."""
    return {
        layer: torch.stack([pre_offsets(flow, factor, taps) for flow in flows]) for layer, _, factor in scales
    }
