"""DATSR (Cao et al., ECCV 2022): a U-net of deformable attention and Swin layers at the size of the SR image.

1. TFE, texture feature encoders: C2-Matching's correspondences, here with their similarity, and VGG features of the Ref
2. RDA, reference-based deformable attention: kernel taps around the correspondence, weighted by its similarity
3. RFA, residual feature aggregation: LR features and aligned textures through Swin layers, + LR features

RDA and RFA make a ``Stage``; there are five, down from x4 to x1 of the LR image and up again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.family import C2Family
from baselines.nets.swinir import SwinGroup, channels_first, channels_last, initialise, shift_mask
from c2matching.matching.correspondence import Correspondence
from c2matching.matching.pre_offsets import pre_offsets
from c2matching.nets.dynamic_aggregation import DynamicAggregation, tap_offsets
from refsr_bench.learning.blocks import bilinear_x4, conv, leaky, shuffled, warp
from refsr_bench.learning.deform import sample_reference
from refsr_bench.learning.scales import SCALES

REACH = 10.0  # pixels; learned displacements are 10 * tanh
WINDOW = 8


class Where:
    """The correspondences of a batch of images at ``factor`` times the resolution of the LR image.

    pre_offset (N, 9, h, w, 2): p0 of the kernel taps. flow (N, h, w, 2): displacement of the patch that begins at a
    pixel, zero where none does. similarity (N, 1, h, w): of the patch around a pixel, zero at the border. That the two
    name a patch by different pixels is the authors' code.
    """

    def __init__(self, found: list[Correspondence], factor: int) -> None:
        def grown(x: Tensor) -> Tensor:  # every cell becomes factor x factor pixels
            return x.repeat_interleave(factor, 1).repeat_interleave(factor, 2)

        self.pre_offset = torch.stack([pre_offsets(each.flow, factor) for each in found])
        self.flow = grown(F.pad(torch.stack([each.flow for each in found]), (0, 0, 0, 2, 0, 2))) * factor
        self.similarity = grown(F.pad(torch.stack([each.similarity for each in found]), (1, 1, 1, 1)))[:, None]


class DeformableAttention(DynamicAggregation):
    """RDA: kernel taps at p0 + 10 tanh(.), weighted by sigmoid(. * similarity); similarity is (N, 1, h, w)."""

    def forward(self, ref: Tensor, features: Tensor, pre_offset: Tensor, similarity: Tensor) -> Tensor:
        out = self.conv_offset_mask(features)
        learned, logits = out.split([self.groups * 18, self.groups * 9], dim=1)
        # The learned part moves a tap by REACH at most; the similarity of the match scales the logits of the mask.
        offset = REACH * learned.tanh() + tap_offsets(pre_offset, self.groups)
        return sample_reference(ref, offset, (logits * similarity).sigmoid(), self.weight, self.bias)


class SwinBody(nn.Module):
    """Groups of Swin layers between two LayerNorms. (N, C, H, W) with sides that are multiples of the window."""

    def __init__(self, channels: int, groups: int, layers: int, heads: int) -> None:
        super().__init__()
        self.norm_first = nn.LayerNorm(channels)
        self.layers = nn.ModuleList(SwinGroup(channels, layers, heads, WINDOW, mlp_ratio=2) for _ in range(groups))
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        mask = shift_mask(*x.shape[-2:], WINDOW, x.device)
        x = self.norm_first(channels_last(x))
        for group in self.layers:
            x = group(x, mask)
        return channels_first(self.norm(x))


class Stage(nn.Module):
    """RDA and RFA at one scale: features x (N, C, h, w) and reference features (N, C_ref, h, w) -> (N, C, h, w)."""

    def __init__(self, channels: int, ref_channels: int, body: SwinBody) -> None:
        super().__init__()
        self.offset_conv1 = conv(channels + 2 * ref_channels, ref_channels)
        self.offset_conv2 = conv(ref_channels, ref_channels)
        self.dyn_agg = DeformableAttention(ref_channels, groups=8)
        self.head = conv(channels + ref_channels, channels)
        self.body = body

    def forward(self, x: Tensor, ref: Tensor, where: Where, skip: Tensor | float = 0.0) -> Tensor:
        """skip: features from the way down, which join the aligned reference but not the residual connection."""
        features = torch.cat((x, warp(ref, where.flow), ref), dim=1)
        features = leaky(self.offset_conv2(leaky(self.offset_conv1(features))))
        aligned = leaky(self.dyn_agg(ref, features, where.pre_offset, where.similarity))
        return x + self.body(leaky(self.head(torch.cat((x + skip, aligned), dim=1))))


class DATSRRestoration(nn.Module):
    """SR image = bilinear x4 of the LR image + predicted residual.

    15.7 M parameters as published; the authors' file has 2.4 M more in a content extractor that nothing reads.
    """

    def __init__(self, channels: int = 128, groups: int = 2, layers: int = 4, heads: int = 4) -> None:
        super().__init__()

        def stage(scale: str) -> Stage:
            return Stage(channels, SCALES[scale][1], SwinBody(channels, groups, layers, heads))

        self.unet_head = conv(3, channels)
        self.down_large = stage("large")
        self.shrink_large = conv(channels, channels, stride=2)
        self.down_medium = stage("medium")
        self.shrink_medium = conv(channels, channels, stride=2)
        self.up_small = stage("small")
        self.grow_small = shuffled(channels)
        self.up_medium = stage("medium")
        self.grow_medium = shuffled(channels)
        self.up_large = stage("large")
        self.tail = nn.Sequential(conv(channels, 64), nn.LeakyReLU(0.1), conv(64, 3))
        self.apply(initialise)

    def forward(self, lr: Tensor, refs: dict[str, Tensor], found: list[Correspondence]) -> Tensor:
        """lr (N, 3, h, w), h and w multiples of 8; refs: features by layer; found: by image -> (N, 3, 4h, 4w)."""
        small, medium, large = ((refs[layer], Where(found, factor)) for layer, _, factor in SCALES.values())
        base = bilinear_x4(lr)
        x0 = self.unet_head(base)  # x4
        x1 = self.shrink_large(self.down_large(x0, *large))  # x2
        x = self.shrink_medium(self.down_medium(x1, *medium))  # x1
        x = leaky(self.grow_small(self.up_small(x, *small)))
        x = leaky(self.grow_medium(self.up_medium(x, *medium, x1)))
        x = self.up_large(x, *large, x0)
        return base + self.tail(x)


class DATSR(C2Family):
    """lr (N, 3, h, w), lr_up and ref (N, 3, 4h, 4w), h and w multiples of 8 -> SR (N, 3, 4h, 4w), not clamped."""

    def __init__(self, channels: int = 128, groups: int = 2, layers: int = 4, heads: int = 4) -> None:
        super().__init__(DATSRRestoration(channels, groups, layers, heads))

    def forward(self, lr: Tensor, lr_up: Tensor, ref: Tensor) -> Tensor:
        return self.restoration(lr, self.ref_features(ref), self.correspondences(lr_up, ref))
