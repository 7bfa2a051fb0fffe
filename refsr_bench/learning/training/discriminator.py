"""The discriminator of the GAN stage (supplement B, Eq. 12 and 13)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (32, 64, 128, 256, 512)


def _block(in_channels: int, channels: int) -> nn.Sequential:
    """Make a convolution and a strided one that halves the resolution, each with BatchNorm and LeakyReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.2),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(0.2),
    )


class ImageDiscriminator(nn.Module):
    """A score of images of any size: (N, 3, H, W) RGB in [0, 1] -> (N, 1, 1, 1) in (0, 1). 5,242,529 parameters.

    It ends in a sigmoid and uses BatchNorm, unlike the usual WGAN critic, because the authors' does. The names of its
    layers are theirs, too.
    """

    def __init__(self) -> None:
        super().__init__()
        for n, (before, channels) in enumerate(zip((3, *CHANNELS), CHANNELS, strict=False), start=1):
            self.add_module(f"conv_block{n}", _block(before, channels))
        self.out_block = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(CHANNELS[-1], 1024, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(1024, 1, 1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1, 0.02)

    def forward(self, image: Tensor) -> Tensor:
        x = image
        for n in range(1, len(CHANNELS) + 1):
            x = getattr(self, f"conv_block{n}")(x)
        return torch.sigmoid(self.out_block(x))
