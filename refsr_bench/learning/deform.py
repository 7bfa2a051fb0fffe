"""Modulated deformable convolution (DCNv2) of a reference, with stock torch and torchvision.

The reference and the output may differ in size. Both implementations compute the same, up to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BACKEND = "auto"  # or "grid", "torchvision"
STRIP = 1024  # output positions sampled at once, over the batch


def sample_reference(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Apply a modulated deformable 3x3 convolution to a reference of any size, over an output grid of any size.

    ref (N, C, H, W); offset (N, groups*9*2, h, w), (y, x) interleaved; mask (N, groups*9, h, w); weight (C', C, 3, 3);
    bias (C',). In the output (N, C', h, w), position (y, x) stands at ``(y, x) + origin`` in the reference. Samples
    outside the reference are zero.

    CUDA tensors are sampled through torchvision's operator and all others through ``grid_sample``, in all threads,
    unless ``BACKEND`` decides otherwise. The two differ by rounding. An exported graph samples at once, because the
    number of strips would depend on the size of the image.
    """
    backend = BACKEND if BACKEND != "auto" else "torchvision" if ref.is_cuda else "grid"
    if torch.compiler.is_exporting():
        backend = "at once"
    sample = {"grid": sample_by_grid, "torchvision": sample_by_torchvision, "at once": sample_at_once}[backend]
    return sample(ref, offset, mask, weight, bias, origin)


# -- torchvision's operator ----------------------------------------------------------------------------------------


