"""Matching with a view, which shows everything near its own place: a few shifts instead of all patches (Eq. 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.patches import PATCH, check_size, patch_norms

NEAR = 1  # cells; views are followed to a pixel, and half a cell of that is what a patch of cells cannot tell


@torch.no_grad()
def match_near(features: Tensor, view: Tensor, valid: Tensor, near: int = NEAR) -> tuple[Tensor, Tensor]:
    """Find for every 3x3 patch of ``features`` the most similar one of a view, at most ``near`` cells from its place.

    features, view (C, h, w), descriptors of length 1, of one size. valid (h, w) bool: the cells in which the view shows
    something; patches that hold any other are no match. Returns index (h-2, w-2) int64, row-major over the view's
    patches, and cosine (h-2, w-2); -1 where no patch is near. Raises ValueError for maps smaller than 3 x 3.
    """
    check_size(features, view)
    h, w = features.shape[1] - 2, features.shape[2] - 2
    own_norms, norms = patch_norms(features), patch_norms(view)
    whole = -F.max_pool2d(-valid[None].to(view.dtype), PATCH, 1)[0] > 0
    # Steps to the view's patches beyond its border lead to patches that are not valid.
    rim = (near,) * 4
    view, norms, whole = F.pad(view, rim), F.pad(norms, rim, value=1.0), F.pad(whole, rim)
    best = features.new_full((h, w), -1.0)
    index = torch.arange(h * w, device=features.device).view(h, w)
    place = index.clone()
    for dy in range(-near, near + 1):
        for dx in range(-near, near + 1):
            y, x = near + dy, near + dx
            pixels = torch.einsum("chw,chw->hw", features, view[:, y : y + h + 2, x : x + w + 2])
            patches = F.avg_pool2d(pixels[None], PATCH, 1)[0] * PATCH**2
            cosine = patches / (own_norms * norms[y : y + h, x : x + w])
            wins = whole[y : y + h, x : x + w] & (cosine > best)
            best = torch.where(wins, cosine, best)
            index = torch.where(wins, place + dy * w + dx, index)
    return index, best
