"""The authors' scheme, for comparison: unfolded 3x3 patches correlated by conv2d, and torchvision's operator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.patches import NORM_EPS, index_to_flow
from c2matching.nets.model import C2Matching
from refsr_bench.learning import deform
from refsr_bench.learning.blocks import bilinear_x4

CHUNK = 1 << 29  # correlations held at once


def _patches(features: Tensor) -> Tensor:
    """Unfold (C, h, w) into N overlapping patches (C, 3, 3, N)."""
    channels = len(features)
    return features.unfold(1, 3, 1).unfold(2, 3, 1).reshape(channels, -1, 3, 3).permute(0, 2, 3, 1)


def direct_match(features: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """``patch_correlation.match`` with each reference patch as a kernel, and the whole volume held."""
    _, h, w = features.shape
    patches = _patches(ref)
    best, index = None, None
    step = CHUNK // (h * w)
    for start in range(0, patches.shape[-1], step):
        kernels = patches[..., start : start + step]
        kernels = kernels / (kernels.norm(p=2, dim=(0, 1, 2)) + NORM_EPS)
        value, where = F.conv2d(features[None], kernels.permute(3, 0, 1, 2))[0].max(0)
        where = where + start
        if best is None:
            best, index = value, where
        else:
            index = torch.where(value > best, where, index)
            best = torch.maximum(value, best)
    norms = _patches(features).norm(p=2, dim=(0, 1, 2)) + NORM_EPS
    return index, best / norms.view_as(best)


@torch.no_grad()
def direct_upscale(model: C2Matching, lr: Tensor, lr_up: Tensor, ref: Tensor) -> Tensor:
    """Upscale with the weights of ``model``, whole images at once, by torchvision's operator -> SR (1, 3, 4h, 4w)."""
    backend, deform.BACKEND = deform.BACKEND, "torchvision"
    try:
        one, two = model.extractor(lr_up, ref)
        index, _ = direct_match(F.normalize(one[0], dim=0), F.normalize(two[0], dim=0))
        offsets = model.offsets([index_to_flow(index, two.shape[3] - 2)])
        refs = model.vgg(ref)
        stages, x = model.restoration.dyn_agg_restore, model.restoration.content_extractor(lr)
        stages.aggregate = stages.aggregate_at_once  # at once, not in strips
        return bilinear_x4(lr) + stages(x, refs, offsets)
    finally:
        deform.BACKEND = backend
        vars(stages).pop("aggregate", None)
