"""Computation in overlapping strips of rows: the same values as in one go, in less memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

T = TypeVar("T", Tensor, dict[str, Tensor])

HALO = 16  # image rows around a strip: a multiple of 4, and more than conv3_1's receptive field reaches (11)
STRIP_PIXELS = 1 << 20  # image pixels whose features are computed at once: relu1_1 of them has 256 MiB


def by_rows(compute: Callable[[int, int], T], height: int, rows: int, halo: int) -> T:
    """Call ``compute(top, end)`` for strips of ``rows``, with up to ``halo`` rows more on either side, and join them.

    compute returns a map (N, C, s * (end - top), W), or several by name. s may differ between maps, and may be 1/2 or
    1/4 if the limits of the strips are multiples of 2 or 4.
    """
    if rows >= height:
        return compute(0, height)
    whole: dict[str, Tensor] = {}
    for top in range(0, height, rows):
        end = min(height, top + rows)
        first, last = max(0, top - halo), min(height, end + halo)
        computed = compute(first, last)
        several = isinstance(computed, dict)
        for name, strip in computed.items() if several else [("", computed)]:
            made, asked = strip.shape[2], last - first  # s = made / asked
            if name not in whole:
                whole[name] = strip.new_empty(*strip.shape[:2], height * made // asked, strip.shape[3])
            inner = slice((top - first) * made // asked, (end - first) * made // asked)
            whole[name][:, :, top * made // asked : end * made // asked] = strip[:, :, inner]
    return whole if several else whole[""]


def in_strips(features: Callable[[Tensor], T], image: Tensor) -> T:
    """Run a feature network, up to conv3_1 of VGG, over an image (N, 3, H, W) of any size; H is a multiple of 4."""
    _, _, h, w = image.shape
    rows = max(4, STRIP_PIXELS // w // 4 * 4)
    return by_rows(lambda top, end: features(image[:, :, top:end]), h, rows, HALO)
