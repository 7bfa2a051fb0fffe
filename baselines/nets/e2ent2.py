"""E2ENT2 (Xie et al., ECCV 2020): match and swap in features that are trained together with the synthesis.

No code was published. This network is built from what the paper is known for: a feature encoder shared by all images,
patches matched and swapped in its features with gradients through the swapped ones, and the residual over the enlarged
LR image. Blocks and sizes are SRNTT's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.nets.srntt import LAYERS, transfer
from baselines.nets.swap import find, swap_all
from refsr_bench.learning.blocks import conv, leaky_layer, residual_blocks
from refsr_bench.learning.vgg import VGG19Features


class E2ENT2(nn.Module):
    """Images RGB in [0, 1]. channels, blocks: of the synthesis. The encoder has the layers of VGG19 to relu3_1."""

    def __init__(self, channels: int = 64, blocks: int = 16) -> None:
        super().__init__()
        self.encoder = VGG19Features(LAYERS)
        self.head = nn.Sequential(conv(3, channels), leaky_layer())
        self.body = residual_blocks(channels, blocks)
        self.transfer = transfer(channels, blocks)

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], refs_down_up: Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), references (N, 3, H, W), multiples of four -> (N, 3, 4h, 4w)."""
        with torch.no_grad():  # which patch is the most similar has no gradient
            found = find(self.encoder(lr_up)["relu3_1"], [self.encoder(ref)["relu3_1"] for ref in refs_down_up])
        maps = swap_all([self.encoder(ref) for ref in refs], found, LAYERS)
        x = self.head(lr)
        return lr_up + self.transfer(x + self.body(x), maps)
