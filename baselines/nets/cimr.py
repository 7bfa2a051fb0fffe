"""CIMR-SR (Yan et al., ECCV 2020): several matched reference features, aggregated by attention.

No code was published. This network is built from what the paper is known for: local patterns of the LR image matched
with a pool of references, and an attention over several matches. Blocks and sizes are SRNTT's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.nets.srntt import LAYERS, texture_features, transfer
from baselines.nets.swap import find_each, ranked, swap_all, weight_map
from refsr_bench.learning.blocks import bilinear_x4, conv, leaky_layer, residual_blocks
from refsr_bench.learning.scales import SCALES


class Attention(nn.Module):
    """The mean of the matches at every position, weighted by a softmax over their scores.

    Two convolutions make the score of a match from content, match and similarity. They are the same for every match, so
    there may be any number.
    """

    def __init__(self, channels: int, ref_channels: int) -> None:
        super().__init__()
        self.score = nn.Sequential(conv(channels + ref_channels + 1, channels), leaky_layer(), conv(channels, 1))

    def forward(self, x: Tensor, matched: Sequence[Tensor], similarity: Sequence[Tensor]) -> Tensor:
        """x (N, channels, h, w); by match: matched (N, C, h, w), similarity (N, h', w') of patches -> (N, C, h, w)."""
        size = x.shape[-2:]
        scores = [
            self.score(torch.cat((x, m, weight_map(s, size)), 1)) for m, s in zip(matched, similarity, strict=True)
        ]
        weights = torch.stack(scores).softmax(0)  # (matches, N, 1, h, w)
        return sum(w * m for w, m in zip(weights, matched, strict=True))


class CIMR(nn.Module):
    """Images RGB in [0, 1]. matches: the number of references, the most similar ones, that a patch draws on."""

    def __init__(self, channels: int = 64, blocks: int = 16, matches: int = 3) -> None:
        super().__init__()
        self.vgg = texture_features()
        self.matches = matches
        self.head = nn.Sequential(conv(3, channels), leaky_layer())
        self.body = residual_blocks(channels, blocks)
        self.attention = nn.ModuleDict({scale: Attention(channels, c) for scale, (_, c, _) in SCALES.items()})
        self.transfer = transfer(channels, blocks)

    @torch.no_grad()
    def pool(
        self, lr_up: Tensor, refs: Sequence[Tensor], refs_down_up: Sequence[Tensor]
    ) -> tuple[list[dict[str, Tensor]], list[Tensor]]:
        """The most similar of the best matches in each reference: maps by layer, and similarity, best first."""
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
        return bilinear_x4(lr) + x
