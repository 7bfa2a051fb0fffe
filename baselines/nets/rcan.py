"""RCAN (Zhang et al., ECCV 2018): residual groups of residual blocks that weigh their channels."""

from __future__ import annotations

from torch import Tensor, nn

from refsr_bench.learning.blocks import LongSkip, conv


class ChannelAttention(nn.Module):
    """Multiplies each channel by a number in (0, 1) made from the means of all (section 3.3, Fig. 3)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.attention(x)


class AttentionBlock(nn.Module):
    """The paper's RCAB: x + attention(Conv(ReLU(Conv(x)))) (Fig. 4)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.rcab = nn.Sequential(
            conv(channels, channels), nn.ReLU(), conv(channels, channels), ChannelAttention(channels, reduction)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rcab(x)


class ResidualGroup(nn.Module):
    """x + Conv(blocks(x)), the paper's short skip connection (Eq. 5)."""

    def __init__(self, channels: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.residual_group = nn.Sequential(*(AttentionBlock(channels, reduction) for _ in range(blocks)))
        self.conv = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.residual_group(x))


class RCAN(LongSkip):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 10 groups of 20 blocks, 15.6 M parameters."""

    def __init__(self, channels: int = 64, groups: int = 10, blocks: int = 20, reduction: int = 16) -> None:
        super().__init__(
            channels, lambda: nn.Sequential(*(ResidualGroup(channels, blocks, reduction) for _ in range(groups)))
        )
