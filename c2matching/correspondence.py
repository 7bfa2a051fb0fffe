"""Patch matching by correlation (Eq. 4 and 8) and the pre-offsets it gives to dynamic aggregation.

The correlation of two 3x3 patches is the sum of nine *pixel* correlations, so one matrix product of pixel
descriptors serves all overlapping patches: nine times fewer multiplications than correlating unfolded patches.
The product is made in tiles of input rows x reference rows and never held whole.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 3
NORM_EPS = 1e-5
TILE_ELEMENTS = 1 << 24  # correlations in one tile: 64 MB of float32; smaller tiles overlap too much on wide maps


def _patch_norms(features: Tensor) -> Tensor:
    """(C, H, W) -> (H-2, W-2): L2 norm of every 3x3 patch plus epsilon."""
    energy = features.square().sum(0)[None, None]
    return F.avg_pool2d(energy, PATCH, 1)[0, 0].mul(PATCH * PATCH).sqrt() + NORM_EPS


class _Tiles:
    """Correlations of one tile of patch rows with another, in buffers that every tile reuses.

    Reference positions are kept in one axis of whole rows, v * W + u, so that a shift by (i, j) is a shift by i * W + j
    and every sum runs over long stretches of memory. The last two of each row's W positions are no patches.
    """

    def __init__(self, like: Tensor, rows: int, width: int, ref_rows: int, ref_width: int) -> None:
        self.width, self.ref_width = width, ref_width
        positions = (ref_rows + 2) * ref_width
        self.pixels = like.new_empty((rows + 2) * width * positions)
        self.diagonals = like.new_empty((rows + 2) * (width - 2) * (positions - 2))
        self.patches = like.new_empty(rows * (width - 2) * ref_rows * ref_width)

    def correlate(self, queries: Tensor, keys: Tensor) -> Tensor:
        """queries ((a+2)*w, C), keys (C, (b+2)*W) -> sums over 3x3 shifts, (a, w-2, b*W)."""
        w, ref_w = self.width, self.ref_width
        a, n = len(queries) // w - 2, keys.shape[1]
        c = torch.mm(queries, keys, out=self.pixels[: len(queries) * n].view(-1, n)).view(a + 2, w, n)
        s = self.diagonals[: (a + 2) * (w - 2) * (n - 2)].view(a + 2, w - 2, n - 2)
        torch.add(c[:, :-2, :-2], c[:, 1:-1, 1:-1], out=s).add_(c[:, 2:, 2:])
        length = n - 2 * ref_w
        out = self.patches[: a * (w - 2) * length].view(a, w - 2, length)
        m = length - 2
        torch.add(s[:-2, :, :m], s[1:-1, :, ref_w : ref_w + m], out=out[:, :, :m])
        out[:, :, :m].add_(s[2:, :, 2 * ref_w :])
        out[:, :, m:] = 0  # no patches, but they must hold numbers
        return out


def _row_tiles(rows: int, width: int, ref_rows: int, ref_width: int) -> tuple[int, int]:
    """Patch rows of input and reference per tile, so that a tile stays near TILE_ELEMENTS."""
    a = b = 1
    while (a < rows or b < ref_rows) and (a + 4) * (b + 4) * width * ref_width <= TILE_ELEMENTS:
        a, b = min(rows, a + 2), min(ref_rows, b + 2)
    return a, b


@torch.no_grad()
def match(
    features: Tensor, ref_features: Tensor, normalise_ref: bool = True, normalise_input: bool = True
) -> tuple[Tensor, Tensor]:
    """For every 3x3 patch of ``features`` the most similar 3x3 patch of ``ref_features`` (Eq. 8).

    features (C, h, w), ref_features (C, H, W), float. Returns ``index`` (h-2, w-2) int64, row-major over the
    (H-2) x (W-2) reference patches, and ``similarity`` (h-2, w-2): cosine when both sides are normalised. The
    argmax is taken over reference-normalised values; ties go to the lowest index. Both maps must be at least 3 x 3.
    """
    channels, h, w = features.shape
    _, ref_h, ref_w = ref_features.shape
    rows, cols, ref_rows, ref_cols = h - 2, w - 2, ref_h - 2, ref_w - 2
    if min(rows, cols, ref_rows, ref_cols) < 1:
        raise ValueError(f"feature maps of {h}x{w} and {ref_h}x{ref_w}: matching needs at least 3x3 each")
    best = features.new_full((rows, cols), -torch.inf)
    index = torch.zeros((rows, cols), dtype=torch.int64, device=features.device)
    scale = features.new_ones(ref_rows, ref_w)
    if normalise_ref:
        scale[:, :ref_cols] = 1 / _patch_norms(ref_features)
    barred = features.new_zeros(ref_rows, ref_w)
    barred[:, ref_cols:] = -torch.inf  # positions that are no patches never win
    scale, barred, ref_flat = scale.flatten(), barred.flatten(), ref_features.reshape(channels, -1)
    step, ref_step = _row_tiles(rows, w, ref_rows, ref_w)
    tiles = _Tiles(features, step, w, ref_step, ref_w)
    for top in range(0, rows, step):
        own = slice(top, min(top + step, rows))
        queries = features[:, top : own.stop + 2].reshape(channels, -1).T.contiguous()
        for ref_top in range(0, ref_rows, ref_step):
            ref_end = min(ref_top + ref_step, ref_rows)
            there = slice(ref_top * ref_w, ref_end * ref_w)
            tile = tiles.correlate(queries, ref_flat[:, there.start : there.stop + 2 * ref_w])
            value, where = torch.addcmul(barred[there], tile, scale[there], out=tile).max(2)
            better = value > best[own]
            best[own] = torch.where(better, value, best[own])
            index[own] = torch.where(better, where + there.start, index[own])
    index = index // ref_w * ref_cols + index % ref_w
    return index, best / _patch_norms(features) if normalise_input else best


def correspond(features: Tensor, ref_features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Match descriptors of one image pair: (C, h, w), (C, H, W) -> flow, index, similarity.

    Descriptors are L2-normalised over channels first. flow (h-2, w-2, 2) float, (x, y): matched patch minus own patch,
    in feature pixels (multiply by 4 for HR pixels). References of another size than the input are welcome.
    """
    index, similarity = match(F.normalize(features, dim=0), F.normalize(ref_features, dim=0))
    return index_to_flow(index, ref_features.shape[2] - 2), index, similarity


