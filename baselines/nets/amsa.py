"""AMSA (Xia et al., AAAI 2022): C2-Matching with fast matching and a reference at five sizes.

1. CFE-PatchMatch: for each size of the reference, random correspondences are improved by propagation from coarse to
   fine. The order of the steps is ours (``patch_match``) and not the authors', whose correspondences differ in part
2. dynamic aggregation as in C2-Matching, with offsets learned from a reference that is aligned already
3. multi-scale aggregation: the features of the five decoders weighted by how well each reference size matched
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.family import C2Family
from c2matching.matching.correspondence import Correspondence
from c2matching.matching.patches import index_to_flow, patch_norms
from c2matching.matching.pre_offsets import pre_offsets_by_layer
from c2matching.nets.dynamic_aggregation import tap_offsets
from c2matching.nets.restoration import ContentExtractor, DynAggRestoration, RestorationConfig
from refsr_bench.learning.blocks import bilinear_x4, conv
from refsr_bench.learning.deform import sample_reference
from refsr_bench.learning.scales import SCALES, at_grid

SIZES = 5  # of the reference: itself, and reduced by 0.8 to the power 1, 2, 3, 4
SHARPNESS = 10.0  # factor of the match scores in their softmax
LEVELS = 4  # images at 1, 1/2, 1/4, 1/8 of their size
PAIRS = 1 << 15  # pairs of patches compared at once: with 256 channels, 32 MiB for either side
STEPS = (8, 4, 2, 1)  # of jump flooding, one iteration each, at every level


# -- CFE-PatchMatch ------------------------------------------------------------------------------------------------


class PatchScores:
    """Correlations of 3x3 patches of descriptors (C, h, w) with normalised ones of a reference (C, H, W).

    Patches are named by their middle; descriptors are zero outside the maps.
    """

    def __init__(self, own: Tensor, ref: Tensor) -> None:
        own, ref = (F.pad(F.normalize(x, dim=0), (1, 1, 1, 1)) for x in (own, ref))
        self.norms = patch_norms(ref).flatten()
        self.pixels, self.ref_pixels = (x.flatten(1).T.contiguous() for x in (own, ref))
        self.width, self.ref_size = own.shape[2] - 2, (ref.shape[1] - 2, ref.shape[2] - 2)

    def __call__(self, position: Tensor, place: Tensor) -> Tensor:
        """Compare n pairs: position (n,) is row-major in the image, place (2, n) row and column in the reference."""
        stride, ref_stride = self.width + 2, self.ref_size[1] + 2
        total = self.norms.new_zeros(len(position))
        first = position // self.width * stride + position % self.width
        ref_first = place[0] * ref_stride + place[1]
        for part in torch.arange(len(position), device=position.device).split(PAIRS):
            for i in range(3):
                for j in range(3):
                    queries = self.pixels[first[part] + i * stride + j]
                    keys = self.ref_pixels[ref_first[part] + i * ref_stride + j]
                    total[part] += (queries[:, None] @ keys[:, :, None]).flatten()
        return total / self.norms[place[0] * self.ref_size[1] + place[1]]


def _grid(h: int, w: int, device: torch.device) -> Tensor:
    """The row and column of every pixel, (2, h, w)."""
    y, x = torch.arange(h, device=device), torch.arange(w, device=device)
    return torch.stack(torch.meshgrid(y, x, indexing="ij"))


def _around(x: Tensor, step: int) -> list[Tensor]:
    """x (2, h, w) at the eight pixels ``step`` away from each pixel; the border stands for what lies beyond it."""
    h, w = x.shape[1:]
    y, u = torch.arange(h, device=x.device), torch.arange(w, device=x.device)
    rows = [x[:, (y + i).clamp(0, h - 1)] for i in (-step, 0, step)]
    return [row[:, :, (u + j).clamp(0, w - 1)] for row in rows for j in (-step, 0, step) if row is not rows[1] or j]


def _keep_best(scores: PatchScores, place: Tensor, best: Tensor, candidates: Sequence[Tensor], border: int) -> None:
    """Replace places (2, n) of the reference and their scores (n,) by better ones among candidates (2, h, w).

    border: rows and columns at the edge of the reference that no candidate may be in.
    """
    low, high = border, torch.tensor(scores.ref_size, device=place.device)[:, None, None] - 1 - border
    several = torch.stack([each.flatten(1) for each in candidates], dim=1).clamp(min=low).minimum(high)  # (2, k, n)
    which, position = (several != place[:, None]).any(0).nonzero(as_tuple=True)  # most agree: nothing to compute
    score = best.new_full(several.shape[1:], -torch.inf)
    score[which, position] = scores(position, several[:, which, position])
    value, which = score.max(0)
    better = (value > best).nonzero()[:, 0]
    place[:, better], best[better] = several[:, which[better], better], value[better]


@torch.no_grad()
def patch_match(own: Sequence[Tensor], ref: Sequence[Tensor], draws: Tensor) -> Correspondence:
    """Find approximate correspondences by propagation from coarse to fine.

    own, ref: descriptors by level, (C, h, w) first and (C, h/8, w/8) last, of one size. draws (2, h/8, w/8) in [0, 1):
    columns and rows of the reference to begin with. The result is what ``correspond`` returns, except that
    ``similarity`` is not divided by the norm of the image's own patch, and so at most 3.
    """
    shifts = (_grid(3, 3, draws.device) - 1).flatten(1).T[:, :, None, None]  # (9, 2, 1, 1)
    place = None
    for level in reversed(range(len(own))):
        h, w = own[level].shape[1:]
        grid = _grid(h, w, draws.device)
        if place is None:
            size = torch.tensor((h, w), device=draws.device).view(2, 1, 1)
            place = (draws.flip(0) * (size - 1)).round().long()
        else:  # four times as many patches, each where its coarse patch was
            place = 2 * place.repeat_interleave(2, 1).repeat_interleave(2, 2) + grid % 2
        scores = PatchScores(own[level], ref[level])
        border = 0 if level else 1  # at the finest level whole patches only
        flat = place.flatten(1)
        flat = flat.clamp(min=border).minimum(torch.tensor((h, w), device=flat.device)[:, None] - 1 - border)
        best = scores(torch.arange(h * w, device=flat.device), flat)
        for step in STEPS:
            place = flat.view(2, h, w)
            _keep_best(scores, flat, best, _around(place, 1), border)  # the places of its neighbours
            moved = [grid + flow for flow in _around(place - grid, step)]  # the displacements of others, step away
            _keep_best(scores, flat, best, moved, border)
            _keep_best(scores, flat, best, list(place + shifts), border)  # the places beside its own
        place = flat.view(2, h, w)
    # Patches are named by their top left pixel from here on, as in ``Correspondence``.
    place, best = place[:, 1:-1, 1:-1] - 1, best.view(h, w)[1:-1, 1:-1]
    index = place[0] * (w - 2) + place[1]
    return Correspondence(index_to_flow(index, w - 2), index, best, torch.zeros_like(index))


def weights_of(found: Sequence[Sequence[Correspondence]]) -> Tensor:
    """The weights of the reference sizes at every pixel, (N, SIZES, 4h, 4w): a softmax of their match scores.

    found: matches by image and reference size.
    """
    scores = torch.stack([torch.stack([match.similarity for match in sizes]) for sizes in found])
    scores = F.pad(scores, (1, 1, 1, 1)).repeat_interleave(4, 2).repeat_interleave(4, 3)  # (N, SIZES, 4h, 4w)
    return (SHARPNESS * scores).softmax(1)


# -- restoration ---------------------------------------------------------------------------------------------------


class PreAlignment(nn.Conv2d):
    """A deformable convolution of the reference at its correspondences, without learned offsets.

    The reference's own features weight the taps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3)
        self.conv_offset_mask = conv(channels, 9)

    def forward(self, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        """ref (N, C, H, W), p0 (N, 9, h, w, 2) -> (N, C, h, w), which begins at ``origin`` in the reference."""
        mask = at_grid(self.conv_offset_mask(ref).sigmoid(), pre_offset.shape[2:4], origin)
        return sample_reference(ref, tap_offsets(pre_offset), mask, self.weight, self.bias, origin)


class AMSADecoder(DynAggRestoration):
    """C2-Matching's three stages; learned offsets see the reference after ``PreAlignment``."""

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__(config)
        for scale, (_, ref_channels, _) in SCALES.items():
            self.add_module(f"{scale}_deform_conv", PreAlignment(ref_channels))

    def ref_for_offsets(self, scale: str, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        return getattr(self, f"{scale}_deform_conv")(ref, pre_offset, origin)

    def forward(self, x: Tensor, refs: Mapping[str, Tensor], pre_offset: Mapping[str, Tensor]) -> Tensor:
        """The features (N, C, 4h, 4w) before the last convolutions, which ``tail_large`` holds."""
        for scale, (layer, _, _) in SCALES.items():
            x = self.stage(scale, x, refs[layer], pre_offset[layer], (0, 0))
            if scale != "large":
                x = self.enlarge(scale, x)
        return x


class AMSARestoration(nn.Module):
    """SR image = bilinear x4 of the LR image + predicted residual. 9.7 M parameters as published."""

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        self.content_extractor = ContentExtractor(config.channels, config.blocks[0])
        self.dyn_agg_restore = AMSADecoder(config)

    def forward(self, lr: Tensor, refs: Mapping[str, Tensor], found: Sequence[Sequence[Correspondence]]) -> Tensor:
        """lr (N, 3, h, w); refs: features by layer; found: matches by image, of every size of the reference."""
        content = self.content_extractor(lr)
        total, weights = None, weights_of(found)  # (N, SIZES, 4h, 4w)
        for size, weight in enumerate(weights.split(1, dim=1)):
            offsets = pre_offsets_by_layer([matches[size].flow for matches in found], SCALES.values())
            part = weight * self.dyn_agg_restore(content, refs, offsets)
            total = part if total is None else total + part
        return bilinear_x4(lr) + self.dyn_agg_restore.enlarge("large", total)


class AMSA(C2Family):
    """lr (N, 3, h, w), lr_up and references (N, 3, 4h, 4w), h and w multiples of 8 -> SR (N, 3, 4h, 4w), not clamped.

    refs: the reference and its ``SIZES - 1`` reduced copies, zero at the bottom and right. All five decoders read the
    features of the first, as in the authors' evaluation, so what matched a reduced copy is looked up at the same place
    of the whole reference. Their files and numbers rest on it.
    """

    def __init__(self, channels: int = 64, blocks: Sequence[int] = (16, 16, 16, 16), groups: int = 8) -> None:
        super().__init__(AMSARestoration(RestorationConfig(channels, tuple(blocks), groups)))

    @torch.no_grad()
    def correspondences(
        self, lr_up: Tensor, refs: Sequence[Tensor], draws: Tensor | None = None
    ) -> list[list[Correspondence]]:
        """The matches by image and reference. draws (N, SIZES, 2, h/8, w/8) in [0, 1), by default ``draws_for``."""
        draws = draws_for(lr_up) if draws is None else draws
        one, two = self.extractor.feature_extraction_image1, self.extractor.feature_extraction_image2
        own = [one(image) for image in pyramid(lr_up)]
        found: list[list[Correspondence]] = [[] for _ in lr_up]
        for size, ref in enumerate(refs):
            theirs = [two(image) for image in pyramid(ref)]
            for n, matches in enumerate(found):
                levels = [x[n] for x in own], [x[n] for x in theirs]
                matches.append(patch_match(*levels, draws[n, size]))
        return found

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], draws: Tensor | None = None) -> Tensor:
        return self.restoration(lr, self.ref_features(refs[0]), self.correspondences(lr_up, refs, draws))


def pyramid(image: Tensor) -> list[Tensor]:
    """An image (N, 3, H, W), and at 1/2, 1/4, 1/8 of its size, by averaging."""
    return [F.avg_pool2d(image, 2**level) if level else image for level in range(LEVELS)]


def draws_for(lr_up: Tensor) -> Tensor:
    """Random numbers (N, SIZES, 2, h/8, w/8) in [0, 1), seeded by an image's pixels: the same for the same image."""
    h, w = (side // (4 * 2 ** (LEVELS - 1)) for side in lr_up.shape[-2:])
    draws = []
    for image in lr_up.detach().cpu():
        seed = zlib.crc32((image * 255).round().to(torch.uint8).numpy().tobytes())
        draws.append(torch.rand(SIZES, 2, h, w, generator=torch.Generator().manual_seed(seed)))
    return torch.stack(draws).to(lr_up.device)
