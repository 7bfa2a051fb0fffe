"""Patch swapping (SRNTT, section 3.1; TTSR, section 3.2): a feature map put together from matched reference patches.

Patches are 3x3 cells of a map at LR resolution (relu3_1 of a x4 image). At ``factor`` times that resolution the same
patches have ``3 * factor`` pixels along a side (3, 6, 12). Every cell of the result is the mean over the nine patches
that cover it, and so of nine cells of the reference. These are gathered one neighbour at a time. The result is what
``fold`` makes of unfolded patches, but the patches of the reference are never held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.patch_correlation import match
from c2matching.matching.patches import PATCH


@dataclass(frozen=True)
class Found:
    """The matched patch of every 3x3 patch of a map, for a batch and any number of references.

    cell (N, gh, gw) int64: its top left cell, counted row by row through all references, one after the other. width
    (N, gh, gw) int64: cells in a row of its reference. similarity (N, gh, gw): cosine. padding: cells of zeros around
    the map and the references, which are counted as cells. Without padding gh x gw is (h-2) x (w-2), with one h x w.
    """

    cell: Tensor
    width: Tensor
    similarity: Tensor
    padding: int

    def better(self, other: Found) -> Found:
        """The more similar of the two, patch by patch; this one where they are equal."""
        wins = other.similarity > self.similarity
        parts = ("cell", "width", "similarity")
        return Found(*(torch.where(wins, getattr(other, p), getattr(self, p)) for p in parts), self.padding)


@torch.no_grad()
def find_each(features: Tensor, refs: Sequence[Tensor], padding: int = 0) -> list[Found]:
    """The best match in each of the references. features (N, C, h, w); refs (N, C, H, W) each, of any sizes."""
    features = _padded(features, padding)
    found, first = [], 0
    for ref in refs:
        ref = _padded(ref, padding)
        height, width = ref.shape[2:]
        pairs = [match(own, other) for own, other in zip(features, ref, strict=True)]
        index, similarity = (torch.stack(parts) for parts in zip(*pairs, strict=True))
        cols = width - PATCH + 1
        cell = first + index // cols * width + index % cols
        found.append(Found(cell, torch.full_like(cell, width), similarity, padding))
        first += height * width  # the next reference's cells are counted on from here
    return found


def find(features: Tensor, refs: Sequence[Tensor], padding: int = 0) -> Found:
    """The best match in all references together, the first of equal ones. Shapes as in ``find_each``."""
    best, *others = find_each(features, refs, padding)
    for other in others:
        best = best.better(other)
    return best


def ranked(found: Sequence[Found], n: int) -> list[Found]:
    """The ``n`` most similar of the best matches in each reference, patch by patch, best first."""
    best = torch.stack([f.similarity for f in found]).sort(dim=0, descending=True, stable=True).indices[:n]
    cell, width, similarity = (
        torch.stack([getattr(f, part) for f in found]).gather(0, best) for part in ("cell", "width", "similarity")
    )
    return [Found(*parts, found[0].padding) for parts in zip(cell, width, similarity, strict=True)]


def swap(refs: Sequence[Tensor], found: Found, factor: int = 1) -> Tensor:
    """Put together the map of matched patches, (N, C, h * factor, w * factor); gradients go to the references.

    refs (N, C, H * factor, W * factor): feature maps of the references at ``factor`` times the matching resolution.
    Sums are divided by the number of patches that cover a cell. With padding it is always nine: TTSR's code counts
    patches beyond the border as zeros.
    """
    cells = _cells(refs, factor, found.padding)  # (N * cells, C * factor**2)
    n, rows, cols = found.cell.shape
    total = cells.new_zeros(n, rows + PATCH - 1, cols + PATCH - 1, cells.shape[1])  # (N, h, w, C * f**2)
    for i, j, where in _taps(found, len(cells)):
        total[:, i : i + rows, j : j + cols] += cells[where]  # (N, gh, gw, C * factor**2)
    if found.padding:
        inside = slice(found.padding, -found.padding)
        mean = total[:, inside, inside] / PATCH**2
    else:
        mean = total / (_covering(rows, cells)[:, None] * _covering(cols, cells))[..., None]
    return F.pixel_shuffle(mean.permute(0, 3, 1, 2), factor)


def swap_all(refs: Sequence[Mapping[str, Tensor]], found: Found, scales: Mapping[str, int]) -> dict[str, Tensor]:
    """``swap`` at several layers. refs: each reference's maps by layer; scales: the factor of every layer."""
    return {layer: swap([ref[layer] for ref in refs], found, factor) for layer, factor in scales.items()}


def cosine(features: Tensor, refs: Sequence[Tensor], found: Found) -> Tensor:
    """Compute ``found.similarity`` (N, gh, gw) again, with gradients to both sides. Shapes as in ``find_each``."""
    own = _padded(features, found.padding).permute(0, 2, 3, 1)
    cells = _cells(refs, 1, found.padding)
    _, rows, cols = found.cell.shape
    dot = own_energy = ref_energy = 0.0
    for i, j, where in _taps(found, len(cells)):
        a, b = own[:, i : i + rows, j : j + cols], cells[where]
        dot = dot + (a * b).sum(-1)
        own_energy = own_energy + a.square().sum(-1)
        ref_energy = ref_energy + b.square().sum(-1)
    return dot / (own_energy * ref_energy).clamp_min(1e-12).sqrt()  # flat patches: 0, and a finite gradient


def weight_map(similarity: Tensor, size: tuple[int, int]) -> Tensor:
    """The similarity of patches (N, h-2, w-2) as a map (N, 1, *size).

    The border is repeated, then the map enlarged bicubically with aligned corners, as in SRNTT's code.
    """
    cells = F.pad(similarity[:, None], (1, 1, 1, 1), mode="replicate")
    return F.interpolate(cells, size, mode="bicubic", align_corners=True)


def _padded(features: Tensor, padding: int) -> Tensor:
    return F.pad(features, (padding,) * 4)


def _cells(refs: Sequence[Tensor], factor: int, padding: int) -> Tensor:
    """All cells of all references as rows: (N * cells, C * factor**2), so that gathering copies contiguous memory."""
    parts = [F.pixel_unshuffle(_padded(ref, padding * factor), factor).flatten(2).transpose(1, 2) for ref in refs]
    return torch.cat(parts, dim=1).flatten(0, 1)


def _taps(found: Found, rows: int) -> Iterator[tuple[int, int, Tensor]]:
    """The nine cells of a patch: row i, column j, and which row of ``_cells`` it is (N, gh, gw)."""
    n = len(found.cell)
    image = torch.arange(n, device=found.cell.device).view(n, 1, 1) * (rows // n)
    for i in range(PATCH):
        for j in range(PATCH):
            yield i, j, image + found.cell + i * found.width + j


def _covering(patches: int, like: Tensor) -> Tensor:
    """The number of ``patches`` neighbouring patches that cover each cell along one axis: 1, 2, 3, ..., 3, 2, 1."""
    cell = torch.arange(patches + PATCH - 1, device=like.device)
    return (torch.minimum(cell, cell.flip(0)) + 1).clamp(max=min(PATCH, patches)).to(like.dtype)
