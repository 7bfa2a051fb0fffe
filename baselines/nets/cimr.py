"""CIMR-SR (Yan et al., ECCV 2020): several matched reference features, aggregated by attention.

No code was published. What the paper is known for is built here, local patterns of the LR image matched with a pool of
references and an attention over several matches; blocks and sizes are SRNTT's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.nets.blocks import conv, residual_blocks
from baselines.nets.srntt import LAYERS, enlarged, leaky, texture_features, transfer
from baselines.nets.swap import find_each, ranked, swap_all, weight_map
from refsr_bench.learning.scales import SCALES


class Attention(nn.Module):
    """Weights of the matches at every position, a softmax over them of what two convolutions make of content, match and
    similarity; the same convolutions for every match, so their number is free."""

    def __init__(self, channels: int, ref_channels: int) -> None:
        super().__init__()
        self.score = nn.Sequential(conv(channels + ref_channels + 1, channels), leaky(), conv(channels, 1))

    def forward(self, x: Tensor, matched: Sequence[Tensor], similarity: Sequence[Tensor]) -> Tensor:
        """x (N, channels, h, w); by match: matched (N, C, h, w), similarity (N, h', w') of patches -> (N, C, h, w)."""
        size = x.shape[-2:]
        scores = [
            self.score(torch.cat((x, m, weight_map(s, size)), 1)) for m, s in zip(matched, similarity, strict=True)
        ]
        weights = torch.stack(scores).softmax(0)
        return sum(w * m for w, m in zip(weights, matched, strict=True))


class CIMR(nn.Module):
    """Images RGB in [0, 1]. matches: how many references every patch takes its features from, the most similar ones."""

    def __init__(self, channels: int = 64, blocks: int = 16, matches: int = 3) -> None:
        super().__init__()
        self.vgg = texture_features()
        self.matches = matches
        self.head = nn.Sequential(conv(3, channels), leaky())
        self.body = residual_blocks(channels, blocks)
        self.attention = nn.ModuleDict({scale: Attention(channels, c) for scale, (_, c, _) in SCALES.items()})
        self.transfer = transfer(channels, blocks)

    @torch.no_grad()
    def pool(
        self, lr_up: Tensor, refs: Sequence[Tensor], refs_down_up: Sequence[Tensor]
    ) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
        """Of the best matches in each reference the most similar ones: maps by layer, and similarity, best first."""
        each = find_each(self.vgg(lr_up)["relu3_1"], [self.vgg(ref)["relu3_1"] for ref in refs_down_up])
        found, features = ranked(each, self.matches), [self.vgg(ref) for ref in refs]
        return [swap_all(features, f, LAYERS) for f in found], [f.similarity for f in found]

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], refs_down_up: Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), references (N, 3, H, W), multiples of four -> (N, 3, 4h, 4w)."""
        maps, similarity = self.pool(lr_up, refs, refs_down_up)
        x = self.head(lr)
        x = x + self.body(x)
        for scale, (layer, _, _) in SCALES.items():
            matched = self.attention[scale](x, [m[layer] for m in maps], similarity)
            x = getattr(self.transfer, scale)(x, matched)
        return enlarged(lr) + x
