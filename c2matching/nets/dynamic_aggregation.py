"""Dynamic aggregation (section 3.3): reference features gathered around precomputed correspondences.

    y(p) = sum_k w_k x(p + p0 + p_k + dp_k) dm_k                                                            Eq. (9)

The sum is a modulated deformable convolution. p0, the displacement of the match, comes from
``c2matching.matching.pre_offsets``; the offsets dp_k and the modulation dm_k are learned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from refsr_bench.learning.deform import sample_reference


def tap_offsets(pre_offset: Tensor, groups: int = 1) -> Tensor:
    """Arrange p0 as a deformable convolution takes it, alike for all groups of channels.

    (N, 9, h, w, 2), (x, y) -> (N, groups*9*2, h, w), (y, x) per tap.
    """
    n, taps, h, w, _ = pre_offset.shape
    return pre_offset.flip(-1).permute(0, 1, 4, 2, 3).reshape(n, taps * 2, h, w).repeat(1, groups, 1, 1)


class DynamicAggregation(nn.Module):
    """Eq. (9), with dp_k and dm_k predicted from ``offset_features``.

    A new layer predicts dp_k = 0 and dm_k = 1/2: its prediction starts at zero, as in DCNv2.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        bound = 1 / math.sqrt(9 * channels)  # DCNv2's start: 1 / sqrt(inputs of an output)
        nn.init.uniform_(self.weight, -bound, bound)
        self.conv_offset_mask = nn.Conv2d(channels, groups * 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def offset_and_mask(self, offset_features: Tensor, pre_offset: Tensor) -> tuple[Tensor, Tensor]:
        """Predict p0 + dp_k and dm_k from features (N, C, h, w) and p0 (N, 9, h, w, 2), (x, y).

        Offsets (N, groups*9*2, h, w) are (y, x) per tap, the mask (N, groups*9, h, w) lies in (0, 1).
        """
        out = self.conv_offset_mask(offset_features)
        learned, logits = out.split([self.groups * 18, self.groups * 9], dim=1)
        return learned + tap_offsets(pre_offset, self.groups), logits.sigmoid()

    def forward(
        self, ref: Tensor, offset_features: Tensor, pre_offset: Tensor, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        """Gather ref (N, C, H, W) of any size into (N, C, h, w), which begins at ``origin`` in the reference."""
        offset, mask = self.offset_and_mask(offset_features, pre_offset)
        return sample_reference(ref, offset, mask, self.weight, self.bias, origin)  # Eq. (9)


def copy_patches(ref: Tensor, pre_offset: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Copy matched patches, which Eq. (9) replaces (ablation): each position averages those that cover it.

    ref (N, C, H, W) of any size; pre_offset (N, 9, h, w, 2), (x, y), integers, of the nine covering patches; position
    (y, x) of the output (N, C, h, w) stands at ``(y, x) + origin`` in the reference.
    """
    height, width = ref.shape[-2:]
    h, w = pre_offset.shape[2:4]
    y = torch.arange(h, device=ref.device).view(h, 1) + origin[0]
    x = torch.arange(w, device=ref.device) + origin[1]
    total = ref.new_zeros(*ref.shape[:2], h, w)
    for tap in pre_offset.long().unbind(1):
        # Pixels that pad a map to whole cells belong to no patch; clamping keeps their places inside the reference.
        rows = (y + tap[..., 1]).clamp(0, height - 1)
        columns = (x + tap[..., 0]).clamp(0, width - 1)
        where = (rows * width + columns).flatten(1)[:, None].expand(-1, ref.shape[1], -1)  # (N, C, h*w)
        total += ref.flatten(2).gather(2, where).view_as(total)
    return total / 9
