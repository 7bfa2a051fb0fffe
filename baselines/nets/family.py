"""C2-Matching's descendants share its extractors, VGG features of the reference, and images of one size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from c2matching.matching.correspondence import Correspondence, correspond
from c2matching.nets.correspondence_network import ContrastiveExtractor
from refsr_bench.learning.scales import SCALES
from refsr_bench.learning.vgg import VGG19Features

SCALE = 4  # HR pixels per LR pixel


class C2Family(nn.Module):
    """A restoration network with C2-Matching's correspondence network and reference features, which are not trained.

    Images are (N, 3, H, W) RGB in [0, 1]; LR enlarged and references have one size.
    """

    def __init__(self, restoration: nn.Module) -> None:
        super().__init__()
        self.restoration = restoration
        self.extractor = ContrastiveExtractor().requires_grad_(False)
        self.vgg = VGG19Features(scale.layer for scale in SCALES.values()).requires_grad_(False)

    @torch.no_grad()
    def correspondences(self, lr_up: Tensor, ref: Tensor) -> list[Correspondence]:
        """The best patch of the reference for every 3x3 patch of descriptors (C2-Matching, Eq. 8), by image."""
        return [correspond(*pair) for pair in zip(*self.extractor(lr_up, ref), strict=True)]

    @torch.no_grad()
    def ref_features(self, ref: Tensor) -> dict[str, Tensor]:
        """The VGG features by layer: relu3_1 (N, 256, H/4, W/4), relu2_1 (N, 128, H/2, W/2), relu1_1 (N, 64, H, W)."""
        return self.vgg(ref)


def one_size(
    lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], multiple: int = 1
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """LR (N, 3, h, w), enlarged LR (N, 3, 4h, 4w) and references of any sizes, filled up so that all have one size.

    The sides of the LR image come to multiples of ``multiple`` by repeating its last row and column. Then everything is
    filled with zeros at the bottom and right up to the largest, as in the authors' evaluations.
    """
    below, beside = (-side % multiple for side in lr.shape[-2:])
    lr = F.pad(lr, (0, beside, 0, below), mode="replicate")
    lr_up = F.pad(lr_up, (0, SCALE * beside, 0, SCALE * below), mode="replicate")
    step = SCALE * multiple
    height, width = (-(-max(image.shape[axis] for image in (lr_up, *refs)) // step) * step for axis in (-2, -1))

    def filled(image: Tensor, h: int, w: int) -> Tensor:
        return F.pad(image, (0, w - image.shape[-1], 0, h - image.shape[-2]))

    return (
        filled(lr, height // SCALE, width // SCALE),
        filled(lr_up, height, width),
        [filled(ref, height, width) for ref in refs],
    )
