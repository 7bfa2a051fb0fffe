"""RankSRGAN (Zhang et al., ICCV 2019): SRGAN's generator without BatchNorm. New is its loss, a trained ranker."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.blocks import conv, residual_blocks


class RankSRGAN(nn.Module):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 64 channels, 16 blocks, 1.6 M parameters.

    No activation after the first convolution, and no skip from the image.
    """

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks)
        self.conv_body = conv(channels, channels)
        self.upconv1 = conv(channels, 4 * channels)
        self.upconv2 = conv(channels, 4 * channels)
        self.conv_hr = conv(channels, channels)
        self.conv_last = conv(channels, 3)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first(lr)
        x = x + self.conv_body(self.body(x))
        x = F.relu(F.pixel_shuffle(self.upconv1(x), 2))
        x = F.relu(F.pixel_shuffle(self.upconv2(x), 2))
        return self.conv_last(F.relu(self.conv_hr(x)))
