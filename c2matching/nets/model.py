"""C2-Matching at inference (Fig. 2b), for references of any size, in bounded memory.

1. descriptors of the upsampled LR image (branch 1) and of the reference (branch 2)
2. correspondences (Eq. 4 and 8)
3. the displacements p0 that they give to every kernel tap
4. VGG features of the reference at three scales
5. dynamic aggregation (Eq. 9) and restoration (Table 3)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from c2matching.matching.correspondence import Correspondence, correspond, on_canvas
from c2matching.matching.pre_offsets import pre_offsets_by_layer
from c2matching.matching.subcell import refine
from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.nets.large_images import restore_within_memory
from c2matching.nets.restoration import FULL, RestorationConfig, RestorationNet
from c2matching.nets.strips import in_strips
from refsr_bench.learning.scales import SCALES
from refsr_bench.learning.vgg import VGG19Features

SUB_CELL = "sub-cell"


def _several(ref: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [ref] if isinstance(ref, Tensor) else ref


class C2Matching(nn.Module):
    """The whole of C2-Matching: student extractors, reference features, restoration network.

    Images are (N, 3, H, W) RGB in [0, 1] with H and W multiples of 4. matching: a mode of ``correspond``, or
    ``sub-cell``: exact, and then ``subcell.refine``.
    """

    def __init__(self, config: RestorationConfig = FULL, matching: str = "exact") -> None:
        super().__init__()
        self.matching = matching
        self.restoration = RestorationNet(config)
        self.extractor = ContrastiveExtractor()
        self.vgg = VGG19Features(self.restoration.ref_layers)

    @property
    def below_cell(self) -> bool:
        """True if matches are refined below a cell."""
        return self.matching == SUB_CELL

    @property
    def coarsest(self) -> str:
        """The mode of ``correspond`` that finds cells."""
        return "exact" if self.below_cell else self.matching

    def correspondences(self, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> list[Correspondence]:
        """Match each image of the batch with its reference, or one image with several of any sizes (1, 3, H, W)."""
        dense1 = in_strips(self.extractor.feature_extraction_image1, lr_up)
        dense2 = [in_strips(self.extractor.feature_extraction_image2, each) for each in _several(ref)]
        found = [correspond(a, b, self.coarsest) for a, *b in zip(dense1, *dense2, strict=True)]
        if not self.below_cell:
            return found
        return [refine(f, up, own) for f, up, *own in zip(found, lr_up, *_several(ref), strict=True)]

    def flows(self, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """Return the displacements of the matches on the references' canvas, (h-2, w-2, 2), (x, y), one per image.

        They are in descriptor cells (4 HR pixels).
        """
        return [found.flow for found in self.correspondences(lr_up, ref)]

    def ref_features(self, ref: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the reference features that the restoration network reads; several references share one canvas."""
        maps = [in_strips(self.vgg, each) for each in _several(ref)]
        return {
            layer: on_canvas([m[layer] for m in maps], factor)
            for layer, _, factor in SCALES.values()
            if layer in self.vgg.layers
        }

    def offsets(self, flows: list[Tensor]) -> dict[str, Tensor]:
        """Compute p0 of Eq. (9) by layer name, (N, 9, h*f, w*f, 2), (x, y), f being the layer's factor over LR."""
        scales = [SCALES[scale] for scale in self.restoration.dyn_agg_restore.scales]
        return pre_offsets_by_layer(flows, scales, self.restoration.config.pre_offset_taps)

    def forward(self, lr: Tensor, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), ref (N, 3, H, W) of any size -> SR (N, 3, 4h, 4w), not clamped.

        ref may be several references of differing sizes when N is 1.
        """
        flows = self.flows(lr_up, ref)  # 1 and 2
        offsets = self.offsets(flows)  # 3
        refs = self.ref_features(ref)  # 4
        return self.restoration(lr, refs, offsets)  # 5

    @torch.inference_mode()
    def upscale(self, lr: Tensor, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> Tensor:
        """Upscale one image strip by strip, in bounded memory; the result equals ``forward``."""
        (flow,) = self.flows(lr_up, ref)
        return restore_within_memory(self.restoration, lr, self.ref_features(ref), flow)
