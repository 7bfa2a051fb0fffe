"""SSEN (Shim, Park & Kweon, CVPR 2020): similarity search by deformable convolution, nothing is matched explicitly.

Three deformable convolutions in sequence move features of the reference to where the LR image needs them. A dynamic
offset estimator, a small U-Net with non-local blocks, tells each how far. Where the paper leaves something open, this
follows the one implementation that is public, which is not its authors'.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.blocks import conv, residual_blocks, shuffled_x4
from refsr_bench.learning.deform import sample_reference

MULTIPLE = 8  # of LR sides, because the estimator halves the resolution of the LR image three times
LEAST = 16  # LR pixels along a side, because it pools once more at the coarsest level
STAGES = 3  # deformable convolutions, and levels of the estimator


def stages(make: Callable[[int], nn.Module]) -> nn.ModuleDict:
    """The modules ``make(n)`` for n = 1, 2, 3, under those names."""
    return nn.ModuleDict({str(n): make(n) for n in range(1, STAGES + 1)})


class NonLocal(nn.Module):
    """x + Norm(Conv(attention)): every cell looks at all cells of a map of half the resolution (embedded Gaussian)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.theta, self.phi, self.g = conv(channels, half, 1), conv(channels, half, 1), conv(channels, half, 1)
        self.out = conv(half, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        query = self.theta(x).flatten(2).transpose(1, 2)  # (N, h*w, C/2)
        key, value = (F.max_pool2d(layer(x), 2).flatten(2) for layer in (self.phi, self.g))  # (N, C/2, h*w/4)
        attended = (query @ key).softmax(-1) @ value.transpose(1, 2)
        return x + self.norm(self.out(attended.transpose(1, 2).unflatten(2, x.shape[-2:])))


class OffsetEstimator(nn.Module):
    """Features of LR image and reference (N, 2C, h, w) -> features for offsets (N, 2C, h, w).

    The U-Net halves the resolution three times and doubles it three times. Before each step up there is a non-local
    block, whose result joins the map of the same size from the way down. skip: ``add`` or ``concat``.
    """

    def __init__(self, channels: int, skip: str) -> None:
        super().__init__()
        self.skip = skip
        joined = 2 * channels if skip == "concat" else channels
        self.down = stages(lambda n: conv(2 * channels if n == 1 else channels, channels, stride=2))
        self.attention = stages(lambda n: NonLocal(channels))
        self.up = stages(lambda n: nn.ConvTranspose2d(joined, channels, 3, 2, 1, output_padding=1))
        self.out = conv(channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        levels = []
        for down in self.down.values():
            x = F.leaky_relu(down(x), 0.01)
            levels.append(x)
        for up, attention, level in zip(self.up.values(), self.attention.values(), levels[::-1], strict=True):
            x = attention(x)
            x = torch.cat((x, level), 1) if self.skip == "concat" else level + x
            x = F.leaky_relu(up(x), 0.01)
        return self.out(x)


class Alignment(nn.Module):
    """One deformable convolution: features of the LR image and of the reference (N, C, h, w) -> the latter, moved."""

    def __init__(self, channels: int, skip: str) -> None:
        super().__init__()
        self.estimator = OffsetEstimator(channels, skip)
        self.offset = conv(2 * channels, 2 * 9)
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)

    def offsets(self, lr: Tensor, ref: Tensor) -> Tensor:
        """The offsets (N, 18, h, w): (y, x) for each of the nine taps, in cells."""
        return self.offset(self.estimator(torch.cat((lr, ref), 1)))

    def forward(self, lr: Tensor, ref: Tensor) -> Tensor:
        offset = self.offsets(lr, ref)
        mask = torch.ones_like(offset[:, :9])  # no modulation: the first version of deformable convolution
        return sample_reference(ref, offset, mask, self.weight, self.weight.new_zeros(len(self.weight)))


class SSEN(nn.Module):
    """lr (N, 3, h, w), ref (N, 3, 4h, 4w), RGB in [0, 1] -> (N, 3, 4h, 4w); h and w multiples of 8, 16 at least.

    Its sizes, as far as they are known, are 64 channels, 5 residual blocks for features and 16 for restoration, without
    biases there. It has 3.1 M parameters with ``add`` skips, 3.5 M with ``concat``.
    """

    def __init__(self, channels: int = 64, blocks: int = 16, skip: str = "add") -> None:
        super().__init__()
        down = (conv(3, channels, stride=2, bias=False), conv(channels, channels, stride=2, bias=False))
        self.ref_first = nn.Sequential(*down)
        self.lr_first = conv(3, channels, 1, bias=False)
        self.features = residual_blocks(channels, 5, bias=False)  # one extractor for both
        self.align = stages(lambda n: Alignment(channels, skip))
        self.join = conv(2 * channels, channels, 1, bias=False)
        self.body = residual_blocks(channels, blocks, bias=False)
        self.upsample = shuffled_x4(channels, bias=False)
        self.conv_last = conv(channels, 3, bias=False)

    def forward(self, lr: Tensor, ref: Tensor) -> Tensor:
        lr, x = self.features(self.lr_first(lr)), self.features(self.ref_first(ref))
        for align in self.align.values():
            x = align(lr, x)
        x = self.join(torch.cat((lr, x), 1))
        return self.conv_last(self.upsample(lr + self.body(x)))
