"""RankSRGAN (Zhang et al., ICCV 2019): SRGAN's generator without BatchNorm. New is its loss, a trained ranker."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from refsr_bench.learning.blocks import ShuffleTail, conv, residual_blocks


class RankSRGAN(ShuffleTail):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 64 channels, 16 blocks, 1.6 M parameters.

    There is no activation after the first convolution and no skip from the image.
    """

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks)
        self.conv_body = conv(channels, channels)
        self.add_tail(channels)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first(lr)
        return self.tail(x + self.conv_body(self.body(x)), F.relu)
