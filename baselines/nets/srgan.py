"""SRGAN (Ledig et al., CVPR 2017): its generator, and the one that the code in use since 2019 has put in its place."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.blocks import (
    NormalisedBlock,
    ShuffleTail,
    bilinear_x4,
    conv,
    leaky,
    residual_blocks,
)


class SRResNet(nn.Module):
    """The paper's generator (Fig. 4). (N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). 16 blocks: 1.5 M parameters.

    Convolutions before a BatchNorm have no bias; a PReLU has one slope for all channels.
    """

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.conv_first = conv(3, channels, 9)
        self.act_first = nn.PReLU()
        self.body = nn.Sequential(*(NormalisedBlock(channels, nn.PReLU()) for _ in range(blocks)))
        self.conv_body = conv(channels, channels, bias=False)
        self.norm_body = nn.BatchNorm2d(channels)
        self.upconv1, self.act1 = conv(channels, 4 * channels), nn.PReLU()
        self.upconv2, self.act2 = conv(channels, 4 * channels), nn.PReLU()
        self.conv_last = conv(channels, 3, 9)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.act_first(self.conv_first(lr))
        x = x + self.norm_body(self.conv_body(self.body(x)))
        x = self.act1(F.pixel_shuffle(self.upconv1(x), 2))
        x = self.act2(F.pixel_shuffle(self.upconv2(x), 2))
        return self.conv_last(x)


class MSRResNet(ShuffleTail):
    """The "modified SRResNet" of BasicSR. (N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). 16 blocks: 1.5 M parameters.

    It has no BatchNorm, and predicts only what is to be added to the LR image, enlarged bilinearly.
    """

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks)
        self.add_tail(channels)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.body(leaky(self.conv_first(lr)))
        return self.tail(x, leaky) + bilinear_x4(lr)
