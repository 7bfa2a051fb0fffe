"""RCAN (Zhang et al., ECCV 2018): residual groups of residual blocks that weigh their channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.blocks import conv, shuffled
from baselines.nets.edsr import RANGE, RGB_MEAN


class ChannelAttention(nn.Module):
    """Each channel times a number in (0, 1) made from the means of all (paper section 3.3, Fig. 3)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


class AttentionBlock(nn.Module):
    """The paper's RCAB: x + attention(Conv(ReLU(Conv(x)))) (Fig. 4)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.rcab = nn.Sequential(
            conv(channels, channels), nn.ReLU(), conv(channels, channels), ChannelAttention(channels, reduction)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rcab(x)


class ResidualGroup(nn.Module):
    """x + Conv(blocks(x)), the paper's short skip connection (Eq. 5)."""

    def __init__(self, channels: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.residual_group = nn.Sequential(*(AttentionBlock(channels, reduction) for _ in range(blocks)))
        self.conv = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.residual_group(x))


class RCAN(nn.Module):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 10 groups of 20 blocks, 15.6 M parameters.

    The mean that is subtracted and the range inside are EDSR's.
    """

    def __init__(self, channels: int = 64, groups: int = 10, blocks: int = 20, reduction: int = 16) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = nn.Sequential(*(ResidualGroup(channels, blocks, reduction) for _ in range(groups)))
        self.conv_after_body = conv(channels, channels)
        self.upsample = nn.Sequential(*shuffled(channels), *shuffled(channels))
        self.conv_last = conv(channels, 3)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first((lr - self.mean) * RANGE)
        x = x + self.conv_after_body(self.body(x))  # the long skip connection
        return self.conv_last(self.upsample(x)) / RANGE + self.mean
