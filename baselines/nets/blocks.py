"""Blocks that several networks share. Feature maps are (N, C, H, W)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def conv(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """A convolution with zero padding that keeps the size at stride 1."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)


class ResidualBlock(nn.Module):
    """x + scale * Conv(ReLU(Conv(x))), without BatchNorm (EDSR, Fig. 2c)."""

    def __init__(self, channels: int, scale: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, bias=bias)
        self.conv2 = conv(channels, channels, bias=bias)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.conv2(F.relu(self.conv1(x)))


def residual_blocks(channels: int, n: int, scale: float = 1.0, bias: bool = True) -> nn.Sequential:
    """``n`` residual blocks after each other, keys ``{i}.conv1`` and ``{i}.conv2``."""
    return nn.Sequential(*(ResidualBlock(channels, scale, bias) for _ in range(n)))


def shuffled(channels: int, out_channels: int | None = None) -> nn.Sequential:
    """Twice the resolution: convolution, then sub-pixel shuffle (key ``0``)."""
    return nn.Sequential(conv(channels, 4 * (out_channels or channels)), nn.PixelShuffle(2))
