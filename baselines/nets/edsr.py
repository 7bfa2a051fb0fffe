"""EDSR (Lim et al., CVPR Workshops 2017): residual blocks without BatchNorm at the resolution of the LR image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.nets.blocks import conv, residual_blocks, shuffled

RGB_MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K, subtracted before the network and added after it
RANGE = 255.0  # the network works on [0, 255]


class EDSR(nn.Module):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 256 channels, 32 blocks, scale 0.1, 43.1 M parameters.

    The small one of the paper ("baseline") has 64 channels, 16 blocks and scale 1, 1.5 M parameters.
    """

    def __init__(self, channels: int = 256, blocks: int = 32, scale: float = 0.1) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks, scale)
        self.conv_after_body = conv(channels, channels)
        self.upsample = nn.Sequential(*shuffled(channels), *shuffled(channels))
        self.conv_last = conv(channels, 3)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first((lr - self.mean) * RANGE)
        x = x + self.conv_after_body(self.body(x))
        return self.conv_last(self.upsample(x)) / RANGE + self.mean
