"""Conversion between images, uint8 (H, W, 3) RGB, and tensors, float32 (3, H, W) in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from refsr_bench.core.types import Image
from refsr_bench.learning.system import SCALE
from refsr_bench.pixels.colour import quantise
from refsr_bench.pixels.resize import resize_pil_bicubic


def to_tensor(image: Image) -> Tensor:
    """Turn an image, uint8 or uint16 (H, W, 3), into a tensor, float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / np.iinfo(image.dtype).max


def quantised(image: Tensor) -> Image:
    """Turn a tensor, float (3, H, W) in [0, 1], into an image, uint8 (H, W, 3), rounded half to even."""
    return quantise(image.permute(1, 2, 0).cpu().float().numpy())


def truncated(image: Tensor) -> Image:
    """Turn a tensor, float (3, H, W) in [0, 1], into uint8 (H, W, 3), rounded down, as the authors do after a warp."""
    return (image * 255).byte().permute(1, 2, 0).numpy()


def degrade(hr: Image) -> tuple[Image, Image]:
    """Reduce an image x4 and enlarge the result again, both by Pillow's bicubic.

    hr: uint8 (H, W, 3), H and W multiples of 4. Returns uint8 (H/4, W/4, 3) and (H, W, 3).
    """
    height, width = hr.shape[:2]
    lr = resize_pil_bicubic(hr, height // SCALE, width // SCALE)
    return lr, resize_pil_bicubic(lr, height, width)


def down(images: Tensor) -> Tensor:
    """Reduce images x4 by Pillow's bicubic in 8 bits: (N, 3, H, W) RGB in [0, 1] -> (N, 3, H/4, W/4).

    H and W are multiples of 4. Gradients do not pass.
    """
    return torch.stack([to_tensor(degrade(quantised(image))[0]) for image in images.detach()]).to(images)


def down_up(images: Tensor) -> Tensor:
    """Blur images like enlarged LR: ``down``, then enlarged again in 8 bits. Same shape and range as ``down`` takes.

    Gradients do not pass.
    """
    return torch.stack([to_tensor(degrade(quantised(image))[1]) for image in images.detach()]).to(images)
