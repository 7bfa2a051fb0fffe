"""Coarse-to-fine matching for large references: nearly ``patch_correlation.match``, at a fraction of the work.

1. descriptors are averaged over cells of 4x4
2. every coarse cell of the input keeps the coarse cells of the reference that are most similar
3. the patches of the cell are compared exactly with those in and around the kept cells
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.patch_correlation import TILE
from c2matching.matching.patches import PATCH, check_size, patch_norms

CELL = 4  # descriptors along a side of a coarse cell
CANDIDATES = 8  # coarse cells of the reference kept per coarse cell of the input
AROUND = 2  # patches searched beyond a kept cell on every side
BATCH = 256  # coarse cells refined at once: about 200 MB with 256 channels


@torch.no_grad()
def match_coarse(features: Tensor, ref_features: Tensor) -> tuple[Tensor, Tensor]:
    """Find a similar reference patch for every patch of the input, the best one among the candidates.

    features (C, h, w), ref_features (C, H, W) -> index, similarity (h-2, w-2), as ``patch_correlation.match`` returns
    them; the patch found need not be the best of all. Raises ValueError for maps smaller than a patch.
    """
    check_size(features, ref_features)
    channels, h, w = features.shape
    _, ref_h, ref_w = ref_features.shape
    rows, cols, ref_rows, ref_cols = h - 2, w - 2, ref_h - 2, ref_w - 2
    chosen = _candidates(_pooled(features), _pooled(ref_features))  # (cells, k), cells of the reference
    per_row, ref_per_row = -(-w // CELL), -(-ref_w // CELL)  # coarse cells
    best = features.new_full((rows, cols), -torch.inf)
    index = torch.zeros((rows, cols), dtype=torch.int64, device=features.device)
    side, reach = CELL, CELL + 2 * AROUND  # patches along a cell, and along a window of the reference
    queries, keys = (x.permute(1, 2, 0).reshape(-1, channels) for x in (features, ref_features))  # (h*w, C)
    scale = (1 / patch_norms(ref_features)).flatten()
    for start in range(0, len(chosen), BATCH):
        cells = torch.arange(start, min(start + BATCH, len(chosen)), device=features.device)
        # Windows are moved inside the map, so all hold whole patches; patches near borders are seen more than once.
        y = (cells // per_row * CELL).clamp(max=max(0, rows - side))
        x = (cells % per_row * CELL).clamp(max=max(0, cols - side))
        own = _window(y, x, min(side, rows), min(side, cols))
        a = queries[_pixels(own, w)]  # (n, pixels, C)
        for k in range(chosen.shape[1]):
            v = (chosen[cells, k] // ref_per_row * CELL - AROUND).clamp(0, max(0, ref_rows - reach))
            u = (chosen[cells, k] % ref_per_row * CELL - AROUND).clamp(0, max(0, ref_cols - reach))
            there = _window(v, u, min(reach, ref_rows), min(reach, ref_cols))
            volume = a @ keys[_pixels(there, ref_w)].transpose(1, 2)  # (n, pixels, pixels there), Eq. (4)
            sums = _patch_sums(volume, own.shape[1:], there.shape[1:])  # (n, own patches, patches there)
            targets = (there[..., 0] * ref_cols + there[..., 1]).flatten(1)
            value, where = (sums * scale[targets][:, None]).max(2)  # Eq. (8)
            _keep(best, index, own.flatten(1, 2), value, targets.gather(1, where))
    return index, best / patch_norms(features)


def _pooled(features: Tensor) -> Tensor:
    """Average descriptors over coarse cells, at unit length: (C, h, w) -> (C, ceil(h/4), ceil(w/4))."""
    cells = F.avg_pool2d(features[None], CELL, ceil_mode=True, count_include_pad=False)[0]
    return F.normalize(cells, dim=0)


def _candidates(coarse: Tensor, ref_coarse: Tensor) -> Tensor:
    """Find the k reference cells with the most similar 3x3 neighbourhoods for each coarse cell of the input, (n, k)."""
    queries, keys = (F.unfold(x[None], PATCH, padding=1)[0].T for x in (coarse, ref_coarse))  # (n, 9 * C)
    k = min(CANDIDATES, len(keys))
    step = max(1, TILE["cuda"] // len(keys))
    return torch.cat([(part @ keys.T).topk(k, dim=1).indices for part in queries.split(step)])


def _window(y: Tensor, x: Tensor, height: int, width: int) -> Tensor:
    """List the positions (n, height, width, 2), (y, x), in windows that begin at (y, x)."""
    dy, dx = torch.meshgrid(
        torch.arange(height, device=y.device), torch.arange(width, device=y.device), indexing="ij"
    )
    return torch.stack((y[:, None, None] + dy, x[:, None, None] + dx), dim=-1)


def _pixels(window: Tensor, width: int) -> Tensor:
    """Flat indices (n, (height+2)*(width+2)) of the pixels under a window of patches."""
    pixels = _window(window[:, 0, 0, 0], window[:, 0, 0, 1], window.shape[1] + 2, window.shape[2] + 2)
    return (pixels[..., 0] * width + pixels[..., 1]).flatten(1)


def _patch_sums(volume: Tensor, own: torch.Size, there: torch.Size) -> Tensor:
    """Correlations of pixels (n, p, q) summed over the nine shifts -> (n, own patches, patches there)."""
    (a, b), (v, u) = own[:2], there[:2]
    volume = volume.view(-1, a + 2, b + 2, v + 2, u + 2)  # (n, own pixels by row and column, pixels there likewise)
    shifts = [volume[:, i : i + a, j : j + b, i : i + v, j : j + u] for i in range(3) for j in range(3)]
    return sum(shifts[1:], shifts[0]).reshape(len(volume), a * b, v * u)


def _keep(best: Tensor, index: Tensor, own: Tensor, value: Tensor, target: Tensor) -> None:
    """Update ``best`` and ``index`` (rows, cols) where ``value`` is higher.

    own (n, patches, 2): positions (y, x); value, target (n, patches): what was found for them.
    """
    flat = (own[..., 0] * best.shape[1] + own[..., 1]).flatten()
    better = (value.flatten() > best.view(-1)[flat]).nonzero()[:, 0]
    best.view(-1)[flat[better]] = value.flatten()[better]
    index.view(-1)[flat[better]] = target.flatten()[better]
