"""Exact patch matching (Eq. 4 and 8): the most similar 3x3 patch of one map for every 3x3 patch of another.

Eq. (4) is a softmax over the cosines of one patch with all others. A softmax keeps the order, so the argmax of Eq. (8)
is that of the cosines, and nothing needs to be exponentiated.

The correlation of two 3x3 patches is the sum of nine *pixel* correlations. One matrix product of pixel descriptors
therefore serves all overlapping patches, with a ninth of the multiplications that correlating unfolded patches takes:

1. correlations of pixels, a matrix product
2. correlations of patches: sums over the nine shifts, three along the columns and then three along the rows
3. division by the norms of the reference's patches, and the maximum (Eq. 8)

All three are done in tiles that stay in the processor's cache; the whole volume is never held. On CPUs, ``pruned``
leaves out most of it for large maps.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching import pruned
from c2matching.matching.patches import PATCH, check_size, patch_norms
from refsr_bench.learning.hardware import in_float32

TILE = {"cpu": 3 << 20, "cuda": 1 << 26}  # pixel correlations held at once; 12 MiB on CPUs, which fit the cache
STRIP = 256  # input columns at once, which bounds the memory of wide images
ROWS = 8  # reference rows that share a maximum, because long stretches of memory are searched fastest
EQUAL_NORMS = 2**-20  # relative; norms that differ by less, eight roundings of float32, count as equal


@in_float32
@torch.no_grad()
def match(
    features: Tensor,
    ref_features: Tensor,
    normalise_ref: bool = True,
    normalise_input: bool = True,
    precision: str = "exact",
    prune: bool = True,
) -> tuple[Tensor, Tensor]:
    """Find for every 3x3 patch of ``features`` the most similar 3x3 patch of ``ref_features`` (Eq. 8).

    features (C, h, w), ref_features (C, H, W), float32. Returns ``index`` (h-2, w-2) int64, row-major over the
    (H-2) x (W-2) reference patches, and ``similarity`` (h-2, w-2): a cosine when both sides are normalised. The argmax
    is taken over reference-normalised values; ties go to the lowest index.

    precision: ``exact`` is float32 throughout, ``half`` rounds the descriptors to 16 bits. prune: large maps on a CPU
    are matched by ``pruned`` where that pays and numba is installed; it finds the same patches, true ties apart. Raises
    ValueError for maps smaller than 3 x 3.
    """
    check_size(features, ref_features)
    own_norms, norms = patch_norms(features), patch_norms(ref_features)
    # Cauchy and Schwarz: no correlation exceeds the product of the norms, before the input's own normalisation.
    limit = own_norms if normalise_ref else own_norms * norms.max()
    norms = norms if normalise_ref else torch.ones_like(norms)
    found = None
    if prune and precision == "exact" and pruned.usable(features, ref_features):
        found = pruned.match(features, ref_features, 1 / norms, limit)
    index, best = found or match_in_tiles(features, ref_features, norms, precision)
    # 1 / |f_p| of Eq. (4) is the same for all candidates of a patch: it changes the value and not the argmax.
    return index, best / own_norms if normalise_input else best


def match_in_tiles(features: Tensor, ref_features: Tensor, norms: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Correlate all pairs of patches, strip by strip.

    norms (H-2, W-2): divisors of the correlations. Returns index and correlation (h-2, w-2) each, before the
    normalisation of the input.
    """
    width = features.shape[2]
    strips = [  # neighbouring strips share two columns, so that every patch lies in one of them
        _match_strip(features[:, :, left : min(width, left + STRIP + PATCH - 1)], ref_features, norms, precision)
        for left in range(0, width - 2, STRIP)
    ]
    return tuple(torch.cat(parts, dim=1) for parts in zip(*strips, strict=True))


class _Block(NamedTuple):
    """Some rows of the reference. Their patches begin in ``rows`` rows from ``top``; their pixels reach two further.

    keys ((rows+2)*W, C): pixels, row after row. scale (rows*W-2,): what the correlations are multiplied by, None where
    it is the same everywhere. width: W.

    Positions of patches lie in one axis of whole rows, v * W + u. A shift by (i, j) is then one by i * W + j, and sums
    run over long stretches of memory. The last two positions of every row are no patches: they mix two rows.
    """

    keys: Tensor
    scale: Tensor | None
    width: int
    top: int
    rows: int


