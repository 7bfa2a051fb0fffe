"""The restoration network (paper section 3.4, Table 3): dynamic aggregation at three scales, then residual blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.deform import DynamicAggregation, copy_patches
from refsr_bench.learning.scales import SCALES, at_grid

OFFSET_CONVOLUTIONS = 3  # before an offset: two for the features, one for offsets and masks
AGGREGATED = 1 << 15  # positions whose offsets are held at once, without gradients


@dataclass(frozen=True)
class RestorationConfig:
    """Sizes of the network. blocks: residual blocks of the content extractor and of the small, medium, large stage.

    small_reference: whether Aggregated Reference Feature1 (relu3_1) is used. taps: which patch's displacement each
    kernel tap takes, ``mirrored`` (the authors' checkpoints) or ``unmirrored``, see ``correspondence.pre_offsets``.
    aggregation: ``dynamic`` (Eq. 9) or ``copy``, matched patches copied and averaged where they overlap (ablation).
    """

    channels: int = 64
    blocks: tuple[int, int, int, int] = (16, 16, 16, 16)
    groups: int = 8
    small_reference: bool = True
    taps: str = "mirrored"
    aggregation: str = "dynamic"

    def __post_init__(self) -> None:
        for field, known in (("taps", ("mirrored", "unmirrored")), ("aggregation", ("dynamic", "copy"))):
            if getattr(self, field) not in known:
                raise ValueError(f"{field} is {getattr(self, field)!r}, it must be one of {', '.join(known)}")

    @property
    def pre_offset_taps(self) -> str:
        """What ``correspondence.pre_offsets`` is asked for: copying needs all patches that contain a cell."""
        return "covering" if self.aggregation == "copy" else self.taps


FULL = RestorationConfig()  # 8,865,547 parameters, Table 4's 8.9 M
LIGHT = RestorationConfig(blocks=(16, 16, 8, 4), small_reference=False)  # 4,825,395 parameters, Table 4's 4.8 M


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.1)


class ResidualBlock(nn.Module):
    """Table 3, RB: x + Conv(ReLU(Conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels)
        self.conv2 = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(x), inplace=True)).add_(x)  # in place: half the memory traffic


def _blocks(channels: int, n: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(n)))


