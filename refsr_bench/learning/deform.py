"""Dynamic aggregation (Eq. 9): a modulated deformable convolution around precomputed correspondences."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torchvision.ops import deform_conv2d

BACKEND = "auto"  # "grid" or "torchvision"
STRIP = 1024  # output positions sampled at once, over the batch


def _cover(size: int, outputs: int) -> tuple[int, int]:
    """A (stride, padding) with which a 3-tap convolution over ``size`` has exactly ``outputs`` positions."""
    if size == outputs:
        return 1, 1
    stride = max(2, math.ceil((size - 2) / outputs))
    padding = max(0, math.ceil(((outputs - 1) * stride - (size - 3)) / 2))
    return stride, padding


def sample_reference(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Modulated deformable convolution of a reference of any size over an output grid of any size.

    ref (N, C, H, W); offset (N, groups*9*2, h, w), (y, x) interleaved; mask (N, groups*9, h, w). Output (N, C', h, w):
    position (y, x) stands at ``(y, x) + origin`` in the reference. Samples outside the reference are zero.

    On the CPU through ``grid_sample``, in all threads, elsewhere through torchvision's operator; ``BACKEND`` decides
    otherwise. They differ by rounding.
    """
    backend = BACKEND if BACKEND != "auto" else "torchvision" if ref.is_cuda else "grid"
    by = {"grid": sample_by_grid, "torchvision": sample_by_torchvision}[backend]
    return by(ref, offset, mask, weight, bias, origin)


