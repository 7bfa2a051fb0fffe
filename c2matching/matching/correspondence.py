"""Patch matching by correlation (Eq. 4 and 8) and the pre-offsets it gives to dynamic aggregation.

The correlation of two 3x3 patches is the sum of nine *pixel* correlations, so one matrix product of pixel descriptors
serves all overlapping patches: nine times fewer multiplications than correlating unfolded patches. Sums over the nine
shifts are made in two steps of three, over columns and over rows, in tiles that stay in the processor's cache; the
whole volume is never held. Of large maps on CPUs, ``fused`` and ``bounds`` leave out most of that, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching import fused

PATCH = 3
NORM_EPS = 1e-5
GAP = 16  # rows of zeros between references on their canvas: more than learned offsets reach
TILE = {"cpu": 3 << 20, "cuda": 1 << 26}  # pixel correlations held at once; on CPUs, what second-level caches share
STRIP = 256  # input columns at once
ROWS = 8  # reference rows that share a maximum; long stretches of memory are searched fastest


@dataclass(frozen=True)
class Correspondence:
    """The best reference patch for every 3x3 patch of an input map of h x w descriptors.

    flow (h-2, w-2, 2) float, (x, y): matched patch minus own patch, in descriptor cells (4 HR pixels), on the canvas of
    the references (``canvas_tops``). index (h-2, w-2) int64: matched patch, row-major over the patches of its
    reference. similarity (h-2, w-2): cosine. reference (h-2, w-2) int64: which reference it is in.
    """

    flow: Tensor
    index: Tensor
    similarity: Tensor
    reference: Tensor


def patch_norms(features: Tensor) -> Tensor:
    """(C, H, W) -> (H-2, W-2): L2 norm of every 3x3 patch plus epsilon."""
    energy = features.square().sum(0)[None, None]
    return F.avg_pool2d(energy, PATCH, 1)[0, 0].mul(PATCH * PATCH).sqrt() + NORM_EPS


def check_size(features: Tensor, ref_features: Tensor) -> None:
    """Raise ValueError when either map (C, h, w) is smaller than a patch."""
    if min(*features.shape[1:], *ref_features.shape[1:]) < PATCH:
        sizes = " and ".join(f"{h}x{w}" for _, h, w in (features.shape, ref_features.shape))
        raise ValueError(f"feature maps of {sizes}: matching needs at least 3x3 each")


def _products(rows: Tensor, keys: Tensor) -> Tensor:
    """rows (1, C, r, w), channels last, keys (n, C) -> (r, w, n).

    On the CPU as a 1x1 convolution, which PyTorch gives to oneDNN: up to 1.5 times the speed of its matrix product.
    """
    if rows.is_cuda:
        return rows[0].permute(1, 2, 0) @ keys.T
    return F.conv2d(rows, keys[:, :, None, None])[0].permute(1, 2, 0).contiguous()


def _tile_rows(width: int, ref_rows: int, ref_width: int, limit: int) -> tuple[int, int]:
    """Input rows and reference patch rows per tile. Neighbouring blocks of reference rows share two rows of pixels."""
    for rows in (4, 2, 1):
        block = min(ref_rows, limit // (rows * width * ref_width) - 2)
        if block >= min(6, ref_rows):
            return rows, -(-ref_rows // -(-ref_rows // block))  # blocks of about equal size
    return 1, max(1, block)


@torch.no_grad()
def match(
    features: Tensor,
    ref_features: Tensor,
    normalise_ref: bool = True,
    normalise_input: bool = True,
    precision: str = "exact",
    prune: bool = True,
) -> tuple[Tensor, Tensor]:
    """For every 3x3 patch of ``features`` the most similar 3x3 patch of ``ref_features`` (Eq. 8).

    features (C, h, w), ref_features (C, H, W), float32. Returns ``index`` (h-2, w-2) int64, row-major over the
    (H-2) x (W-2) reference patches, and ``similarity`` (h-2, w-2): cosine when both sides are normalised. The argmax is
    taken over reference-normalised values; ties go to the lowest index. precision: ``exact``, float32 throughout, or
    ``half``, descriptors rounded to 16 bits. prune: exact matching of large maps on a CPU leaves out, where that
    pays and numba is installed, what bounds on the correlations exclude (``bounds``); it finds the same, true ties
    apart. Raises ValueError for maps smaller than 3 x 3.
    """
    check_size(features, ref_features)
    own_norms, norms = patch_norms(features), patch_norms(ref_features)
    limit = own_norms if normalise_ref else own_norms * norms.max()
    norms = norms if normalise_ref else torch.ones_like(norms)
    found = None
    if prune and precision == "exact" and fused.usable(features, ref_features):
        found = fused.match(features, ref_features, 1 / norms, limit)
    index, best = found or _match_strips(features, ref_features, norms, precision)
    return index, best / own_norms if normalise_input else best


def _match_strips(
    features: Tensor, ref_features: Tensor, norms: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    """Index and correlation before the input's normalisation, by correlating everything, in strips and tiles."""
    width = features.shape[2]
    strips = [
        _match_strip(features[:, :, left : min(width, left + STRIP + 2)], ref_features, norms, precision)
        for left in range(0, width - 2, STRIP)
    ]
    return tuple(torch.cat(parts, dim=1) for parts in zip(*strips, strict=True))


