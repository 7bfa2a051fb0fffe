"""Restoration of large images in strips of rows, stage by stage: the same values as at once, in bounded memory.

Every stage is computed for a strip and for the rows around it that its convolutions reach. What is kept whole is one
map of ``channels`` at LR resolution and one at twice that.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from c2matching.matching.correspondence import pre_offsets
from c2matching.nets.restoration import OFFSET_CONVOLUTIONS, RestorationNet, by_rows
from refsr_bench.learning.scales import SCALES

PIXELS = 1 << 19  # SR pixels restored at once; about 2 kB of memory each with 64 channels


def reaches(net: RestorationNet) -> dict[str, int]:
    """LR rows that each step sees beyond its own: the content extractor, then the stages from the last kept map on."""
    content, *stages = net.config.blocks
    around = {"content": 1 + 2 * content}
    for (scale, (_, _, factor)), blocks in zip(SCALES.items(), stages, strict=True):
        convolutions = OFFSET_CONVOLUTIONS + 1 + 2 * blocks + (2 if scale == "large" else 0)
        before = 0 if scale == "small" else 2  # one convolution before the enlargement, at half the resolution
        around[scale] = math.ceil((convolutions + before) / factor)
    return around


def restore(
    net: RestorationNet, lr: Tensor, refs: Mapping[str, Tensor], flow: Tensor, pixels: int = PIXELS
) -> Tensor:
    """``net`` for one image: lr (1, 3, h, w), refs by layer name, flow (h-2, w-2, 2) -> SR (1, 3, 4h, 4w)."""
    _, _, h, w = lr.shape
    rows = max(8, pixels // (16 * w))
    halo = reaches(net)
    x = by_rows(lambda top, end: net.content_extractor(lr[:, :, top:end]), h, rows, halo["content"])
    previous = None
    for scale, (layer, _, _) in SCALES.items():
        x = by_rows(partial(_stage, net, scale, previous, x, refs.get(layer), flow), h, rows, halo[scale])
        previous = scale
    return by_rows(lambda top, end: net.base(lr[:, :, top:end]), h, rows, 1).add_(x)


def _stage(
    net: RestorationNet, scale: str, previous: str | None, kept: Tensor, ref: Tensor | None, flow: Tensor,
    top: int, end: int,
) -> Tensor:  # fmt: skip
    """LR rows top..end of one stage, from the map kept before the previous enlargement; the last one enlarges too."""
    factor, stages = SCALES[scale][2], net.dyn_agg_restore
    resolution = kept.shape[2] // (len(flow) + 2)
    x = kept[:, :, top * resolution : end * resolution]
    if previous:
        x = stages.enlarge(previous, x)
    p0 = None
    if scale in stages.scales:
        p0 = pre_offsets(flow, factor, net.config.pre_offset_taps, (top, end))[None]
    x = stages.stage(scale, x, ref, p0, (top * factor, 0))
    return stages.enlarge(scale, x) if scale == "large" else x


def restore_within_memory(
    net: RestorationNet, lr: Tensor, refs: Mapping[str, Tensor], flow: Tensor
) -> Tensor:
    """``restore``, in ever lower strips when the GPU runs out of memory; says so."""
    pixels = PIXELS
    while True:
        try:
            return restore(net, lr, refs, flow, pixels)
        except torch.OutOfMemoryError:
            if pixels < 16 * lr.shape[3]:
                raise
            pixels //= 4
        torch.cuda.empty_cache()
        rows = max(8, pixels // (16 * lr.shape[3]))
        warnings.warn(f"out of GPU memory: restoring in strips of {rows} LR rows", RuntimeWarning, stacklevel=2)
