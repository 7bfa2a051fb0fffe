"""ESRGAN (Wang et al., ECCV Workshops 2018): residual in residual dense blocks, without BatchNorm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.blocks import NearestTail, conv

BETA = 0.2  # every residual is multiplied by it (section 3.1, "residual scaling")


def leaky_wide(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, as in the authors' code."""
    return F.leaky_relu(x, 0.2)


class DenseBlock(nn.Module):
    """Five convolutions, each on the input and everything made so far; the last, linear, gives the residual."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3, self.conv4 = (conv(channels + i * growth, growth) for i in range(4))
        self.conv5 = conv(channels + 4 * growth, channels)

    def forward(self, x: Tensor) -> Tensor:
        made = x
        for convolution in (self.conv1, self.conv2, self.conv3, self.conv4):
            made = torch.cat([made, leaky_wide(convolution(made))], 1)
        return x + BETA * self.conv5(made)


class RRDB(nn.Module):
    """Residual in residual dense block (Fig. 4): three dense blocks and a skip around them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(channels, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + BETA * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(NearestTail):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 23 blocks, 64 channels, growth 32, 16.7 M parameters."""

    def __init__(self, channels: int = 64, blocks: int = 23, growth: int = 32) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = nn.Sequential(*(RRDB(channels, growth) for _ in range(blocks)))
        self.conv_body = conv(channels, channels)
        self.add_tail(channels)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first(lr)
        return self.tail(x + self.conv_body(self.body(x)), leaky_wide)
