"""Building blocks that several networks share. Feature maps are float tensors (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)  # RGB in [0, 1]; subtracted from the input and added back to the output


# -- layers ----------------------------------------------------------------------------------------------------------


def conv(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Make a convolution whose zero padding keeps the size at stride 1. kernel: odd."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=bias)


def leaky(x: Tensor) -> Tensor:
    """Apply leaky ReLU with slope 0.1, which most Ref-SR code uses."""
    return F.leaky_relu(x, 0.1)


def leaky_layer() -> nn.LeakyReLU:
    """Make a module that applies ``leaky``."""
    return nn.LeakyReLU(0.1)


class ResidualBlock(nn.Module):
    """x + scale * Conv(ReLU(Conv(x))), without BatchNorm (EDSR, Fig. 2c)."""

    def __init__(self, channels: int, scale: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, bias=bias)
        self.conv2 = conv(channels, channels, bias=bias)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        residual = self.conv2(F.relu(self.conv1(x), inplace=True))
        if self.scale != 1:
            residual = residual.mul_(self.scale)
        return residual.add_(x)  # in place: half the memory traffic


def residual_blocks(channels: int, n: int, scale: float = 1.0, bias: bool = True) -> nn.Sequential:
    """Chain ``n`` residual blocks; their keys are ``{i}.conv1`` and ``{i}.conv2``."""
    return nn.Sequential(*(ResidualBlock(channels, scale, bias) for _ in range(n)))


class NormalisedBlock(nn.Module):
    """x + Norm(Conv(act(Norm(Conv(x))))) (SRGAN, Fig. 4). Convolutions before a BatchNorm have no bias."""

    def __init__(self, channels: int, act: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv(channels, channels, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.act = act
        self.conv2 = conv(channels, channels, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))


# -- enlarging and warping -------------------------------------------------------------------------------------------


def shuffled(channels: int, bias: bool = True) -> nn.Sequential:
    """Double the resolution: a convolution (key ``0``), then a sub-pixel shuffle."""
    return nn.Sequential(conv(channels, 4 * channels, bias=bias), nn.PixelShuffle(2))


def shuffled_x4(channels: int, bias: bool = True) -> nn.Sequential:
    """Quadruple the resolution by ``shuffled`` twice (keys ``0`` and ``2``)."""
    return nn.Sequential(*shuffled(channels, bias), *shuffled(channels, bias))


def bilinear_x4(lr: Tensor) -> Tensor:
    """Enlarge an LR image x4, (N, C, h, w) -> (N, C, 4h, 4w). Most networks add their prediction to the result."""
    return F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)


def warp(features: Tensor, flow: Tensor, beyond: str = "zeros") -> Tensor:
    """Warp backwards: each position takes the bilinear value at ``position + flow``.

    features (N, C, H, W), H and W above 1; flow (N, H, W, 2), (x, y) in pixels. beyond: the padding outside the map,
    ``zeros`` or ``border``. Returns (N, C, H, W).
    """
    h, w = features.shape[-2:]
    x = torch.arange(w, device=flow.device) + flow[..., 0]
    y = torch.arange(h, device=flow.device)[:, None] + flow[..., 1]
    grid = torch.stack((2 * x / (w - 1) - 1, 2 * y / (h - 1) - 1), dim=-1)  # grid_sample's units: corners at -1 and 1
    return F.grid_sample(features, grid, padding_mode=beyond, align_corners=True)


# -- networks without a body -----------------------------------------------------------------------------------------
# These are base classes and not members, because their layers have no prefix in the authors' files.


class LongSkip(nn.Module):
    """A body inside one long skip, then x4: (N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w).

    Values inside span 255 and have the DIV2K mean removed, as in EDSR and its successors. body: a factory, called after
    the first convolution is made, so that random weights are drawn in the order of the layers.
    """

    RANGE = 255.0

    def __init__(self, channels: int, body: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = body()
        self.conv_after_body = conv(channels, channels)
        self.upsample = shuffled_x4(channels)
        self.conv_last = conv(channels, 3)
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.conv_first((lr - self.mean) * self.RANGE)
        x = x + self.conv_after_body(self.body(x))
        return self.conv_last(self.upsample(x)) / self.RANGE + self.mean


class NearestTail(nn.Module):
    """The tail of a network: nearest-neighbour x2 and a convolution, twice, then two convolutions to the x4 image."""

    def add_tail(self, channels: int) -> None:
        self.conv_up1 = conv(channels, channels)
        self.conv_up2 = conv(channels, channels)
        self.conv_hr = conv(channels, channels)
        self.conv_last = conv(channels, 3)

    def tail(self, x: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
        """Make the image: (N, channels, h, w) -> (N, 3, 4h, 4w)."""
        for convolution in (self.conv_up1, self.conv_up2):
            x = act(convolution(F.interpolate(x, scale_factor=2, mode="nearest")))
        return self.conv_last(act(self.conv_hr(x)))


class ShuffleTail(nn.Module):
    """The tail of a network: a sub-pixel convolution, twice, then two convolutions to the x4 image."""

    def add_tail(self, channels: int) -> None:
        self.upconv1 = conv(channels, 4 * channels)
        self.upconv2 = conv(channels, 4 * channels)
        self.conv_hr = conv(channels, channels)
        self.conv_last = conv(channels, 3)

    def tail(self, x: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
        """Make the image: (N, channels, h, w) -> (N, 3, 4h, 4w)."""
        for convolution in (self.upconv1, self.upconv2):
            x = act(F.pixel_shuffle(convolution(x), 2))
        return self.conv_last(act(self.conv_hr(x)))
