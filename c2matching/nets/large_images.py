"""Restoration of large images stage by stage, in strips of rows: the same values as in one go, in bounded memory.

Every stage is computed for a strip and for the rows around it that its convolutions reach. Only one map of ``channels``
at LR resolution and one at twice that are kept whole, because a stage also reads neighbouring rows of the one before.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from c2matching.matching.pre_offsets import pre_offsets
from c2matching.nets.restoration import OFFSET_CONVOLUTIONS, RestorationNet
from c2matching.nets.strips import by_rows
from refsr_bench.learning.blocks import bilinear_x4
from refsr_bench.learning.scales import SCALES

PIXELS = 1 << 19  # SR pixels restored at once: with 64 channels they take about 2 kB each, 1 GiB in all
FEWEST_ROWS = 8  # LR rows of a strip; with fewer, most of the work would be the rows around it


def reaches(net: RestorationNet) -> dict[str, int]:
    """Count the LR rows that each step sees beyond its own: the content extractor's, then each stage's."""
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
    """Restore one image: lr (1, 3, h, w), refs by layer name, flow (h-2, w-2, 2) -> SR (1, 3, 4h, 4w)."""
    h = lr.shape[2]
    rows = _rows(lr, pixels)
    halo = reaches(net)
    x = by_rows(lambda top, end: net.content_extractor(lr[:, :, top:end]), h, rows, halo["content"])
    previous = None
    for scale, (layer, _, _) in SCALES.items():
        x = by_rows(_Stage(net, scale, previous, x, refs.get(layer), flow).rows, h, rows, halo[scale])
        previous = scale
    return by_rows(lambda top, end: bilinear_x4(lr[:, :, top:end]), h, rows, 1).add_(x)


def _rows(lr: Tensor, pixels: int) -> int:
    """Choose the height of a strip in LR rows; each LR pixel becomes 16 SR pixels."""
    return max(FEWEST_ROWS, pixels // (16 * lr.shape[3]))


@dataclass(frozen=True)
class _Stage:
    """One scale of the restoration module, from the map ``kept`` before the enlargement of the ``previous`` scale."""

    net: RestorationNet
    scale: str
    previous: str | None
    kept: Tensor
    ref: Tensor | None
    flow: Tensor

    def rows(self, top: int, end: int) -> Tensor:
        """Compute LR rows top..end of the stage, before its enlargement or, at the last scale, after it."""
        factor, stages = SCALES[self.scale].factor, self.net.dyn_agg_restore
        resolution = self.kept.shape[2] // (len(self.flow) + 2)  # of the kept map, relative to LR
        x = self.kept[:, :, top * resolution : end * resolution]
        if self.previous:
            x = stages.enlarge(self.previous, x)
        p0 = None
        if self.scale in stages.scales:
            p0 = pre_offsets(self.flow, factor, self.net.config.pre_offset_taps, (top, end))[None]
        x = stages.stage(self.scale, x, self.ref, p0, (top * factor, 0))
        return stages.enlarge(self.scale, x) if self.scale == "large" else x


def restore_within_memory(
    net: RestorationNet, lr: Tensor, refs: Mapping[str, Tensor], flow: Tensor
) -> Tensor:
    """Restore in ever lower strips while the GPU runs out of memory, with a warning.

    Raises torch.OutOfMemoryError when strips of a row are too much.
    """
    pixels = PIXELS
    while True:
        try:
            return restore(net, lr, refs, flow, pixels)
        except torch.OutOfMemoryError:
            if pixels < 16 * lr.shape[3]:
                raise
            pixels //= 4
        torch.cuda.empty_cache()
        rows = _rows(lr, pixels)
        warnings.warn(f"out of GPU memory: restoring in strips of {rows} LR rows", RuntimeWarning, stacklevel=2)
