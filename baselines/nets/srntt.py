"""SRNTT (Zhang et al., CVPR 2019): features of matched reference patches, swapped in at three scales.

There are two networks of that name. The authors' one has BatchNorm and works on [-1, 1] (``OfficialSRNTT``); its
re-implementation in PyTorch, S-aiueo32/srntt-pytorch, has none and works on [0, 1] (``SRNTT``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.blocks import conv, residual_blocks, shuffled
from baselines.nets.swap import Found, find, swap_all, weight_map
from refsr_bench.learning.scales import SCALES
from refsr_bench.learning.vgg import VGG19Features

LAYERS = {layer: factor for layer, _, factor in SCALES.values()}  # relu3_1: 1, relu2_1: 2, relu1_1: 4


def texture_features() -> VGG19Features:
    """ImageNet's VGG19, never trained: relu3_1 is matched, all three are swapped."""
    return VGG19Features(LAYERS).requires_grad_(False)


@torch.no_grad()
def swapped(
    vgg: VGG19Features, image: Tensor, refs: Sequence[Tensor], blurred_refs: Sequence[Tensor]
) -> tuple[Found, dict[str, Tensor]]:
    """Matches of image and references that were both enlarged from LR, and the maps of matched HR patches by layer.

    image (N, 3, 4h, 4w), refs and blurred_refs (N, 3, H, W), RGB in [0, 1]. Constants: no gradients. Maps: relu3_1
    (N, 256, h, w), relu2_1 (N, 128, 2h, 2w), relu1_1 (N, 64, 4h, 4w).
    """
    found = find(vgg(image)["relu3_1"], [vgg(ref)["relu3_1"] for ref in blurred_refs])
    return found, swap_all([vgg(ref) for ref in refs], found, LAYERS)


class Fusion(nn.Module):
    """One scale: x + body(act(head([x, matched]))), then its enlargement, or the image (``tail``)."""

    def __init__(self, channels: int, ref_channels: int, body: nn.Module, act: nn.Module, tail: nn.Module) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(channels + ref_channels, channels), act)
        self.body = body
        self.tail = tail

    def forward(self, x: Tensor, matched: Tensor) -> Tensor:
        return self.tail(x + self.body(self.head(torch.cat((x, matched), 1))))


class TextureTransfer(nn.Module):
    """Section 3.2: (N, channels, h, w) and matched maps by layer -> (N, 3, 4h, 4w).

    body(n): the residual blocks of the n-th scale; act: after convolutions and enlargements; last: to the image.
    """

    def __init__(
        self, channels: int, body: Callable[[int], nn.Module], act: Callable[[], nn.Module], last: nn.Module
    ) -> None:
        super().__init__()
        for n, (scale, (_, ref_channels, _)) in enumerate(SCALES.items()):
            tail = last if scale == "large" else nn.Sequential(*shuffled(channels), act())
            self.add_module(scale, Fusion(channels, ref_channels, body(n), act(), tail))

    def forward(self, x: Tensor, matched: Mapping[str, Tensor]) -> Tensor:
        for scale, (layer, _, _) in SCALES.items():
            x = getattr(self, scale)(x, matched[layer])
        return x


# -- the network of srntt-pytorch ----------------------------------------------------------------------------------


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