class ContentExtractor(nn.Module):
    """Table 3, #0 and #1. (N, 3, h, w) -> (N, channels, h, w)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv_first = _conv(3, channels)
        self.body = _blocks(channels, blocks)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(F.leaky_relu(self.conv_first(lr), 0.1))


class DynAggRestoration(nn.Module):
    """Table 3, #2 to #17: one stage per scale, each named as in the authors' files (``small_offset_conv1``, ...)."""

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        c = config.channels
        self.scales = tuple(s for s in SCALES if s != "small" or config.small_reference)
        self.copies = config.aggregation == "copy"
        for (scale, (_, ref_channels, _)), n_blocks in zip(SCALES.items(), config.blocks[1:], strict=True):
            if scale in self.scales and config.aggregation == "dynamic":
                self.add_module(f"{scale}_offset_conv1", _conv(c + ref_channels, ref_channels))
                self.add_module(f"{scale}_offset_conv2", _conv(ref_channels, ref_channels))
                self.add_module(f"{scale}_dyn_agg", DynamicAggregation(ref_channels, config.groups))
            elif scale not in self.scales:
                ref_channels = 0
            self.add_module(f"head_{scale}", nn.Sequential(_conv(c + ref_channels, c), _leaky()))
            self.add_module(f"body_{scale}", _blocks(c, n_blocks))
            if scale == "large":
                tail = nn.Sequential(_conv(c, c // 2), _leaky(), _conv(c // 2, 3))
            else:
                tail = nn.Sequential(_conv(c, 4 * c), nn.PixelShuffle(2), _leaky())
            self.add_module(f"tail_{scale}", tail)

    def aggregate(self, scale: str, x: Tensor, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        """Aggregated Reference Feature at one scale (Eq. 9), (N, C_ref, h, w). ``ref`` may have any size."""
        if self.copies:
            return copy_patches(ref, pre_offset, origin)
        if torch.is_grad_enabled():
            return self._aggregate(scale, x, ref, pre_offset, origin)

        def strip(top: int, end: int) -> Tensor:  # offsets and masks have several times the size of the features
            place = (origin[0] + top, origin[1])
            return self._aggregate(scale, x[:, :, top:end], ref, pre_offset[:, :, top:end], place)

        return by_rows(strip, x.shape[2], max(8, AGGREGATED // x.shape[3]), OFFSET_CONVOLUTIONS)

    def beside(self, scale: str, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        """What the learned offsets see of the reference: the same place, not warped."""
        return at_grid(ref, pre_offset.shape[2:4], origin)

    def _aggregate(self, scale: str, x: Tensor, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        features = torch.cat((x, self.beside(scale, ref, pre_offset, origin)), dim=1)
        features = F.leaky_relu(getattr(self, f"{scale}_offset_conv1")(features), 0.1)
        features = F.leaky_relu(getattr(self, f"{scale}_offset_conv2")(features), 0.1)
        return F.leaky_relu(getattr(self, f"{scale}_dyn_agg")(ref, features, pre_offset, origin), 0.1)

    def stage(
        self, scale: str, x: Tensor, ref: Tensor | None, pre_offset: Tensor | None, origin: tuple[int, int]
    ) -> Tensor:
        """One scale before its enlargement, (N, channels, h, w); origin: where x starts, at this scale's resolution."""
        joined = x
        if scale in self.scales:
            joined = torch.cat((x, self.aggregate(scale, x, ref, pre_offset, origin)), dim=1)
        return x + getattr(self, f"body_{scale}")(getattr(self, f"head_{scale}")(joined))

    def enlarge(self, scale: str, x: Tensor) -> Tensor:
        """Twice the resolution for the next scale; after the last scale, the residual image."""
        return getattr(self, f"tail_{scale}")(x)

    def forward(self, x: Tensor, refs: Mapping[str, Tensor], pre_offset: Mapping[str, Tensor]) -> Tensor:
        for scale, (layer, _, _) in SCALES.items():
            x = self.stage(scale, x, refs.get(layer), pre_offset.get(layer), (0, 0))
            x = self.enlarge(scale, x)
        return x


def by_rows(f: Callable[[int, int], Tensor], height: int, rows: int, halo: int) -> Tensor:
    """``f(top, end)``, (N, C, s * (end - top), W), for strips of ``rows`` and ``halo`` more on either side, in one."""
    if rows >= height:
        return f(0, height)
    whole = None
    for top in range(0, height, rows):
        end = min(height, top + rows)
        first, last = max(0, top - halo), min(height, end + halo)
        part = f(first, last)
        s = part.shape[2] // (last - first)
        if whole is None:
            whole = part.new_empty(*part.shape[:2], height * s, part.shape[3])
        whole[:, :, top * s : end * s] = part[:, :, (top - first) * s : (end - first) * s]
    return whole


class RestorationNet(nn.Module):
    """SR image = bilinear x4 of the LR image + predicted residual; nothing is clamped.

    forward: lr (N, 3, h, w) RGB in [0, 1]; refs: features by layer name (relu3_1, relu2_1, relu1_1), of any size;
    pre_offset: (N, 9, h*f, w*f, 2) by layer name, f = 1, 2, 4. Returns (N, 3, 4h, 4w).
    """

    def __init__(self, config: RestorationConfig = FULL) -> None:
        super().__init__()
        self.config = config
        self.content_extractor = ContentExtractor(config.channels, config.blocks[0])
        self.dyn_agg_restore = DynAggRestoration(config)
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d) and not name.endswith("conv_offset_mask"):
                nn.init.normal_(module.weight, 0, 0.02)
                nn.init.zeros_(module.bias)

    @property
    def ref_layers(self) -> tuple[str, ...]:
        """The VGG layers this network reads from the reference."""
        return tuple(SCALES[scale][0] for scale in self.dyn_agg_restore.scales)

    @staticmethod
    def base(lr: Tensor) -> Tensor:
        """Bilinear x4, to which the residual is added."""
        return F.interpolate(lr, scale_factor=4, mode="bilinear", align_corners=False)

    def forward(self, lr: Tensor, refs: Mapping[str, Tensor], pre_offset: Mapping[str, Tensor]) -> Tensor:
        return self.base(lr) + self.dyn_agg_restore(self.content_extractor(lr), refs, pre_offset)
