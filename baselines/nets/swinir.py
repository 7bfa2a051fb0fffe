"""SwinIR (Liang et al., ICCV Workshops 2021): a Swin Transformer at the resolution of the LR image (Sec. 3.1, Fig. 2).

1. shallow features F0, one convolution
2. deep features from groups of transformer layers (RSTB)
3. a reconstruction from the sum of both

Inside the groups a feature map is (N, H, W, C); H and W are multiples of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.nets.esrgan import leaky_wide
from refsr_bench.learning.blocks import DIV2K_MEAN, NearestTail, conv, shuffled_x4

MASKED = -100.0  # added to the logits of positions that are no neighbours, as in Swin: exp(-100) is nothing
FEATURES = 64  # channels of the reconstruction, whatever the width of the transformer


def partition(x: Tensor, window: int) -> Tensor:
    """Cut (N, H, W, C) into windows (N * H/w * W/w, w * w, C), row after row."""
    n, h, w, c = x.shape
    x = x.view(n, h // window, window, w // window, window, c).transpose(2, 3)
    return x.reshape(-1, window * window, c)


def merge(windows: Tensor, window: int, height: int, width: int) -> Tensor:
    """The inverse of ``partition``: (N * H/w * W/w, w * w, C) -> (N, H, W, C)."""
    c = windows.shape[-1]
    x = windows.view(-1, height // window, width // window, window, window, c).transpose(2, 3)
    return x.reshape(-1, height, width, c)


def relative_index(window: int) -> Tensor:
    """The relative position, one of (2w - 1)^2, of the second pixel of a window seen from the first, (w*w, w*w)."""
    y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    y, x = y.flatten(), x.flatten()
    dy, dx = (y[:, None] - y + window - 1), (x[:, None] - x + window - 1)
    return dy * (2 * window - 1) + dx


def shift_mask(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """The mask of attention after a cyclic shift by half a window, added to logits, (H/w * W/w, 1, w * w, w * w).

    The last windows then hold pixels from opposite borders of the image. These must not see each other: ``MASKED``,
    else 0.
    """

    def parts(length: int) -> Tensor:  # 0 in whole windows; 1, then 2 in the halves of the last one
        i = torch.arange(length, device=device)
        return (i >= length - window).long() + (i >= length - window // 2).long()

    part = 3 * parts(height)[:, None] + parts(width)
    part = partition(part[None, :, :, None], window)  # (windows, w * w, 1)
    return MASKED * (part != part.transpose(1, 2)).float()[:, None]


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias per relative position (Eq. 5).

    (windows, w * w, C) -> the same; mask: (windows of one image, 1, w * w, w * w) or None.
    """

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("index", relative_index(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        b, pixels, c = x.shape
        # (b, w * w, 3 * C) -> q, k, v (b, heads, w * w, C / heads)
        q, k, v = self.qkv(x).view(b, pixels, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)[None]  # (1, heads, w * w, w * w)
        if mask is not None:
            bias = (bias + mask).repeat(b // mask.shape[0], 1, 1, 1)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(x.transpose(1, 2).reshape(b, pixels, c))


class MLP(nn.Module):
    """Two linear layers with GELU between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SwinLayer(nn.Module):
    """STL (Fig. 2b, Eq. 6): attention in windows, then an MLP, each after a LayerNorm and with a skip. (N, H, W, C).

    shift: pixels by which the windows are moved, 0 or half a window.
    """

    def __init__(self, channels: int, heads: int, window: int, shift: int, mlp_ratio: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLP(channels, mlp_ratio * channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        _, h, w, _ = x.shape
        y = self.norm1(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), (1, 2))
        y = self.attn(partition(y, self.window), mask if self.shift else None)
        y = merge(y, self.window, h, w)
        if self.shift:
            y = y.roll((self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class SwinGroup(nn.Module):
    """RSTB (Fig. 2a, Eq. 4): layers whose windows are shifted in every second one, a convolution, and a skip."""

    def __init__(
        self, channels: int, layers: int, heads: int, window: int, mlp_ratio: int, bottleneck: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SwinLayer(channels, heads, window, window // 2 if i % 2 else 0, mlp_ratio) for i in range(layers)
        )
        self.conv = residual_conv(channels, bottleneck)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = x
        for block in self.blocks:
            y = block(y, mask)
        return x + channels_last(self.conv(channels_first(y)))


def residual_conv(channels: int, bottleneck: bool) -> nn.Module:
    """The end of a group and of the body: one 3x3 convolution, or a ``bottleneck`` of three.

    The bottleneck, in the large network, goes through a quarter of the channels.
    """
    if not bottleneck:
        return conv(channels, channels)
    few = channels // 4
    return nn.Sequential(
        conv(channels, few), nn.LeakyReLU(0.2), conv(few, few, kernel=1), nn.LeakyReLU(0.2), conv(few, channels)
    )


def channels_last(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, H, W, C)."""
    return x.permute(0, 2, 3, 1)


def channels_first(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, C, H, W)."""
    return x.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class SwinSizes:
    """The sizes of a network.

    Published are M ("classical"), which the defaults are, 11.9 M parameters; S ("lightweight"), 60 channels, 4 groups,
    upsampler "pixelshuffledirect", 0.93 M; and L (for real photographs), 240 channels, 9 groups, 8 heads, upsampler
    "nearest+conv", with bottleneck, 28.0 M.
    """

    channels: int = 180
    groups: int = 6
    layers: int = 6
    heads: int = 6
    window: int = 8
    mlp_ratio: int = 2
    upsampler: str = "pixelshuffle"
    bottleneck: bool = False


class SwinIR(nn.Module):
    """(N, 3, h, w) RGB in [0, 1], h and w multiples of the window -> (N, 3, 4h, 4w). options: fields of SwinSizes."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        s = SwinSizes(**options)
        self.window = s.window
        self.conv_first = conv(3, s.channels)
        self.norm_first = nn.LayerNorm(s.channels)
        self.layers = nn.ModuleList(
            SwinGroup(s.channels, s.layers, s.heads, s.window, s.mlp_ratio, s.bottleneck) for _ in range(s.groups)
        )
        self.norm = nn.LayerNorm(s.channels)
        self.conv_after_body = residual_conv(s.channels, s.bottleneck)
        self.upsampler = UPSAMPLERS[s.upsampler](s.channels)
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(3, 1, 1), persistent=False)
        self.apply(initialise)

    def forward(self, lr: Tensor) -> Tensor:
        shallow = self.conv_first(lr - self.mean)  # 1
        mask = shift_mask(*lr.shape[-2:], self.window, lr.device)
        x = self.norm_first(channels_last(shallow))
        for group in self.layers:  # 2
            x = group(x, mask)
        x = shallow + self.conv_after_body(channels_first(self.norm(x)))
        return self.upsampler(x) + self.mean  # 3


class PixelShuffle(nn.Module):
    """Reconstruction for bicubic degradation (Sec. 3.1): sub-pixel convolutions, twice x2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_before_upsample = conv(channels, FEATURES)
        self.upsample = shuffled_x4(FEATURES)
        self.conv_last = conv(FEATURES, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_last(self.upsample(F.leaky_relu(self.conv_before_upsample(x), 0.01)))


class PixelShuffleDirect(nn.Module):
    """The light reconstruction: one sub-pixel convolution to the x4 image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.Sequential(conv(channels, 3 * 4**2), nn.PixelShuffle(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample(x)


class NearestConv(NearestTail):
    """The reconstruction for real photographs, as in ESRGAN: nearest neighbours and a convolution, twice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_before_upsample = conv(channels, FEATURES)
        self.add_tail(FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv_before_upsample(x), 0.01)
        return self.tail(x, leaky_wide)


UPSAMPLERS = {"pixelshuffle": PixelShuffle, "pixelshuffledirect": PixelShuffleDirect, "nearest+conv": NearestConv}


def initialise(module: nn.Module) -> None:
    """Swin's start: normal with standard deviation 0.02, biases zero; convolutions keep torch's."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
