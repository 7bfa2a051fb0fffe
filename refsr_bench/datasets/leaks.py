"""The leak check: is a reference the ground truth itself, or a near duplicate of it?

Two stages. Every image is read once and shrunk to 32x32 luma; a reference whose thumbnail, in any of the eight flips
and quarter turns, correlates with the input's above 0.97 is looked at again: both at the same size (64 pixels on the
long side), brightness and contrast fitted, it is a leak when the correlation is above 0.97 *and* the PSNR is 26 dB or
more. Recompression, changes of size, noise, exposure, flips and quarter turns stay above both bounds (30 dB and more,
as a rule 40); different photos of one scene from neighbouring places, the nearest thing to a leak that is none, were
measured to reach 0.944 and 21.1 dB, the two halves of a stereo pair 18.2 dB. (LMR's authors dropped near duplicates at
30 dB of unaligned full images.) A *crop* of the ground truth, or a warped view of it, is not looked for.

Cost: decoding every image of the pairs once, about 5 ms for a CUFED5 image and 2 minutes for the CUFED training set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PilImage

from refsr_bench.types import Image, ImageSource, RefPair

THUMBNAIL = 32
SUSPECT_CORRELATION = 0.97
LONG_SIDE = 64
LEAK_CORRELATION = 0.97
LEAK_PSNR = 26.0
_FLAT = 0.5  # standard deviation in grey levels under which a thumbnail says nothing

ORIENTATIONS = ("", "turned by 90", "turned by 180", "turned by 270", "mirrored", "mirrored, turned by 90")
ORIENTATIONS += ("mirrored, turned by 180", "mirrored, turned by 270")


@dataclass(frozen=True)
class Leak:
    """A reference that gives the answer away. reason: in words, with the numbers."""

    pair_id: str
    ref_name: str
    reason: str


def find_leaks(pairs: Iterable[RefPair], progress: Callable[[int, int], None] | None = None) -> list[Leak]:
    """The references of these pairs that are their pair's HR image or a near duplicate of it.

    progress: called with (pairs done, pairs in all). Raises BenchError naming a file that cannot be read.
    """
    pairs = list(pairs)
    thumbnails = _Thumbnails()
    leaks = []
    for done, pair in enumerate(pairs, 1):
        hr = thumbnails(pair.hr)
        for ref in pair.refs:
            suspicion = _suspicion(hr, thumbnails(ref))
            reason = None if suspicion is None else leak_reason(pair.hr.load(), ref.load(), suspicion)
            if reason:
                leaks.append(Leak(pair.id, ref.name, reason))
        if progress:
            progress(done, len(pairs))
    return leaks


def leak_reason(hr: Image, ref: Image, orientation: int | None = None) -> str | None:
    """Why ``ref`` is no fair reference for ``hr`` (uint8 H x W x 3, any sizes), or None when it is one.

    orientation: index into ORIENTATIONS under which to compare; None looks for the likeliest.
    """
    if orientation is None:
        orientation = _suspicion(_thumbnail(hr), _thumbnail(ref))
        if orientation is None:
            return None
    how = ORIENTATIONS[orientation]
    turned = _oriented(ref, orientation)
    if turned.shape == hr.shape and np.array_equal(turned, hr):
        return "is the HR image itself" + (f", {how}" if how else "")
    correlation, psnr = likeness(hr, turned)
    if correlation < LEAK_CORRELATION or psnr < LEAK_PSNR:
        return None
    numbers = f"{psnr:.1f} dB, correlation {correlation:.4f} at {LONG_SIDE} pixels"
    return f"is a near duplicate of the HR image{f', {how}' if how else ''} ({numbers})"


def likeness(hr: Image, ref: Image) -> tuple[float, float]:
    """(correlation, PSNR in dB) of the luma of two upright images at one size, the reference's exposure fitted."""
    height, width = hr.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    a, b = _shrunk(hr, size).ravel(), _shrunk(ref, size).ravel()
    a, b = a - a.mean(), b - b.mean()
    power = float(np.dot(b, b))
    product = float(np.dot(a, b))
    error = float(np.mean((a - (product / power if power else 0.0) * b) ** 2))
    norm = float(np.sqrt(np.dot(a, a) * power))
    correlation = product / norm if norm else 0.0
    return correlation, 10 * float(np.log10(255.0**2 / error)) if error else float("inf")


def _suspicion(hr: np.ndarray, ref: np.ndarray) -> int | None:
    """The orientation under which two thumbnails look alike; None when there is none."""
    if not hr.any() and not ref.any():
        return 0  # two flat images: only equal pixels make a leak of them
    turned = np.stack([_oriented(ref, k) for k in range(8)]).reshape(8, -1)
    correlations = turned @ hr.ravel()
    best = int(np.argmax(correlations > correlations.max() - 1e-6))  # the plainest among equals
    return best if correlations[best] >= SUSPECT_CORRELATION else None


def _oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    return np.rot90(image[:, ::-1] if orientation >= 4 else image, orientation % 4)


def _shrunk(image: Image, size: tuple[int, int]) -> np.ndarray:
    """Luma at (width, height), float64; each pixel the mean of the area it covers (or interpolated when enlarging)."""
    luma = PilImage.fromarray(np.ascontiguousarray(image)).convert("L")
    enlarging = luma.width < size[0] or luma.height < size[1]
    resample = PilImage.Resampling.BICUBIC if enlarging else PilImage.Resampling.BOX
    return np.asarray(luma.resize(size, resample), dtype=np.float64)


def _thumbnail(image: Image) -> np.ndarray:
    """THUMBNAIL x THUMBNAIL luma without mean and with unit length; zeros for a flat image."""
    small = _shrunk(image, (THUMBNAIL, THUMBNAIL))
    if small.std() <= _FLAT:
        return np.zeros_like(small)
    small -= small.mean()
    return small / np.linalg.norm(small)


class _Thumbnails:
    """Thumbnails by source, each image read once however many pairs it is in."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[ImageSource, np.ndarray]] = {}

    def __call__(self, src: ImageSource) -> np.ndarray:
        if id(src) not in self._known:
            self._known[id(src)] = (src, _thumbnail(src.load()))
        return self._known[id(src)][1]


def describe(leaks: Sequence[Leak]) -> str:
    """One line per leak, for a message."""
    return "\n".join(f"  pair {leak.pair_id}: reference {leak.ref_name} {leak.reason}" for leak in leaks)
