"""The correspondences of an image with its references: the matched patch, its reference and its displacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.coarse import match_coarse
from c2matching.matching.patch_correlation import match
from c2matching.matching.patches import index_to_flow
from refsr_bench.learning.hardware import in_float32

GAP = 16  # rows of zeros between references on their canvas, in descriptor cells: more than learned offsets reach


@dataclass(frozen=True)
class Correspondence:
    """The best reference patch for every 3x3 patch of an input map of h x w descriptors.

    flow (h-2, w-2, 2) float, (x, y): matched patch minus own patch, in descriptor cells (4 HR pixels), on the canvas of
    the references (``canvas_tops``). index (h-2, w-2) int64: matched patch, row-major over the patches of its
    reference. similarity (h-2, w-2): cosine. reference (h-2, w-2) int64: number of the reference that holds it.
    certainty (h-2, w-2): of a match that ``subcell`` refined; None of others.
    """

    flow: Tensor
    index: Tensor
    similarity: Tensor
    reference: Tensor
    certainty: Tensor | None = None


@in_float32
def correspond(features: Tensor, ref_features: Tensor | Sequence[Tensor], mode: str = "exact") -> Correspondence:
    """Match the descriptors of an image with those of one or several references of any sizes; the best match wins.

    features (C, h, w), ref_features (C, H, W) each; descriptors are first scaled to length 1 (Eq. 4). mode:
    ``exact``, ``half`` (16 bits, see ``patch_correlation.match``) or ``coarse`` (``coarse.match_coarse``). Equal
    matches go to the earlier reference. Raises ValueError for maps smaller than a patch.
    """
    refs = [ref_features] if isinstance(ref_features, Tensor) else list(ref_features)
    tops = canvas_tops([ref.shape[1] for ref in refs])
    features = F.normalize(features, dim=0)  # f_p / |f_p| of Eq. (4)
    found: Correspondence | None = None
    for number, (top, ref) in enumerate(zip(tops, refs, strict=True)):
        ref = F.normalize(ref, dim=0)
        if mode == "coarse":
            index, similarity = match_coarse(features, ref)
        else:
            index, similarity = match(features, ref, precision=mode)
        flow = index_to_flow(index, ref.shape[2] - 2) + torch.tensor([0.0, top], device=index.device)  # p0 = p' - p
        this = Correspondence(flow, index, similarity, torch.full_like(index, number))
        found = this if found is None else better(found, this)
    return found


def better(one: Correspondence, other: Correspondence) -> Correspondence:
    """Keep the more similar match of the two, patch by patch; ``one`` when they are equal."""
    wins = other.similarity > one.similarity
    return Correspondence(
        torch.where(wins[..., None], other.flow, one.flow),
        torch.where(wins, other.index, one.index),
        torch.where(wins, other.similarity, one.similarity),
        torch.where(wins, other.reference, one.reference),
    )


def canvas_tops(heights: Sequence[int]) -> list[int]:
    """Return the rows at which references begin on the canvas that holds them below each other.

    Heights and rows are in descriptor cells.
    """
    tops = [0]
    for height in heights[:-1]:
        tops.append(tops[-1] + height + GAP)
    return tops


def on_canvas(maps: Sequence[Tensor], factor: int = 1) -> Tensor:
    """Put feature maps (N, C, H, W) of several references on one canvas, at ``factor`` times matching resolution.

    They lie below each other, left-aligned on zeros, with GAP * factor rows between. A single map is
    returned unchanged.
    """
    if len(maps) == 1:
        return maps[0]
    tops = canvas_tops([m.shape[2] // factor for m in maps])
    last = maps[-1]
    canvas = last.new_zeros(*last.shape[:2], tops[-1] * factor + last.shape[2], max(m.shape[3] for m in maps))
    for top, m in zip(tops, maps, strict=True):  # the rest stays zero, like all beyond a reference's border
        canvas[:, :, top * factor : top * factor + m.shape[2], : m.shape[3]] = m
    return canvas
