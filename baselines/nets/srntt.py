"""SRNTT (Zhang et al., CVPR 2019): features of matched reference patches, swapped in at three scales.

There are two networks of that name. The authors' has BatchNorm and works on [-1, 1] (``OfficialSRNTT``). Its
re-implementation in PyTorch, S-aiueo32/srntt-pytorch, has none and works on [0, 1] (``SRNTT``).

1. content: features of the LR image
2. matching and swapping: maps of matched reference patches at three scales (section 3.1)
3. texture transfer: the maps join the features scale by scale (section 3.2)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from baselines.nets.swap import Found, find, swap_all, weight_map
from refsr_bench.learning.blocks import NormalisedBlock, bilinear_x4, conv, leaky_layer, residual_blocks, shuffled
from refsr_bench.learning.scales import SCALES
from refsr_bench.learning.vgg import VGG19Features

LAYERS = {layer: factor for layer, _, factor in SCALES.values()}  # relu3_1: 1, relu2_1: 2, relu1_1: 4


def texture_features() -> VGG19Features:
    """ImageNet's VGG19, which is not trained here: relu3_1 is matched, all three layers are swapped."""
    return VGG19Features(LAYERS).requires_grad_(False)


@torch.no_grad()
def swapped(
    vgg: VGG19Features, image: Tensor, refs: Sequence[Tensor], blurred_refs: Sequence[Tensor]
) -> tuple[Found, dict[str, Tensor]]:
    """Match an image with references that were both enlarged from LR; swap in HR patches at every layer.

    image (N, 3, 4h, 4w), refs and blurred_refs (N, 3, H, W), RGB in [0, 1]. Returns the matches and the maps: relu3_1
    (N, 256, h, w), relu2_1 (N, 128, 2h, 2w), relu1_1 (N, 64, 4h, 4w). All are constants, without gradients.
    """
    found = find(vgg(image)["relu3_1"], [vgg(ref)["relu3_1"] for ref in blurred_refs])
    return found, swap_all([vgg(ref) for ref in refs], found, LAYERS)


class Fusion(nn.Module):
    """One scale: x + body(head([x, matched])), then its enlargement, or the image (``tail``)."""

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


class ContentExtractor(nn.Module):
    """(N, 3, h, w) -> (N, channels, h, w)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, channels), leaky_layer())
        self.body = residual_blocks(channels, blocks)
        enlarge = (*shuffled(channels), leaky_layer(), *shuffled(channels), leaky_layer())
        self.tail = nn.Sequential(*enlarge, conv(channels, channels), leaky_layer(), conv(channels, 3))

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return x + self.body(x)

    def upscale(self, lr: Tensor, features: Tensor) -> Tensor:
        """The image (N, 3, 4h, 4w) made without references, which the first stage of training compares with HR."""
        return self.tail(features) + bilinear_x4(lr)


def transfer(channels: int, blocks: int) -> TextureTransfer:
    """The texture transfer of srntt-pytorch, which two later systems take over."""
    last = nn.Sequential(conv(channels, channels // 2), leaky_layer(), conv(channels // 2, 3))
    return TextureTransfer(channels, lambda n: residual_blocks(channels, blocks), leaky_layer, last)


class SRNTT(nn.Module):
    """The network without BatchNorm, RGB in [0, 1]; 5.75 M parameters.

    weighted: matched maps are multiplied by a function of how well they match, learned per scale.
    """

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
        """The SR image from the maps of matched patches by layer and their similarity (N, h-2, w-2)."""
        if self.weighted:
            size = lr.shape[-2:]
            maps = {
                layer: m * torch.sigmoid(weight_map(similarity, (size[0] * f, size[1] * f)) * a + b)
                for (layer, m), f, a, b in zip(maps.items(), LAYERS.values(), self.a, self.b, strict=True)
            }
        return bilinear_x4(lr) + self.transfer(self.content(lr), maps)


# -- the authors' network ------------------------------------------------------------------------------------------


def normed_body(channels: int, blocks: int) -> nn.Sequential:
    """SRResNet's blocks with ReLU, then a convolution and a norm."""
    normed = (NormalisedBlock(channels, nn.ReLU()) for _ in range(blocks))
    return nn.Sequential(*normed, conv(channels, channels, bias=False), nn.BatchNorm2d(channels))


class NormedExtractor(nn.Module):
    """The authors' ``ContentExtractor``; ``tail`` makes an image in [-1, 1], from a hyperbolic tangent."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.head = nn.Sequential(conv(3, channels), nn.ReLU())
        self.body = normed_body(channels, blocks)
        enlarge = (*shuffled(channels), nn.ReLU(), *shuffled(channels), nn.ReLU())
        self.tail = nn.Sequential(*enlarge, conv(channels, 3, 1), nn.Tanh())

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return x + self.body(x)


class OfficialSRNTT(nn.Module):
    """The network with BatchNorm, RGB in [-1, 1]; 4.38 M parameters (the paper's table: 4.2 M).

    There is no skip from image to image. The network's own content extractor enlarges what is matched, the LR image and
    the reduced references alike. The modules stand in the order in which the authors' files list their arrays.
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
        upscaled, *blurred = (image / 2 + 0.5 for image in images)  # VGG19 takes [0, 1]
        _, maps = swapped(self.vgg, upscaled, [ref / 2 + 0.5 for ref in refs], blurred)
        return self.transfer(features, maps)