def sample_by_torchvision(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Compute ``sample_reference`` through ``torchvision.ops.deform_conv2d``.

    That operator ties the size of its output to that of its input. Where the two differ, a stride and a padding are
    chosen that give the wanted grid, and the positions they imply are subtracted from the offsets.
    """
    from torchvision.ops import deform_conv2d  # here, because a CPU, which never comes here, would pay 170 MB for it

    h, w = offset.shape[-2:]
    (sy, py), (sx, px) = _cover(ref.shape[-2], h), _cover(ref.shape[-1], w)
    if (sy, sx) != (1, 1) or origin != (0, 0):
        y = torch.arange(h, device=ref.device, dtype=offset.dtype)
        x = torch.arange(w, device=ref.device, dtype=offset.dtype)
        dy = (y + origin[0] - 1) - (y * sy - py)  # where the first tap should be, minus where it would be
        dx = (x + origin[1] - 1) - (x * sx - px)
        shift = torch.stack((dy[:, None].expand(h, w), dx.expand(h, w)))  # (2, h, w)
        offset = offset + shift.repeat(offset.shape[1] // 2, 1, 1)
    return deform_conv2d(ref, offset, weight, bias, stride=(sy, sx), padding=(py, px), mask=mask)


def _cover(size: int, outputs: int) -> tuple[int, int]:
    """Choose (stride, padding) so that a 3-tap convolution over ``size`` has exactly ``outputs`` positions."""
    if size == outputs:
        return 1, 1
    stride = max(2, math.ceil((size - 2) / outputs))
    padding = max(0, math.ceil(((outputs - 1) * stride - (size - 3)) / 2))
    return stride, padding


# -- grid_sample ---------------------------------------------------------------------------------------------------


def sample_by_grid(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Compute ``sample_reference`` through ``grid_sample`` in float32, each group as an image of its own.

    Both passes work in strips of rows, so that samples stay in the cache until they are used. No samples are kept for
    the backward pass, which recomputes them. There are no second derivatives.
    """
    with torch.autocast(ref.device.type, enabled=False):
        out = _GridSampling.apply(ref.float(), offset.float(), mask.float(), weight.float(), origin)
        return out.add_(bias.float().view(-1, 1, 1))


def sample_at_once(
    ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, origin: tuple[int, int] = (0, 0)
) -> Tensor:
    """Compute ``sample_reference`` through ``grid_sample`` with stock operators alone; all samples are held at once."""
    n, _, h, w = offset.shape
    samples, _, factor = _samples(ref, offset, mask, origin, 0)
    columns = (samples * factor).view(n, weight[0].numel(), h * w)  # (N, C * 9, h * w)
    return (weight.flatten(1) @ columns).view(n, weight.shape[0], h, w) + bias.view(-1, 1, 1)


class _GridSampling(torch.autograd.Function):
    """The sum over taps and channels: samples times mask, times the kernel, for each strip.

    Samples are (N, groups, C / groups, 9, rows, w), the kernel is (C', C * 9).
    """

    @staticmethod
    def forward(
        ctx: Any, ref: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, origin: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(ref, offset, mask, weight)
        ctx.origin = origin
        n, _, h, w = offset.shape
        out, kernel = ref.new_empty(n, len(weight), h, w), weight.flatten(1)
        for rows in _strips(n, h, w):
            samples, _, factor = _samples(ref, offset[:, :, rows], mask[:, :, rows], origin, rows.start)
            columns = samples.mul_(factor).view(n, len(kernel.T), -1)  # (N, C * 9, rows * w)
            out[:, :, rows] = (kernel @ columns).view_as(out[:, :, rows])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        ref, offset, mask, weight = ctx.saved_tensors
        needs_ref = ctx.needs_input_grad[0]
        n, _, h, w = offset.shape
        kernel = weight.flatten(1)
        grad_images, grad_kernel = None, torch.zeros_like(kernel)
        grad_offset, grad_mask = torch.empty_like(offset), torch.empty_like(mask)
        # A strip's gradient with respect to the reference is as large as the reference, so then one strip does it all.
        for rows in [slice(0, h)] if needs_ref else _strips(n, h, w):
            samples, grid, factor = _samples(ref, offset[:, :, rows], mask[:, :, rows], ctx.origin, rows.start)
            above = grad[:, :, rows].reshape(n, len(weight), -1)  # (N, C', rows * w)
            grad_samples = (kernel.T @ above).view_as(samples)
            grad_mask[:, :, rows] = (samples * grad_samples).sum(2).view_as(grad_mask[:, :, rows])
            grad_kernel += (above @ samples.mul_(factor).view(n, len(kernel.T), -1).transpose(1, 2)).sum(0)
            images = _images(ref, factor.shape[1])
            grad_images, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
                grad_samples.mul_(factor).view(*images.shape[:2], *grid.shape[1:3]), images, grid,
                interpolation_mode=0, padding_mode=0, align_corners=True, output_mask=[needs_ref, True],
            )  # fmt: skip
            # (N * groups, 9 * rows, w, 2) as (x, y) -> (N, groups, 9, 2, rows, w) as (y, x)
            grad_grid = grad_grid.view(n, factor.shape[1], 9, -1, w, 2).permute(0, 1, 2, 5, 3, 4).flip(3)
            per_pixel = 2 / (torch.tensor(ref.shape[-2:], device=ref.device) - 1)  # of grid_sample's [-1, 1]
            grad_offset[:, :, rows] = (grad_grid * per_pixel.view(2, 1, 1)).flatten(1, 3)
        grad_ref = grad_images.view_as(ref) if needs_ref else None
        return grad_ref, grad_offset, grad_mask, grad_kernel.view_as(weight), None


def _strips(n: int, h: int, w: int) -> list[slice]:
    """Cut ``h`` rows into slices of about ``STRIP`` output positions each, counted over a batch of n."""
    step = max(1, STRIP // (n * w))
    return [slice(top, min(h, top + step)) for top in range(0, h, step)]


def _images(ref: Tensor, groups: int) -> Tensor:
    """Split the groups into images of their own: (N, C, H, W) -> (N * groups, C / groups, H, W)."""
    n, channels, height, width = ref.shape
    return ref.reshape(n * groups, channels // groups, height, width)


def _samples(
    ref: Tensor, offset: Tensor, mask: Tensor, origin: tuple[int, int], top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample x(p + p_k + offset) for the output rows from ``top`` on; the mask is not applied yet.

    Returns samples (N, groups, C / groups, 9, rows, w), the grid they were taken at (N * groups, 9 * rows, w, 2), and
    the mask (N, groups, 1, 9, rows, w), ready to be multiplied with the samples.
    """
    n, _, h, w = offset.shape
    groups, (height, width) = mask.shape[1] // 9, ref.shape[-2:]
    tap = torch.arange(3, device=ref.device) - 1
    offset = offset.reshape(n, groups, 9, 2, h, w)
    rows = tap.repeat_interleave(3).view(9, 1, 1) + torch.arange(top, top + h, device=ref.device).view(h, 1) + origin[0]
    columns = tap.repeat(3).view(9, 1, 1) + torch.arange(w, device=ref.device) + origin[1]
    y, x = offset[:, :, :, 0] + rows, offset[:, :, :, 1] + columns  # (N, groups, 9, rows, w)
    grid = torch.stack((2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1), dim=-1).view(n * groups, 9 * h, w, 2)
    samples = F.grid_sample(_images(ref, groups), grid, padding_mode="zeros", align_corners=True)
    return samples.view(n, groups, -1, 9, h, w), grid, mask.reshape(n, groups, 1, 9, h, w)
