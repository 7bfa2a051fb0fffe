"""The 3x3 patches of a descriptor map: their norms and their numbering.

A map (C, h, w) has (h-2) x (w-2) patches, none of which reaches over its border. A patch is numbered by its top-left
cell, row-major over the patches. The paper's equations speak of single descriptors; the authors' code compares patches
of 3x3 of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 3
NORM_EPS = 1e-5  # added to every norm, as in the authors' code, so an all-zero patch has the cosine 0


def patch_norms(features: Tensor) -> Tensor:
    """Compute the L2 norm of every 3x3 patch plus NORM_EPS: (C, H, W) -> (H-2, W-2)."""
    energy = features.square().sum(0)[None, None]
    return F.avg_pool2d(energy, PATCH, 1)[0, 0].mul(PATCH * PATCH).sqrt() + NORM_EPS


def check_size(features: Tensor, ref_features: Tensor) -> None:
    """Raise ValueError when either map (C, h, w) is smaller than a patch."""
    if min(*features.shape[1:], *ref_features.shape[1:]) < PATCH:
        sizes = " and ".join(f"{h}x{w}" for _, h, w in (features.shape, ref_features.shape))
        raise ValueError(f"feature maps of {sizes}: matching needs at least 3x3 each")


def index_to_flow(index: Tensor, ref_cols: int) -> Tensor:
    """Turn the numbers of matched patches into displacements, matched patch minus own patch.

    index (h, w) int64, row-major over rows of ``ref_cols`` patches -> (h, w, 2) float32, (x, y).
    """
    h, w = index.shape
    y, x = torch.meshgrid(
        torch.arange(h, device=index.device), torch.arange(w, device=index.device), indexing="ij"
    )
    return torch.stack((index % ref_cols - x, index // ref_cols - y), dim=-1).float()