def _match_strip(features: Tensor, ref_features: Tensor, norms: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """``match_in_tiles`` for one strip, which goes through the reference block by block."""
    channels, h, w = features.shape
    _, ref_h, ref_w = ref_features.shape
    ref_rows = ref_h - 2
    scale, common = None, 1.0
    if norms.max() - norms.min() <= EQUAL_NORMS * norms.max():
        common = norms.max()  # as for unit descriptors, whose patches all have the norm 3: one division at the end
    else:
        scale = F.pad(1 / norms, (0, 2)).flatten()
    image = features[None].contiguous(memory_format=torch.channels_last)
    keys = ref_features.reshape(channels, -1).T.contiguous()  # (C, H, W) -> (H*W, C)
    if precision == "half":
        image, keys = ((t.half() if t.is_cuda else t.bfloat16()) for t in (image, keys))
        if not (image.is_cuda or torch.cpu._is_avx512_bf16_supported()):  # multiplied several times slower there
            image, keys = image.float(), keys.float()
    step, most = _tile_rows(w, ref_rows, ref_w, TILE.get(features.device.type, TILE["cuda"]))
    best = features.new_full((h - 2, w - 2), -torch.inf)
    index = torch.zeros((h - 2, w - 2), dtype=torch.int64, device=features.device)
    for top in range(0, ref_rows, most):
        rows = min(most, ref_rows - top)
        first = top * ref_w
        block = _Block(
            keys[first : first + (rows + 2) * ref_w],
            None if scale is None else scale[first : first + rows * ref_w - 2],
            ref_w, top, rows,
        )  # fmt: skip
        _match_block(image, block, step, best, index)
    return index, best / common


def _tile_rows(width: int, ref_rows: int, ref_width: int, limit: int) -> tuple[int, int]:
    """Input rows and reference patch rows per tile, of at most ``limit`` pixel correlations where that is possible.

    Neighbouring blocks of reference rows compute two rows of pixels twice, so a block of fewer than six would waste
    much: then there are fewer input rows instead.
    """
    for rows in (4, 2, 1):
        block = min(ref_rows, limit // (rows * width * ref_width) - 2)
        if block >= min(6, ref_rows):
            return rows, -(-ref_rows // -(-ref_rows // block))  # blocks of about equal size
    return 1, max(1, block)


def _match_block(image: Tensor, block: _Block, step: int, best: Tensor, index: Tensor) -> None:
    """Update ``best`` and ``index`` (h-2, w-2) by the patches of one block, ``step`` rows of the image at a time.

    image (1, C, h, w), channels last.
    """
    h, cols, ref_w = image.shape[2], best.shape[1], block.width
    pixels_there, length = len(block.keys), block.rows * ref_w - 2
    diagonals = best.new_empty(step + 2, cols, pixels_there)  # the first two rows are the last of the tile before
    groups = -(-block.rows // ROWS)
    patches = best.new_full((step, cols, groups * ROWS * ref_w), -torch.inf)  # what is never written never wins
    for y in range(0, h, step):
        r = min(step, h - y)
        pixels = _pixel_correlations(image[:, :, y : y + r], block.keys)  # f_p . f_q of Eq. (4), (r, w, pixels there)
        # Three shifts along the columns: pixel x + j against pixel p + j.
        new = diagonals[2 : 2 + r, :, : pixels_there - 2]
        torch.add(pixels[:, :-2, :-2], pixels[:, 1:-1, 1:-1], out=new).add_(pixels[:, 2:, 2:])
        skip = max(0, 2 - y)  # rows at the top that do not complete a patch, which needs three
        if r > skip:
            # Three shifts along the rows: row y + i against position p + i * W.
            d0, d1, d2 = (diagonals[skip + i : r + i] for i in range(PATCH))
            sums = patches[: r - skip, :, :length]
            torch.add(d0[..., :length], d1[..., ref_w : ref_w + length], out=sums)
            sums.add_(d2[..., 2 * ref_w : pixels_there - 2])
            if block.scale is not None:
                sums.mul_(block.scale)  # 1 / |f_q|, of whole patches
            own = slice(y - 2 + skip, y - 2 + r)
            _keep_best(patches[: r - skip].view(-1, cols, groups, ROWS, ref_w), best[own], index[own], block.top)
        diagonals[:2] = diagonals[r : r + 2] if r > 1 else diagonals[1:3].clone()  # with r = 1 the two overlap


def _pixel_correlations(rows: Tensor, keys: Tensor) -> Tensor:
    """Products of all pixels, rows (1, C, r, w), channels last, and keys (n, C) -> (r, w, n).

    On the CPU they are a 1x1 convolution, which PyTorch gives to oneDNN: up to 1.5 times the speed of its matrix
    product.
    """
    if rows.is_cuda:
        return rows[0].permute(1, 2, 0) @ keys.T
    return F.conv2d(rows, keys[:, :, None, None])[0].permute(1, 2, 0).contiguous()


def _keep_best(patches: Tensor, best: Tensor, index: Tensor, top: int) -> None:
    """Update ``best`` and ``index`` (a, b) in place by the maximum of each patch's correlations (Eq. 8).

    patches (a, b, groups, ROWS, W): correlations with the reference's rows from ``top``. Only where a group has a
    better maximum is that group searched for its place.
    """
    a, b, groups, rows, width = patches.shape
    cols = width - 2  # the last two positions of a row are no patches
    by_group = patches[..., :cols].amax((3, 4))  # (a, b, groups)
    value = by_group.amax(2)  # Eq. (8)
    better = (value > best).flatten().nonzero()[:, 0]
    if len(better):
        group = by_group.view(a * b, groups)[better].argmax(1)  # the first of equal ones
        values = patches.view(a * b * groups, rows, width).index_select(0, better * groups + group)[..., :cols]
        best.view(-1)[better] = value.view(-1)[better]
        index.view(-1)[better] = (top + group * rows) * cols + values.flatten(1).argmax(1)
