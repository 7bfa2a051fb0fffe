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

from baselines.nets.blocks import conv
from baselines.nets.family import C2Family
from c2matching.matching.correspondence import pre_offsets
from c2matching.nets.restoration import ContentExtractor, DynAggRestoration, RestorationConfig, RestorationNet
from refsr_bench.learning.scales import SCALES


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


class Fusion(nn.Module):
    """MAM and SAFM: x (N, C, h, w) and aligned references (N, R, C_ref, h, w) -> (N, C, h, w), in no order of them."""

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
        """MAM: (N, 2 * C_ref, h, w), the values weighted by a softmax over the references at every pixel."""
        n, count = aligned.shape[:2]
        query = self.conv_emb1(x)
        keys = self.conv_emb2(aligned.flatten(0, 1)).unflatten(0, (n, count))
        values = self.conv_ass(aligned.flatten(0, 1)).unflatten(0, (n, count))
        logits = (query[:, None] * keys).sum(2, keepdim=True) * query.shape[1] ** -0.5  # (N, R, 1, h, w)
        return (logits.softmax(1) * values).sum(1)

    def select(self, x: Tensor, fused: Tensor) -> Tensor:
        """SAFM: (N, 2 * C_ref, h, w), scaled between 0 and 2 and shifted."""
        attention = _leaky(self.spatial_attn(torch.cat((x, fused), dim=1)))
        scale = self.spatial_attn_mul2(_leaky(self.spatial_attn_mul1(attention))).sigmoid()
        shift = self.spatial_attn_add2(_leaky(self.spatial_attn_add1(attention)))
        return 2 * scale * fused + shift

    def forward(self, x: Tensor, aligned: Tensor) -> Tensor:
        h, w = x.shape[-2:]
        sides = (0, -w % 4, 0, -h % 4)  # to multiples of four, as the authors have it; the borders depend on it
        x = F.pad(x, sides, mode="reflect")
        aligned = F.pad(aligned.flatten(0, 1), sides, mode="reflect").unflatten(0, aligned.shape[:2])
        fused = self.select(x, self.attend(x, aligned))
        return _leaky(self.feat_fusion(torch.cat((x, fused), dim=1)))[..., :h, :w]


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
        return RestorationNet.base(lr) + self.dyn_agg_restore(self.content_extractor(lr), refs, offsets)


class MRefSR(C2Family):
    """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), references (N, 3, 4h, 4w) each -> SR (N, 3, 4h, 4w), not clamped."""

    def __init__(self, channels: int = 64, blocks: Sequence[int] = (16, 16, 16, 16), groups: int = 8) -> None:
        super().__init__(MRefSRRestoration(RestorationConfig(channels, tuple(blocks), groups)))

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor]) -> Tensor:
        offsets = []
        for ref in refs:
            flows = [found.flow for found in self.correspondences(lr_up, ref)]
            offsets.append(
                {layer: torch.stack([pre_offsets(f, factor) for f in flows]) for layer, _, factor in SCALES.values()}
            )
        return self.restoration(lr, [self.ref_features(ref) for ref in refs], offsets)
