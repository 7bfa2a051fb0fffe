"""Between images and tensors: ``uint8 H x W x 3 RGB`` and ``float32 3 x H x W`` in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from refsr_bench.core.types import Image
from refsr_bench.learning.system import SCALE
from refsr_bench.pixels.colour import quantise
from refsr_bench.pixels.resize import resize_pil_bicubic


def to_tensor(image: Image) -> Tensor:
    """uint8 (H, W, 3) -> float32 (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


def quantised(image: Tensor) -> Image:
    """float (3, H, W) in [0, 1] -> uint8 (H, W, 3), rounded half to even."""
    return quantise(image.permute(1, 2, 0).cpu().float().numpy())


def truncated(image: Tensor) -> Image:
    """float (3, H, W) in [0, 1] -> uint8 (H, W, 3), rounded down: what the authors degrade of a warped image."""
    return (image * 255).byte().permute(1, 2, 0).numpy()


def degrade(hr: Image) -> tuple[Image, Image]:
    """LR (H/4, W/4, 3) and its enlargement (H, W, 3), both uint8 and PIL bicubic. H and W are multiples of 4."""
    height, width = hr.shape[:2]
    lr = resize_pil_bicubic(hr, height // SCALE, width // SCALE)
    return lr, resize_pil_bicubic(lr, height, width)


def down(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> (N, 3, H/4, W/4), Pillow-bicubic in 8 bits. H, W: multiples of 4. No gradients."""
    return torch.stack([to_tensor(degrade(quantised(image))[0]) for image in images.detach()]).to(images)


def down_up(images: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] -> the same shape: ``down`` and enlarged again in 8 bits, as blurred as LR."""
    return torch.stack([to_tensor(degrade(quantised(image))[1]) for image in images.detach()]).to(images)
