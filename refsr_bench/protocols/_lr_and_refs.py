"""Makes the pixels of a protocol: pure functions from HR and references to what methods are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refsr_bench.core.types import Image
from refsr_bench.pixels.crop import ceil_multiple, mod_crop, pad_replicate_centred, pad_zero
from refsr_bench.pixels.resize import RESIZERS


def framed(hr: Image, how: str, multiple: int) -> tuple[Image, Image, tuple[int, int]]:
    """Return HR as it is scored, the frame that LR is made from, and HR's (top, left) in the frame."""
    if how == "mod-crop":
        cut = mod_crop(hr, multiple)
        return cut, cut, (0, 0)
    height, width = (ceil_multiple(n, multiple) for n in hr.shape[:2])
    frame, top, left = pad_replicate_centred(hr, height, width)
    return hr, frame, (top, left)


def make_lr(frame: Image, scale: int, resizer: str) -> Image:
    """LR of an HR frame whose sides are multiples of the scale. resizer: a key of ``RESIZERS``."""
    return RESIZERS[resizer](frame, frame.shape[0] // scale, frame.shape[1] // scale)


def pad_common(frame: Image, refs: Sequence[Image], scale: int) -> tuple[Image, list[Image]]:
    """Add black at the bottom and right of all images up to their largest height and width.

    A large reference makes the frame, and so LR, equally large. This is the convention, whose matching needs maps of
    one size. Sides are rounded up to the scale, which only a stitching canvas can need.
    """
    height, width = (ceil_multiple(max(image.shape[axis] for image in (frame, *refs)), scale) for axis in (0, 1))
    return pad_zero(frame, height, width), [pad_zero(ref, height, width) for ref in refs]


def fit(ref: Image, frame: Image, how: str, resize: Callable[[Image, int, int], Image]) -> Image:
    """Return a reference in the size that ``ref_size`` asks for, given the padded or cut HR."""
    height, width = frame.shape[:2]
    if how == "crop-pad":
        return pad_zero(ref[:height, :width], height, width)
    if how == "resize":
        return resize(ref, height, width)
    if how == "replicate-16":
        return pad_replicate_centred(ref, ceil_multiple(ref.shape[0], 16), ceil_multiple(ref.shape[1], 16))[0]
    return ref  # "mod-crop" was already done on reading
