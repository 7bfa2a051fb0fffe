"""The restoration network (sections 3.3 and 3.4, Table 3).

Dynamic aggregation at three scales, each followed by a stage of residual blocks:

1. content extractor: features of the LR image (Table 3, #0 and #1)
2. for each scale, small (x1), medium (x2), large (x4):
   a. dynamic aggregation of the reference's features (Eq. 9), with offsets learned from both
   b. residual blocks over features and aggregated features, and their sum with the features (#2 to #5, ...)
   c. enlargement to the next scale; after the last one, convolutions to the residual image (#16 and #17)
3. the sum of the residual image and the LR image, enlarged bilinearly
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from c2matching.nets.dynamic_aggregation import DynamicAggregation, copy_patches
from c2matching.nets.strips import by_rows
from refsr_bench.learning.blocks import bilinear_x4, conv, residual_blocks
from refsr_bench.learning.scales import SCALES, at_grid

OFFSET_CONVOLUTIONS = 3  # that lead to an offset: two for the features, one for offsets and masks
AGGREGATED = 1 << 15  # positions whose offsets are held at once, without gradients: up to 28 MB, 216 channels


@dataclass(frozen=True)
class RestorationConfig:
    """The options of the network.

    blocks: residual blocks of the content extractor and of the small, medium and large stage. groups: deformable
    groups. small_reference: True uses Aggregated Reference Feature1 (relu3_1). taps: the patch whose displacement each
    kernel tap takes, ``mirrored`` (the authors' checkpoints) or ``unmirrored``, see ``pre_offsets``. aggregation:
    ``dynamic`` (Eq. 9) or ``copy``, matched patches copied and averaged where they overlap (ablation). Raises
    ValueError for any other word.
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
        """Return the ``taps`` for ``pre_offsets``: copying needs all patches that contain a cell."""
        return "covering" if self.aggregation == "copy" else self.taps


FULL = RestorationConfig()  # 8,865,547 parameters, Table 4's 8.9 M
LIGHT = RestorationConfig(blocks=(16, 16, 8, 4), small_reference=False)  # 4,825,395 parameters, Table 4's 4.8 M


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(0.1)  # the slope is the authors'; the paper does not name it


class ContentExtractor(nn.Module):
    """Table 3, #0 and #1. (N, 3, h, w) -> (N, channels, h, w)."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(F.leaky_relu(self.conv_first(lr), 0.1))


class DynAggRestoration(nn.Module):
    """Table 3, #2 to #17: one stage per scale.

    Modules lie side by side with the scale in their names (``small_offset_conv1``, ...), as in the authors' files.
    """

    def __init__(self, config: RestorationConfig) -> None:
        super().__init__()
        c = config.channels
        self.scales = tuple(s for s in SCALES if s != "small" or config.small_reference)
        self.copies = config.aggregation == "copy"
        for (scale, (_, ref_channels, _)), n_blocks in zip(SCALES.items(), config.blocks[1:], strict=True):
            if scale in self.scales and config.aggregation == "dynamic":
                self.add_module(f"{scale}_offset_conv1", conv(c + ref_channels, ref_channels))
                self.add_module(f"{scale}_offset_conv2", conv(ref_channels, ref_channels))
                self.add_module(f"{scale}_dyn_agg", DynamicAggregation(ref_channels, config.groups))
            elif scale not in self.scales:
                ref_channels = 0
            self.add_module(f"head_{scale}", nn.Sequential(conv(c + ref_channels, c), _leaky()))  # #3, #8, #13
            self.add_module(f"body_{scale}", residual_blocks(c, n_blocks))  # #4, #9, #14
            if scale == "large":
                tail = nn.Sequential(conv(c, c // 2), _leaky(), conv(c // 2, 3))  # #16, #17
            else:
                tail = nn.Sequential(conv(c, 4 * c), nn.PixelShuffle(2), _leaky())  # #6, #11
            self.add_module(f"tail_{scale}", tail)

    def aggregate(self, scale: str, x: Tensor, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        """The Aggregated Reference Feature at one scale (Eq. 9), (N, C_ref, h, w).

        x (N, channels, h, w) begins at ``origin``; ref (N, C_ref, H, W) may have any size; pre_offset (N, 9, h, w, 2).
        """
        if self.copies:
            return copy_patches(ref, pre_offset, origin)
        if torch.is_grad_enabled() or torch.compiler.is_exporting():
            return self.aggregate_at_once(scale, x, ref, pre_offset, origin)

        def strip(top: int, end: int) -> Tensor:  # offsets and masks have several times the size of the features
            place = (origin[0] + top, origin[1])
            return self.aggregate_at_once(scale, x[:, :, top:end], ref, pre_offset[:, :, top:end], place)

        return by_rows(strip, x.shape[2], max(8, AGGREGATED // x.shape[3]), OFFSET_CONVOLUTIONS)

    def aggregate_at_once(
        self, scale: str, x: Tensor, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]
    ) -> Tensor:
        """Aggregate without strips, as gradients and exported graphs need it."""
        features = torch.cat((x, self.ref_for_offsets(scale, ref, pre_offset, origin)), dim=1)
        features = F.leaky_relu(getattr(self, f"{scale}_offset_conv1")(features), 0.1)
        features = F.leaky_relu(getattr(self, f"{scale}_offset_conv2")(features), 0.1)
        return F.leaky_relu(getattr(self, f"{scale}_dyn_agg")(ref, features, pre_offset, origin), 0.1)

    def ref_for_offsets(self, scale: str, ref: Tensor, pre_offset: Tensor, origin: tuple[int, int]) -> Tensor:
        """Cut the reference for the learned offsets at the same place, not the matched one, like the authors."""
        return at_grid(ref, pre_offset.shape[2:4], origin)

    def stage(
        self, scale: str, x: Tensor, ref: Tensor | None, pre_offset: Tensor | None, origin: tuple[int, int]
    ) -> Tensor:
        """Run one scale before its enlargement, (N, channels, h, w). origin: the start of x, at this resolution."""
        joined = x
        if scale in self.scales:
            joined = torch.cat((x, self.aggregate(scale, x, ref, pre_offset, origin)), dim=1)  # #2, #7, #12
        return x + getattr(self, f"body_{scale}")(getattr(self, f"head_{scale}")(joined))  # #5, #10, #15

    def enlarge(self, scale: str, x: Tensor) -> Tensor:
        """Double the resolution for the next scale; after the last scale, make the residual image."""
        return getattr(self, f"tail_{scale}")(x)

    def forward(self, x: Tensor, refs: Mapping[str, Tensor], pre_offset: Mapping[str, Tensor]) -> Tensor:
        """Make the residual image (N, 3, 4h, 4w) of x (N, channels, h, w); refs and p0 are given by layer name."""
        for scale, (layer, _, _) in SCALES.items():
            x = self.stage(scale, x, refs.get(layer), pre_offset.get(layer), (0, 0))  # a, b
            x = self.enlarge(scale, x)  # c
        return x


class RestorationNet(nn.Module):
    """SR image = bilinear x4 of the LR image + predicted residual; nothing is clamped."""

    def __init__(self, config: RestorationConfig = FULL) -> None:
        super().__init__()
        self.config = config
        self.content_extractor = ContentExtractor(config.channels, config.blocks[0])
        self.dyn_agg_restore = DynAggRestoration(config)
        for name, module in self.named_modules():  # the authors' start; that of offsets is DynamicAggregation's
            if isinstance(module, nn.Conv2d) and not name.endswith("conv_offset_mask"):
                nn.init.normal_(module.weight, 0, 0.02)
                nn.init.zeros_(module.bias)

    @property
    def ref_layers(self) -> tuple[str, ...]:
        """The VGG layers that this network reads the reference at."""
        return tuple(SCALES[scale].layer for scale in self.dyn_agg_restore.scales)

    def forward(self, lr: Tensor, refs: Mapping[str, Tensor], pre_offset: Mapping[str, Tensor]) -> Tensor:
        """lr (N, 3, h, w) RGB in [0, 1] -> SR (N, 3, 4h, 4w).

        refs: features by layer name (relu3_1, relu2_1, relu1_1), of any size; pre_offset: (N, 9, h*f, w*f, 2) by layer
        name, f = 1, 2, 4.
        """
        content = self.content_extractor(lr)  # 1
        residual = self.dyn_agg_restore(content, refs, pre_offset)  # 2
        return bilinear_x4(lr) + residual  # 3