class ContentExtractor(nn.Module):
    """(N, 3, h, w) -> (N, channels, h, w). ``upscale``: the image made from it alone, which the first stage of training
    compares with the HR image."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, channels), leaky())
        self.body = residual_blocks(channels, blocks)
        self.tail = nn.Sequential(
            *(*shuffled(channels), leaky(), *shuffled(channels), leaky()),
            *(conv(channels, channels), leaky(), conv(channels, 3)),
        )

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return x + self.body(x)

    def upscale(self, lr: Tensor, features: Tensor) -> Tensor:
        return self.tail(features) + enlarged(lr)


def transfer(channels: int, blocks: int) -> TextureTransfer:
    last = nn.Sequential(conv(channels, channels // 2), leaky(), conv(channels // 2, 3))
    return TextureTransfer(channels, lambda n: residual_blocks(channels, blocks), leaky, last)


def enlarged(lr: Tensor) -> Tensor:
    """Bilinear x4, to which the network adds."""
    return F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)


class SRNTT(nn.Module):
    """Without BatchNorm, RGB in [0, 1]; 5.75 M parameters. weighted: matched maps are multiplied by a function of how
    well they match, learned per scale."""

    def __init__(self, channels: int = 64, blocks: int = 16, weighted: bool = True) -> None:
        super().__init__()
        self.vgg = texture_features()
        self.content = ContentExtractor(channels, blocks)
        self.transfer = transfer(channels, blocks)
        self.weighted = weighted
        if weighted:
            self.a = nn.Parameter(torch.ones(3))
            self.b = nn.Parameter(torch.zeros(3))

    def forward(self, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], refs_down_up: Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), references (N, 3, H, W), multiples of four -> (N, 3, 4h, 4w)."""
        found, maps = swapped(self.vgg, lr_up, refs, refs_down_up)
        return self.restored(lr, maps, found.similarity)

    def restored(self, lr: Tensor, maps: Mapping[str, Tensor], similarity: Tensor) -> Tensor:
        if self.weighted:
            size = lr.shape[-2:]
            maps = {
                layer: m * torch.sigmoid(weight_map(similarity, (size[0] * f, size[1] * f)) * a + b)
                for (layer, m), f, a, b in zip(maps.items(), LAYERS.values(), self.a, self.b, strict=True)
            }
        return enlarged(lr) + self.transfer(self.content(lr), maps)


# -- the authors' network ------------------------------------------------------------------------------------------


class NormedBlock(nn.Module):
    """x + BN(Conv(ReLU(BN(Conv(x))))), as in SRResNet; no bias before a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))


def normed_body(channels: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        *(NormedBlock(channels) for _ in range(blocks)), conv(channels, channels, bias=False), nn.BatchNorm2d(channels)
    )


class NormedExtractor(nn.Module):
    """``ContentExtractor`` of the authors; images in [-1, 1], from a hyperbolic tangent."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, channels), nn.ReLU())
        self.body = normed_body(channels, blocks)
        self.tail = nn.Sequential(
            *(*shuffled(channels), nn.ReLU(), *shuffled(channels), nn.ReLU()), conv(channels, 3, 1), nn.Tanh()
        )

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return x + self.body(x)


class OfficialSRNTT(nn.Module):
    """BatchNorm, RGB in [-1, 1], no skip from image to image; 4.38 M parameters (the paper's table: 4.2 M).

    What is matched is enlarged by the network's own content extractor, the LR image and the reduced references alike.
    The modules stand in the order in which the authors' files list their arrays.
    """

    def __init__(self, channels: int = 64, blocks: tuple[int, int, int, int] = (16, 16, 8, 4)) -> None:
        super().__init__()
        self.vgg = texture_features()
        self.content = NormedExtractor(channels, blocks[0])
        last = nn.Sequential(conv(channels, channels // 2), conv(channels // 2, 3, 1), nn.Tanh())
        self.transfer = TextureTransfer(channels, lambda n: normed_body(channels, blocks[1 + n]), nn.ReLU, last)

    def forward(self, lr: Tensor, refs: Sequence[Tensor], refs_down: Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), refs (N, 3, H, W), refs_down (N, 3, H/4, W/4), all in [-1, 1] -> (N, 3, 4h, 4w)."""
        features = self.content(lr)
        with torch.no_grad():
            images = self.content.tail(features), *(self.content.tail(self.content(ref)) for ref in refs_down)
        upscaled, *blurred = (image / 2 + 0.5 for image in images)
        _, maps = swapped(self.vgg, upscaled, [ref / 2 + 0.5 for ref in refs], blurred)
        return self.transfer(features, maps)