def index_to_flow(index: Tensor, ref_cols: int) -> Tensor:
    """Row-major patch index (h, w) over rows of ``ref_cols`` patches -> flow (h, w, 2) float32, (x, y) displacement."""
    h, w = index.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=index.device), torch.arange(w, device=index.device), indexing="ij"
    )
    return torch.stack((index % ref_cols - x, index // ref_cols - y), dim=-1).float()


def pre_offsets(flow: Tensor, scale: int = 1, taps: str = "mirrored") -> Tensor:
    """The displacement p0 of Eq. (9) for each of the nine kernel taps, at ``scale`` times the matching resolution.

    flow (h-2, w-2, 2) -> (9, h*scale, w*scale, 2), (x, y), in pixels of that resolution. For tap k = 3i + j at cell
    (y, x), p0 is the flow of one of the patches that contain the cell (patches are named by their top-left cell):

    * ``mirrored``: patch (y-i, x-j), zero where there is none. The convention of the authors' checkpoints, in which the
      displacement is mirrored with respect to the tap's own position.
    * ``unmirrored``: patch (y+i-2, x+j-2), the one centred on the cell that the tap samples, (y+i-1, x+j-1).
    * ``covering``: patch (y-i, x-j) as in ``mirrored``, so that the nine are all patches that contain the cell.

    In the last two, the patch nearest to the border stands for those beyond it.
    """
    if taps == "mirrored":
        padded = F.pad(flow, (0, 0, 2, 2, 2, 2))
    else:
        padded = F.pad(flow.permute(2, 0, 1)[None], (2, 2, 2, 2), mode="replicate")[0].permute(1, 2, 0)
    padded = padded.repeat_interleave(scale, 0).repeat_interleave(scale, 1) * scale
    h, w = ((n + 2) * scale for n in flow.shape[:2])
    starts = [n * scale for n in (range(PATCH) if taps == "unmirrored" else (2, 1, 0))]
    return torch.stack([padded[top : top + h, left : left + w] for top in starts for left in starts])