def _match_strip(
    features: Tensor, ref_features: Tensor, norms: Tensor, precision: str
) -> tuple[Tensor, Tensor]:
    channels, h, w = features.shape
    _, ref_h, ref_w = ref_features.shape
    rows, cols, ref_rows = h - 2, w - 2, ref_h - 2
    scale, common = None, 1.0
    if norms.max() - norms.min() <= 2**-20 * norms.max():
        common = norms.max()  # unit descriptors: all norms are 3, but for rounding
    else:
        scale = F.pad(1 / norms, (0, 2)).flatten()
    image = features[None].contiguous(memory_format=torch.channels_last)
    keys = ref_features.reshape(channels, -1).T.contiguous()
    if precision == "half":
        image, keys = ((t.half() if t.is_cuda else t.bfloat16()) for t in (image, keys))
        if not (image.is_cuda or torch.cpu._is_avx512_bf16_supported()):  # multiplied several times slower there
            image, keys = image.float(), keys.float()
    step, block = _tile_rows(w, ref_rows, ref_w, TILE[features.device.type])
    best = features.new_full((rows, cols), -torch.inf)
    index = torch.zeros((rows, cols), dtype=torch.int64, device=features.device)
    for top in range(0, ref_rows, block):
        count = min(block, ref_rows - top)
        # Reference positions lie in one axis of whole rows, v * W + u, so that a shift by (i, j) is one by i * W + j
        # and sums run over long stretches of memory. The last two of each row's W positions are no patches.
        n, length = (count + 2) * ref_w, count * ref_w - 2
        block_keys = keys[top * ref_w : top * ref_w + n]
        block_scale = None if scale is None else scale[top * ref_w : top * ref_w + length]
        diagonals = best.new_empty(step + 2, cols, n)  # sums over columns; the first two rows are the last tile's
        groups = -(-count // ROWS)
        patches = best.new_full((step, cols, groups * ROWS * ref_w), -torch.inf)
        for y in range(0, h, step):
            r = min(step, h - y)
            pixels = _products(image[:, :, y : y + r], block_keys)
            new = diagonals[2 : 2 + r, :, : n - 2]
            torch.add(pixels[:, :-2, :-2], pixels[:, 1:-1, 1:-1], out=new).add_(pixels[:, 2:, 2:])
            skip = max(0, 2 - y)  # a patch needs three rows
            if r > skip:
                d0, d1, d2 = (diagonals[skip + i : r + i] for i in range(PATCH))
                sums = patches[: r - skip, :, :length]
                torch.add(d0[..., :length], d1[..., ref_w : ref_w + length], out=sums)
                sums.add_(d2[..., 2 * ref_w : n - 2])
                if block_scale is not None:
                    sums.mul_(block_scale)
                own = slice(y - 2 + skip, y - 2 + r)
                _keep_best(patches[: r - skip].view(-1, cols, groups, ROWS, ref_w), best[own], index[own], top)
            diagonals[:2] = diagonals[r : r + 2] if r > 1 else diagonals[1:3].clone()
    return index, best / common


def _keep_best(patches: Tensor, best: Tensor, index: Tensor, top: int) -> None:
    """Update ``best`` and ``index`` (a, b) in place with correlations (a, b, groups, ROWS, u+2) of reference rows from
    ``top``."""
    a, b, groups, rows, width = patches.shape
    by_group = patches[..., : width - 2].amax((3, 4))
    value = by_group.amax(2)
    better = (value > best).flatten().nonzero()[:, 0]
    if len(better):
        group = by_group.view(a * b, groups)[better].argmax(1)  # the first of equal ones
        values = patches.view(a * b * groups, rows, width).index_select(0, better * groups + group)[..., : width - 2]
        best.view(-1)[better] = value.view(-1)[better]
        index.view(-1)[better] = (top + group * rows) * (width - 2) + values.flatten(1).argmax(1)


def canvas_tops(heights: Sequence[int]) -> list[int]:
    """Where references of these heights (descriptor cells) begin on the canvas that holds them below each other."""
    tops = [0]
    for height in heights[:-1]:
        tops.append(tops[-1] + height + GAP)
    return tops


def on_canvas(maps: Sequence[Tensor], factor: int = 1) -> Tensor:
    """Feature maps (N, C, H, W) of several references on one, at ``factor`` times the matching resolution.

    Below each other, left-aligned on zeros, with GAP * factor rows between. One map stays what it is.
    """
    if len(maps) == 1:
        return maps[0]
    tops = canvas_tops([m.shape[2] // factor for m in maps])
    last = maps[-1]
    canvas = last.new_zeros(*last.shape[:2], tops[-1] * factor + last.shape[2], max(m.shape[3] for m in maps))
    for top, m in zip(tops, maps, strict=True):
        canvas[:, :, top * factor : top * factor + m.shape[2], : m.shape[3]] = m
    return canvas


def correspond(features: Tensor, ref_features: Tensor | Sequence[Tensor], mode: str = "exact") -> Correspondence:
    """Match the descriptors of an image with those of one or several references of any sizes; the best match wins.

    features (C, h, w), ref_features (C, H, W) each; L2-normalised over channels first. mode: ``exact``, ``half`` (see
    ``match``) or ``coarse`` (``coarse.match_coarse``). Equal matches go to the earlier reference. Raises ValueError
    for maps smaller than a patch.
    """
    refs = [ref_features] if isinstance(ref_features, Tensor) else list(ref_features)
    tops = canvas_tops([ref.shape[1] for ref in refs])
    features = F.normalize(features, dim=0)
    found: Correspondence | None = None
    for number, (top, ref) in enumerate(zip(tops, refs, strict=True)):
        index, similarity = _matcher(mode)(features, F.normalize(ref, dim=0))
        flow = index_to_flow(index, ref.shape[2] - 2) + torch.tensor([0.0, top], device=index.device)
        this = Correspondence(flow, index, similarity, torch.full_like(index, number))
        found = this if found is None else _better(found, this)
    return found


def _matcher(mode: str) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    if mode == "coarse":
        from c2matching.matching.coarse import match_coarse

        return match_coarse
    return lambda features, ref: match(features, ref, precision=mode)


def _better(one: Correspondence, other: Correspondence) -> Correspondence:
    wins = other.similarity > one.similarity
    return Correspondence(
        torch.where(wins[..., None], other.flow, one.flow),
        torch.where(wins, other.index, one.index),
        torch.where(wins, other.similarity, one.similarity),
        torch.where(wins, other.reference, one.reference),
    )


def index_to_flow(index: Tensor, ref_cols: int) -> Tensor:
    """Row-major patch index (h, w) over rows of ``ref_cols`` patches -> flow (h, w, 2) float32, (x, y) displacement."""
    h, w = index.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=index.device), torch.arange(w, device=index.device), indexing="ij"
    )
    return torch.stack((index % ref_cols - x, index // ref_cols - y), dim=-1).float()


def pre_offsets(
    flow: Tensor, scale: int = 1, taps: str = "mirrored", rows: tuple[int, int] | None = None
) -> Tensor:
    """The displacement p0 of Eq. (9) for each of the nine kernel taps, at ``scale`` times the matching resolution.

    flow (h-2, w-2, 2) -> (9, h*scale, w*scale, 2), (x, y), in pixels of that resolution. For tap k = 3i + j at cell
    (y, x), p0 is the flow of one of the patches that contain the cell (patches are named by their top-left cell):

    * ``mirrored``: patch (y-i, x-j), zero where there is none. The convention of the authors' checkpoints, in which the
      displacement is mirrored with respect to the tap's own position.
    * ``unmirrored``: patch (y+i-2, x+j-2), the one centred on the cell that the tap samples, (y+i-1, x+j-1).
    * ``covering``: patch (y-i, x-j) as in ``mirrored``, so that the nine are all patches that contain the cell.

    In the last two, the patch nearest to the border stands for those beyond it. rows: cells (first, last + 1) that are
    wanted, all by default.
    """
    if taps == "mirrored":
        padded = F.pad(flow, (0, 0, 2, 2, 2, 2))
    else:
        padded = F.pad(flow.permute(2, 0, 1)[None], (2, 2, 2, 2), mode="replicate")[0].permute(1, 2, 0)
    top, end = rows or (0, len(flow) + 2)
    padded = padded[top : end + 2].repeat_interleave(scale, 0).repeat_interleave(scale, 1) * scale
    h, w = (end - top) * scale, (flow.shape[1] + 2) * scale
    starts = [n * scale for n in (range(PATCH) if taps == "unmirrored" else (2, 1, 0))]
    return torch.stack([padded[top : top + h, left : left + w] for top in starts for left in starts])
