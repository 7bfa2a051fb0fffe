"""MRefSR (Zhang et al., ICCV 2023): C2-Matching with any number of references, fused by attention at every scale.

1. correspondences with each reference and dynamic aggregation, as in C2-Matching, with the same weights for all
2. MAM, multi-reference attention: features of the LR image ask, aligned features of the references answer
3. SAFM, spatial aware filtering: what came out is scaled and shifted at every place, then joined to the LR features
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.family import C2Family
from c2matching.matching.pre_offsets import pre_offsets_by_layer
from c2matching.nets.restoration import ContentExtractor, DynAggRestoration, RestorationConfig
from refsr_bench.learning.blocks import bilinear_x4, conv, leaky
from refsr_bench.learning.scales import SCALES


class Fusion(nn.Module):
    """MAM and SAFM: x (N, C, h, w) and aligned references (N, R, C_ref, h, w) -> (N, C, h, w).

    The order of the references does not matter.
    """

    def __init__(self, channels: int, ref_channels: int) -> None:
        super().__init__()
        wide = 2 * ref_channels
        self.conv_emb1 = nn.Sequential(conv(channels, ref_channels, kernel=1), nn.PReLU())  # query
        self.conv_emb2 = nn.Sequential(conv(ref_channels, ref_channels), nn.PReLU())  # keys
        self.conv_ass = conv(ref_channels, wide)  # values
        self.spatial_attn = conv(channels + wide, wide, kernel=1)
        self.spatial_attn_mul1 = conv(wide, wide)
        self.spatial_attn_mul2 = conv(wide, wide)
        self.spatial_attn_add1 = conv(wide, wide)
        self.spatial_attn_add2 = conv(wide, wide)
        self.feat_fusion = conv(channels + wide, channels, kernel=1)

    def attend(self, x: Tensor, aligned: Tensor) -> Tensor:
        """MAM: the values weighted by a softmax over the references at every pixel, (N, 2 * C_ref, h, w)."""
        n, count = aligned.shape[:2]
        query = self.conv_emb1(x)
        keys = self.conv_emb2(aligned.flatten(0, 1)).unflatten(0, (n, count))  # (N, R, C_ref, h, w)
        values = self.conv_ass(aligned.flatten(0, 1)).unflatten(0, (n, count))  # (N, R, 2 * C_ref, h, w)
        logits = (query[:, None] * keys).sum(2, keepdim=True) * query.shape[1] ** -0.5  # (N, R, 1, h, w)
        return (logits.softmax(1) * values).sum(1)

    def select(self, x: Tensor, fused: Tensor) -> Tensor:
        """SAFM: ``fused`` scaled between 0 and 2 and shifted, (N, 2 * C_ref, h, w)."""
        attention = leaky(self.spatial_attn(torch.cat((x, fused), dim=1)))
        scale = self.spatial_attn_mul2(leaky(self.spatial_attn_mul1(attention))).sigmoid()
        shift = self.spatial_attn_add2(leaky(self.spatial_attn_add1(attention)))
        return 2 * scale * fused + shift

    def forward(self, x: Tensor, aligned: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        sides = (0, -w % 4, 0, -h % 4)  # to multiples of four, as in the authors' code; the borders depend on it
        x = F.pad(x, sides, mode="reflect")
        aligned = F.pad(aligned.flatten(0, 1), sides, mode="reflect").unflatten(0, aligned.shape[:2])
        fused = self.select(x, self.attend(x, aligned))
        return leaky(self.feat_fusion(torch.cat((x, fused), dim=1)))[..., :h, :w]


class MultiReferenceRestoration(DynAggRestoration):
    """C2-Matching's three stages with ``Fusion`` in the place of their first convolutions (``head_small``, ...)."""

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__(config)
        for scale, (_, ref_channels, _) in SCALES.items():
            self.add_module(f"head_{scale}", Fusion(config.channels, ref_channels))

    def forward(
        self, x: Tensor, refs: Sequence[Mapping[str, Tensor]], offsets: Sequence[Mapping[str, Tensor]]
    ) -> Tensor:
        """x (N, C, h, w); by reference: features and p0 by layer -> the residual image (N, 3, 4h, 4w)."""
        for scale, (layer, _, _) in SCALES.items():
            aligned = [
                self.aggregate(scale, x, ref[layer], p0[layer], (0, 0)) for ref, p0 in zip(refs, offsets, strict=True)
            ]
            fused = getattr(self, f"head_{scale}")(x, torch.stack(aligned, dim=1))
            x = self.enlarge(scale, x + getattr(self, f"body_{scale}")(fused))
        return x


class MRefSRRestoration(nn.Module):
    """SR image = bilinear x4 of the LR image + predicted residual. 23.7 M parameters as published."""

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        self.content_extractor = ContentExtractor(config.channels, config.blocks[0])
        self.dyn_agg_restore = MultiReferenceRestoration(config)

    def forward(
        self, lr: Tensor, refs: Sequence[Mapping[str, Tensor]], offsets: Sequence[Mapping[str, Tensor]]
    ) -> Tensor:
        return bilinear_x4(lr) + self.dyn_agg_restore(self.content_extractor(lr), refs, offsets)


class MRefSR(C2Family):
    """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), references (N, 3, 4h, 4w) each -> SR (N, 3, 4h, 4w), not clamped."""

    def __init__(self, channels: int = 64, blocks: Sequence[int] = (16, 16, 16, 16), groups: int = 8) -> None:
        super().__init__(MRefSRRestoration(RestorationConfig(channels, tuple(blocks), groups)))

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
        offsets = [
            pre_offsets_by_layer([found.flow for found in self.correspondences(lr_up, ref)], SCALES.values())
            for ref in refs
        ]
        return self.restoration(lr, [self.ref_features(ref) for ref in refs], offsets)
