"""TTSR (Yang et al., CVPR 2020): a texture transformer at three scales with features integrated across scales.

1. textures: matched patches of the reference at three scales, and how well they match (sections 3.1 and 3.2)
2. shallow features of the LR image
3. a stage per scale: textures join the features, which are integrated across scales (section 3.3)
4. the features of all scales merge into the image

Images are RGB in [-1, 1]. Scales are 1, the LR image's resolution, and 2 and 4 times that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.swap import Found, cosine, find, swap
from refsr_bench.learning import scales
from refsr_bench.learning.blocks import conv, residual_blocks
from refsr_bench.learning.vgg import VGG19Features

SCALES = tuple(scale.factor for scale in scales.SCALES.values())  # 1, 2, 4
LAYERS = {scale.layer: scale.channels for scale in scales.SCALES.values()}  # texture features of these scales


def enlarged(x: Tensor, factor: int = 2) -> Tensor:
    """(N, C, h, w) -> (N, C, factor * h, factor * w), bicubically."""
    return F.interpolate(x, scale_factor=factor, mode="bicubic", align_corners=False)


class Body(nn.Module):
    """Conv(residual blocks(x)), without the skip: it starts elsewhere in each place."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.blocks = residual_blocks(channels, blocks)
        self.tail = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.blocks(x))


class Integration(nn.Module):
    """Cross-scale feature integration (section 3.3, Fig. 3): every scale receives all others.

    They are enlarged bicubically before a 1x1 convolution, or reduced by 3x3 convolutions of stride 2 (``path``, named
    by source and target).
    """

    def __init__(self, channels: int, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.path = nn.ModuleDict()
        self.merge = nn.ModuleDict()
        for target in factors:
            self.merge[str(target)] = conv(len(factors) * channels, channels)
            for source in factors:
                if source < target:
                    self.path[f"{source}_{target}"] = nn.Sequential(conv(channels, channels, 1), nn.ReLU())
                elif source > target:
                    steps = (source // target).bit_length() - 1
                    down = ((conv(channels, channels, stride=2), nn.ReLU()) for _ in range(steps))
                    self.path[f"{source}_{target}"] = nn.Sequential(*(layer for pair in down for layer in pair))

    def forward(self, x: dict[int, Tensor]) -> dict[int, Tensor]:
        joined = {t: torch.cat([x[t], *(self.moved(x[s], s, t) for s in x if s != t)], 1) for t in x}
        return {t: F.relu(self.merge[str(t)](joined[t])) for t in x}

    def moved(self, x: Tensor, source: int, target: int) -> Tensor:
        return self.path[f"{source}_{target}"](enlarged(x, target // source) if source < target else x)


class Stage(nn.Module):
    """One more scale: texture fused into the finest features, integration of all scales, residual blocks at each."""

    def __init__(self, channels: int, texture_channels: int, factors: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.fuse = conv(channels + texture_channels, channels)
        self.integrate = Integration(channels, factors) if len(factors) > 1 else None
        self.body = nn.ModuleDict({str(s): Body(channels, blocks) for s in factors})
        self.enlarge = conv(channels, 4 * channels) if factors[-1] < max(SCALES) else None

    def forward(self, x: dict[int, Tensor], texture: Tensor, attention: Tensor) -> dict[int, Tensor]:
        """x (N, channels, h * s, w * s) by scale s; texture (N, C, ...) and attention (N, 1, ...) at the finest.

        The skip of a body starts before the integration.
        """
        finest = max(x)
        x = dict(x)
        x[finest] = x[finest] + self.fuse(torch.cat((x[finest], texture), 1)) * attention  # Eq. (4)
        mixed = self.integrate(x) if self.integrate else x
        x = {s: x[s] + self.body[str(s)](mixed[s]) for s in x}
        if self.enlarge:
            x[2 * finest] = F.relu(F.pixel_shuffle(self.enlarge(x[finest]), 2))
        return x


class Merge(nn.Module):
    """All scales at the finest one, then the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.ModuleDict({str(s): conv(channels, channels, 1) for s in (1, 2)})
        self.merge = conv(3 * channels, channels)
        self.tail1 = conv(channels, channels // 2)
        self.tail2 = conv(channels // 2, 3, 1)

    def forward(self, x: dict[int, Tensor]) -> Tensor:
        parts = [F.relu(self.path[str(s)](enlarged(x[s], 4 // s))) for s in (1, 2)]
        x = F.relu(self.merge(torch.cat((x[4], *parts), 1)))
        return self.tail2(self.tail1(x))


class TTSR(nn.Module):
    """blocks: of the shallow extractor and of the stages at scale 1, 2, 4.

    The published network has 6.73 M parameters with the texture extractor, which is VGG19 to relu3_1, trained further
    ("learnable texture extractor", section 3.1).
    """

    def __init__(self, channels: int = 64, blocks: tuple[int, int, int, int] = (16, 16, 8, 4)) -> None:
        super().__init__()
        self.extractor = VGG19Features(LAYERS)
        self.head = conv(3, channels)
        self.shallow = Body(channels, blocks[0])
        self.stages = nn.ModuleList(
            Stage(channels, texture, SCALES[: n + 1], blocks[n + 1]) for n, texture in enumerate(LAYERS.values())
        )
        self.merge = Merge(channels)

    def textures(self, lr_up: Tensor, ref: Tensor, ref_down_up: Tensor) -> tuple[Found, Tensor, list[Tensor]]:
        """Hard attention H, soft attention S (N, 1, h, w), and transferred textures T by stage (Eq. 1 to 3)."""
        query, key = (self.extractor(image / 2 + 0.5)["relu3_1"] for image in (lr_up, ref_down_up))
        value = self.extractor(ref / 2 + 0.5)
        found = find(query, [key], padding=1)  # Eq. (1) and (2)
        soft = cosine(query, [key], found) if torch.is_grad_enabled() else found.similarity
        return found, soft[:, None], [swap([value[name]], found, s) for name, s in zip(LAYERS, SCALES, strict=True)]

    def forward(self, lr: Tensor, lr_up: Tensor, ref: Tensor, ref_down_up: Tensor) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), ref and ref_down_up (N, 3, H, W) -> (N, 3, 4h, 4w).

        All are in [-1, 1], H and W multiples of four. The result is clamped as published.
        """
        _, soft, textures = self.textures(lr_up, ref, ref_down_up)  # 1
        x = F.relu(self.head(lr))
        x = {1: x + self.shallow(x)}  # 2
        for scale, stage, texture in zip(SCALES, self.stages, textures, strict=True):
            x = stage(x, texture, enlarged(soft, scale) if scale > 1 else soft)  # 3
        return self.merge(x).clamp(-1, 1)  # 4
