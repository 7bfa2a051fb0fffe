"""Checks whether a reference is the ground truth itself, a near duplicate of it, or a crop from the same picture.

*Duplicates* are found in two stages. First, every image is read once and shrunk to 32x32 luma. A reference is suspect
when its thumbnail, in any of the eight flips and quarter turns, correlates with that of the HR image. Then both are
compared at 64 pixels on the long side, with brightness and contrast fitted: the reference leaks when the whole and its
fine detail agree (``_agree``). Recompression, resizing, noise, exposure, flips and quarter turns do not hide a leak.

*Crops* are found in a similar way. Images of at most 80 pixels are correlated at every shift, the best shift is
refined, and the overlap is compared at full size under the same bounds. This finds a reference that is a crop of the
ground truth at the same scale, even recompressed, and the reverse. It does not find one that was also scaled, turned or
warped.

The check decodes every image once and takes some 5 ms per reference: about 8 seconds for CUFED5, a minute for Manga109
with all pages against all, some minutes for the CUFED training set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from refsr_bench.core.types import Image, ImageSource, RefPair
from refsr_bench.data import likeness
from refsr_bench.data.likeness import LONG_SIDE, Glance, detail, fit, oriented

BY_CONSTRUCTION = "references made from the ground truth: a leak by construction, never ranked"
"""The warning that goes with a data set whose ``leak`` is "by construction"."""

# The bounds lie between the values of leaks and those of honest references. Photos of one scene from neighbouring
# places, the nearest thing to a leak that is none, were measured to reach 0.944 and 21.1 dB. JPEG 30, resizing by 0.5
# to 1.3, turning, darkening and grey leave a duplicate above both bounds (the tests try each on the sample set). LMR's
# authors dropped near duplicates at 30 dB of whole images.
LEAK_CORRELATION = 0.97
LEAK_PSNR = 26.0  # dB
LEAK_DETAIL = 0.3  # correlation of fine detail: two clear skies share a gradient but not their grain
SUSPECT_CORRELATION = 0.97  # of thumbnails; noise averages out in them, so the bound of whole images serves here too
SUSPECT_CROP = 0.6  # of images at 80 pixels, shifted by whole pixels: loose on purpose, because the second look decides
_LEAST_OVERLAP = 0.8 * likeness.MIN_OVERLAP  # of the smaller image: refining moves a shift only a little

ORIENTATIONS = ("", "turned by 90", "turned by 180", "turned by 270", "mirrored", "mirrored, turned by 90")
ORIENTATIONS += ("mirrored, turned by 180", "mirrored, turned by 270")


@dataclass(frozen=True)
class Leak:
    """A reference that gives the answer away.

    correlation, psnr (dB): of luma with brightness and contrast fitted. orientation: how the reference is flipped and
    turned, an index of ORIENTATIONS. identical: every pixel is the same once the reference is turned. share: of the HR
    image that a crop shows. shift: (right, down) in HR pixels, where a crop begins. pair_id, ref_name: empty for two
    images without names.
    """

    kind: Literal["duplicate", "crop"]
    correlation: float
    psnr: float
    orientation: int = 0
    identical: bool = False
    share: float = 1.0
    shift: tuple[int, int] = (0, 0)
    pair_id: str = ""
    ref_name: str = ""

    @property
    def reason(self) -> str:
        """Return the fault of the reference in words, with the numbers."""
        numbers = f"{self.psnr:.1f} dB, correlation {self.correlation:.4f}"
        if self.kind == "crop":
            numbers += f" over {self.share:.0%} of the HR image, shifted by {self.shift}"
            return f"is cut from the same picture as the HR image ({numbers})"
        how = f", {ORIENTATIONS[self.orientation]}" if self.orientation else ""
        if self.identical:
            return f"is the HR image itself{how}"
        return f"is a near duplicate of the HR image{how} ({numbers} at {LONG_SIDE} pixels)"


def describe(leaks: Sequence[Leak]) -> str:
    """Describe the leaks in one sentence, the first five by name."""
    told = "; ".join(f"pair {leak.pair_id}: reference {leak.ref_name} {leak.reason}" for leak in leaks[:5])
    return told if len(leaks) <= 5 else f"{told}; and {len(leaks) - 5} more"


def find_leaks(pairs: Iterable[RefPair], progress: Callable[[int, int], None] = lambda done, total: None) -> list[Leak]:
    """Find references that are their pair's HR image, a near duplicate of it, or from one picture with it.

    progress: called with (pairs done, pairs in all). Raises BenchError naming a file that cannot be read.
    """
    pairs = list(pairs)
    glances = _Glances()
    leaks = []
    for done, pair in enumerate(pairs, 1):
        hr = glances(pair.hr)
        for ref in pair.refs:
            if found := _compare(hr, glances(ref)):
                leaks.append(replace(found, pair_id=pair.id, ref_name=ref.name))
        progress(done, len(pairs))
    return leaks


def leak_between(hr: Image, ref: Image) -> Leak | None:
    """Return the leak that ``ref`` is for ``hr`` (uint8 H x W x 3, any sizes), or None for a fair reference."""
    return _compare(Glance(lambda: hr), Glance(lambda: ref))


def _compare(hr: Glance, ref: Glance) -> Leak | None:
    """Take the cheap looks first; only suspects have their pixels read again."""
    correlation, orientation = likeness.best_orientation(hr.thumbnail, ref.thumbnail)
    if correlation >= SUSPECT_CORRELATION and (found := _duplicate(hr.load(), ref.load(), orientation)):
        return found
    factor = max(hr.factor, ref.factor)
    correlation, down, right = likeness.best_shift(hr.shifted(factor), ref.shifted(factor))
    return _crop(hr.load(), ref.load(), (down, right), factor) if correlation >= SUSPECT_CROP else None


def _duplicate(hr: Image, ref: Image, orientation: int) -> Leak | None:
    turned = oriented(ref, orientation)
    if turned.shape == hr.shape and np.array_equal(turned, hr):
        return Leak("duplicate", 1.0, math.inf, orientation, identical=True)
    height, width = hr.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    a, b = likeness.shrunk(hr, size), likeness.shrunk(turned, size)
    correlation, psnr = fit(a, b)
    return Leak("duplicate", correlation, psnr, orientation) if _agree(correlation, psnr, a, b) else None


def _crop(hr: Image, ref: Image, coarse: tuple[int, int], factor: int) -> Leak | None:
    """Look for a crop. coarse: (down, right), the shift of the two images reduced by ``factor``."""
    a, b = likeness.reduced(hr, 1), likeness.reduced(ref, 1)
    dy, dx = likeness.refined_shift(a, b, coarse, factor)
    ours = a[max(0, dy) : b.shape[0] + dy, max(0, dx) : b.shape[1] + dx]
    theirs = b[max(0, -dy) : a.shape[0] - dy, max(0, -dx) : a.shape[1] - dx]
    if ours.size < _LEAST_OVERLAP * min(a.size, b.size):
        return None  # the refined shift ran away, because there was nothing to hold on to
    correlation, psnr = fit(ours, theirs)
    if not _agree(correlation, psnr, ours, theirs):
        return None
    return Leak("crop", correlation, psnr, share=ours.size / a.size, shift=(dx, dy))


def _agree(correlation: float, psnr: float, a: np.ndarray, b: np.ndarray) -> bool:
    return correlation >= LEAK_CORRELATION and psnr >= LEAK_PSNR and fit(detail(a), detail(b))[0] >= LEAK_DETAIL


class _Glances:
    """A cache of the latest few hundred glances by source, so each image of a usual data set is read once."""

    def __init__(self, keep: int = 256) -> None:
        self._keep = keep  # Manga109 has 109 pages that all its pairs share
        self._known: dict[int, tuple[ImageSource, Glance]] = {}  # holding the source keeps its id unique

    def __call__(self, src: ImageSource) -> Glance:
        known = self._known.pop(id(src), None) or (src, Glance(src.load))
        self._known[id(src)] = known
        if len(self._known) > self._keep:
            del self._known[next(iter(self._known))]
        return known[1]