def sample_by_torchvision(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """``sample_reference`` through ``torchvision.ops.deform_conv2d``.

    That ties the output grid to the size of its input. When the sizes differ, a stride and padding that give the wanted
    grid are chosen and the positions they imply are taken back out of the offsets.
    """
    h, w = offset.shape[-2:]
    (sy, py), (sx, px) = _cover(ref.shape[-2], h), _cover(ref.shape[-1], w)
    if (sy, sx) != (1, 1) or origin != (0, 0):
        y = torch.arange(h, device=ref.device, dtype=offset.dtype)
        x = torch.arange(w, device=ref.device, dtype=offset.dtype)
        dy = (y + origin[0] - 1) - (y * sy - py)
        dx = (x + origin[1] - 1) - (x * sx - px)
        shift = torch.stack((dy[:, None].expand(h, w), dx.expand(h, w)))
        offset = offset + shift.repeat(offset.shape[1] // 2, 1, 1)
    return deform_conv2d(ref, offset, weight, bias, stride=(sy, sx), padding=(py, px), mask=mask)


def sample_by_grid(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """``sample_reference`` through ``grid_sample``, every group an image of its own, in float32.

    In strips of rows, forwards and backwards, so that samples stay in the cache until they are used; none is kept for
    the gradient. Gradients of gradients are not available.
    """
    with torch.autocast(ref.device.type, enabled=False):
        return _GridSampling.apply(ref.float(), offset.float(), mask.float(), weight.float(), bias.float(), origin)


class _GridSampling(torch.autograd.Function):
    """Per strip: samples (N, groups, C / groups, 9, rows, w), times the mask, times the kernel (C', C * 9)."""

    @staticmethod
    def forward(
        ctx: Any, ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(ref, offset, mask, weight)
        ctx.origin = origin
        n, _, h, w = offset.shape
        out, kernel = ref.new_empty(n, len(weight), h, w), weight.flatten(1)
        for rows in _strips(n, h, w):
            samples, _, factor = _samples(ref, offset[:, :, rows], mask[:, :, rows], origin, rows.start)
            out[:, :, rows] = (kernel @ samples.mul_(factor).view(n, len(kernel.T), -1)).view_as(out[:, :, rows])
        return out.add_(bias.view(-1, 1, 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        ref, offset, mask, weight = ctx.saved_tensors
        of_ref = ctx.needs_input_grad[0]
        n, _, h, w = offset.shape
        kernel = weight.flatten(1)
        grad_images, grad_kernel = None, torch.zeros_like(kernel)
        grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
        # The reference's gradient is as large as the reference for every strip: then one strip.
        for rows in [slice(0, h)] if of_ref else _strips(n, h, w):
            samples, grid, factor = _samples(ref, offset[:, :, rows], mask[:, :, rows], ctx.origin, rows.start)
            above = grad[:, :, rows].reshape(n, len(weight), -1)
            of_samples = (kernel.T @ above).view_as(samples)
            grad_mask[:, :, rows] = (samples * of_samples).sum(2).view_as(grad_mask[:, :, rows])
            grad_kernel += (above @ samples.mul_(factor).view(n, len(kernel.T), -1).transpose(1, 2)).sum(0)
            images = _images(ref, factor.shape[1])
            grad_images, of_grid = torch.ops.aten.grid_sampler_2d_backward(
                of_samples.mul_(factor).view(*images.shape[:2], *grid.shape[1:3]), images, grid,
                interpolation_mode=0, padding_mode=0, align_corners=True, output_mask=[of_ref, True],
            )  # fmt: skip
            of_grid = of_grid.view(n, factor.shape[1], 9, -1, w, 2).permute(0, 1, 2, 5, 3, 4).flip(3)
            per_pixel = 2 / (torch.tensor(ref.shape[-2:], device=ref.device) - 1)  # from grid_sample's [-1, 1]
            grad_offset[:, :, rows] = (of_grid * per_pixel.view(2, 1, 1)).flatten(1, 3)
        grad_ref = grad_images.view_as(ref) if of_ref else None
        return grad_ref, grad_offset, grad_mask, grad_kernel.view_as(weight), grad.sum((0, 2, 3)), None


def _strips(n: int, h: int, w: int) -> list[slice]:
    step = max(1, STRIP // (n * w))
    return [slice(top, min(h, top + step)) for top in range(0, h, step)]


def _images(ref: Tensor, groups: int) -> Tensor:
    """(N, C, H, W) -> (N * groups, C / groups, H, W)."""
    n, channels, height, width = ref.shape
    return ref.reshape(n * groups, channels // groups, height, width)


def _samples(
    ref: Tensor, offset: Tensor, mask: Tensor, origin: tuple[int, int], top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample the reference for output rows from ``top``: (N, groups, C / groups, 9, rows, w), the grid they were taken
    at (N * groups, 9 * rows, w, 2) and the mask in the shape they are multiplied with."""
    n, _, h, w = offset.shape
    groups, (height, width) = mask.shape[1] // 9, ref.shape[-2:]
    tap = torch.arange(3, device=ref.device) - 1
    offset = offset.reshape(n, groups, 9, 2, h, w)
    rows = tap.repeat_interleave(3).view(9, 1, 1) + torch.arange(top, top + h, device=ref.device).view(h, 1) + origin[0]
    columns = tap.repeat(3).view(9, 1, 1) + torch.arange(w, device=ref.device) + origin[1]
    y, x = offset[:, :, :, 0] + rows, offset[:, :, :, 1] + columns
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=-1).view(n * groups, 9 * h, w, 2)
    samples = F.grid_sample(_images(ref, groups), grid, padding_mode="zeros", align_corners=True)
    return samples.view(n, groups, -1, 9, h, w), grid, mask.reshape(n, groups, 1, 9, h, w)


def tap_offsets(pre_offset: Tensor, groups: int = 1) -> Tensor:
    """p0 (N, 9, h, w, 2) as (x, y) -> (N, groups*9*2, h, w) as (y, x) per tap, the same for all groups."""
    n, taps, h, w, _ = pre_offset.shape
    return pre_offset.flip(-1).permute(0, 1, 4, 2, 3).reshape(n, taps * 2, h, w).repeat(1, groups, 1, 1)


class DynamicAggregation(nn.Module):
    """Eq. (9): y(p) = sum_k w_k x(p + p0 + p_k + dp_k) dm_k, with dp_k and dm_k predicted from ``offset_features``."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        bound = 1 / math.sqrt(9 * channels)
        nn.init.uniform_(self.weight, -bound, bound)
        self.conv_offset_mask = nn.Conv2d(channels, groups * 27, 3, padding=1)
        nn.init.zeros_(self.conv_offset_mask.weight)
        nn.init.zeros_(self.conv_offset_mask.bias)

    def offset_and_mask(self, offset_features: Tensor, pre_offset: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, h, w), p0 (N, 9, h, w, 2) as (x, y) -> offsets (N, groups*9*2, h, w) as (y, x), mask in (0, 1)."""
        out = self.conv_offset_mask(offset_features)
        learned, logits = out.split([self.groups * 18, self.groups * 9], dim=1)
        return learned + tap_offsets(pre_offset, self.groups), logits.sigmoid()

    def forward(
        self, ref: Tensor, offset_features: Tensor, pre_offset: Tensor, origin: tuple[int, int] = (0, 0)
    ) -> Tensor:
        offset, mask = self.offset_and_mask(offset_features, pre_offset)
        return sample_reference(ref, offset, mask, self.weight, self.bias, origin)


def copy_patches(ref: Tensor, pre_offset: Tensor, origin: tuple[int, int] = (0, 0)) -> Tensor:
    """Fixed patch copy, what Eq. (9) replaces: each position averages the matched patches that cover it.

    ref (N, C, H, W) of any size; pre_offset (N, 9, h, w, 2), (x, y), integers, of the nine covering patches; position
    (y, x) of the output (N, C, h, w) stands at ``(y, x) + origin`` in the reference.
    """
    height, width = ref.shape[-2:]
    h, w = pre_offset.shape[2:4]
    y = torch.arange(h, device=ref.device).view(h, 1) + origin[0]
    x = torch.arange(w, device=ref.device) + origin[1]
    total = ref.new_zeros(*ref.shape[:2], h, w)
    for tap in pre_offset.long().unbind(1):
        rows = (y + tap[..., 1]).clamp(0, height - 1)  # the tail that fills a map to whole cells has no patches
        columns = (x + tap[..., 0]).clamp(0, width - 1)
        where = (rows * width + columns).flatten(1)[:, None].expand(-1, ref.shape[1], -1)
        total += ref.flatten(2).gather(2, where).view_as(total)
    return total / 9
