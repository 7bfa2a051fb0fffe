"""C2-Matching at inference: match, aggregate, restore (Fig. 2b), for a reference of any size, in bounded memory.

1. descriptors of the upsampled LR image (branch 1) and of the reference (branch 2)
2. correspondences (Eq. 8) and the displacements p0 they give to every kernel tap
3. VGG features of the reference at three scales
4. dynamic aggregation (Eq. 9) and restoration (Table 3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from c2matching.matching.correspondence import Correspondence, correspond, on_canvas, pre_offsets
from c2matching.nets.extractor import ContrastiveExtractor
from c2matching.nets.restoration import FULL, RestorationConfig, RestorationNet
from c2matching.nets.strips import restore_within_memory
from refsr_bench.learning.scales import SCALES
from refsr_bench.learning.vgg import VGG19Features

HALO = 16  # image rows on either side of a strip: more than conv3_1's receptive field reaches (11)
STRIP_PIXELS = 1 << 20  # image pixels whose features are computed at once


def in_strips(
    features: Callable[[Tensor], dict[str, Tensor]], image: Tensor, strides: dict[str, int]
) -> dict[str, Tensor]:
    """Run a feature network over (N, 3, H, W) in strips of rows; the same values as in one go, in less memory.

    strides: image pixels per feature pixel, by output name. H must be a multiple of every stride.
    """
    n, _, h, w = image.shape
    rows = max(4, STRIP_PIXELS // w // 4 * 4)
    if rows >= h:
        return features(image)
    out: dict[str, Tensor] = {}
    for top in range(0, h, rows):
        end = min(h, top + rows)
        first, last = max(0, top - HALO), min(h, end + HALO)
        for name, strip in features(image[:, :, first:last]).items():
            s = strides[name]
            if name not in out:
                out[name] = strip.new_empty(n, strip.shape[1], h // s, w // s)
            out[name][:, :, top // s : end // s] = strip[:, :, (top - first) // s : (end - first) // s]
    return out


def _several(ref: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return [ref] if isinstance(ref, Tensor) else ref


class C2Matching(nn.Module):
    """The whole of C2-Matching: student extractors, reference features, restoration network.

    Images are (N, 3, H, W) RGB in [0, 1] with H and W multiples of 4. matching: as ``correspond`` takes it.
    """

    def __init__(self, config: RestorationConfig = FULL, matching: str = "exact") -> None:
        super().__init__()
        self.matching = matching
        self.restoration = RestorationNet(config)
        self.extractor = ContrastiveExtractor()
        self.vgg = VGG19Features(self.restoration.ref_layers)

    def correspondences(self, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> list[Correspondence]:
        """Of every pair of the batch, or of one image with several references of any sizes (1, 3, H, W)."""
        one, two = self.extractor.feature_extraction_image1, self.extractor.feature_extraction_image2
        dense1 = in_strips(lambda x: {"d": one(x)}, lr_up, {"d": 4})["d"]
        dense2 = [in_strips(lambda x: {"d": two(x)}, each, {"d": 4})["d"] for each in _several(ref)]
        return [correspond(a, b, self.matching) for a, *b in zip(dense1, *dense2, strict=True)]

    def flows(self, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> list[Tensor]:
        """Their displacements on the references' canvas: (h-2, w-2, 2), (x, y), in feature pixels (4 HR pixels)."""
        return [found.flow for found in self.correspondences(lr_up, ref)]

    def ref_features(self, ref: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """VGG features of the reference for the scales that the restoration network reads; several on one canvas."""
        factors = {layer: factor for layer, _, factor in SCALES.values() if layer in self.vgg.layers}
        strides = {layer: 4 // factor for layer, factor in factors.items()}
        maps = [in_strips(self.vgg, each, strides) for each in _several(ref)]
        return {layer: on_canvas([m[layer] for m in maps], factor) for layer, factor in factors.items()}

    def offsets(self, flows: list[Tensor]) -> dict[str, Tensor]:
        """p0 of Eq. (9) by layer name, (N, 9, h*f, w*f, 2)."""
        scales = [SCALES[scale] for scale in self.restoration.dyn_agg_restore.scales]
        taps = self.restoration.config.pre_offset_taps
        return {layer: torch.stack([pre_offsets(f, factor, taps) for f in flows]) for layer, _, factor in scales}

    def forward(self, lr: Tensor, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> Tensor:
        """lr (N, 3, h, w), lr_up (N, 3, 4h, 4w), ref (N, 3, H, W) of any size -> SR (N, 3, 4h, 4w), not clamped.

        ref may be several references of differing sizes when N is 1.
        """
        return self.restoration(lr, self.ref_features(ref), self.offsets(self.flows(lr_up, ref)))

    @torch.inference_mode()
    def upscale(self, lr: Tensor, lr_up: Tensor, ref: Tensor | Sequence[Tensor]) -> Tensor:
        """As ``forward`` for one image, in bounded memory: features and restoration in strips of rows."""
        (flow,) = self.flows(lr_up, ref)
        return restore_within_memory(self.restoration, lr, self.ref_features(ref), flow)
