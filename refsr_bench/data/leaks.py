"""The leak check: is a reference the ground truth itself, or a near duplicate of it?

Duplicates, in two stages. Every image is read once and shrunk to 32x32 luma; a reference whose thumbnail, in any of the
eight flips and quarter turns, correlates with the input's above 0.97 is looked at again: both at the same size (64
pixels on the long side), brightness and contrast fitted, it is a leak when the correlation is above 0.97 *and* the PSNR
is 26 dB or more, and fine detail correlates above 0.3 (two clear skies share a gradient, not their grain).
Recompression, changes of size, noise, exposure, flips and quarter turns stay above these bounds.

Cuts, likewise: where shrunken images correlate above 0.6 at some shift with at least half of the smaller one
overlapping, the shift is refined and the overlap compared at full size under the same bounds. That finds a
reference that is a crop of the ground truth at the same scale, or the other way round, recompressed too; not one that
was scaled as well, nor a turned or warped view.

Different photos of one scene from neighbouring places, the nearest thing to a leak that is none, were measured to reach
0.944 and 21.1 dB. (LMR's authors dropped near duplicates at 30 dB of whole images.)

Cost: decoding every image of the pairs once, and some 5 ms per reference: about 8 seconds for CUFED5, a minute for
Manga109 with all pages against all, some minutes for the CUFED training set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.types import Image, ImageSource, RefPair

THUMBNAIL = 32
SUSPECT_CORRELATION = 0.97
LONG_SIDE = 64
LEAK_CORRELATION = 0.97
LEAK_PSNR = 26.0
COARSE_SIDE = 80
SUSPECT_CROP = 0.6
MIN_OVERLAP = 0.5
_WINDOW = 192
LEAK_DETAIL = 0.3
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
    """The references of these pairs that are their pair's HR image, a near duplicate of it, or cut from one picture.

    progress: called with (pairs done, pairs in all). Raises BenchError naming a file that cannot be read.
    """
    pairs = list(pairs)
    glances = _Glances()
    leaks = []
    for done, pair in enumerate(pairs, 1):
        hr = glances(pair.hr)
        for ref in pair.refs:
            reason = _reason(hr, glances(ref))
            if reason:
                leaks.append(Leak(pair.id, ref.name, reason))
        if progress:
            progress(done, len(pairs))
    return leaks


def leak_reason(hr: Image, ref: Image) -> str | None:
    """Why ``ref`` is no fair reference for ``hr`` (uint8 H x W x 3, any sizes), or None when it is one."""
    return _reason(_Glance(lambda: hr), _Glance(lambda: ref))


def _reason(hr: _Glance, ref: _Glance) -> str | None:
    orientation = _suspicion(hr.thumbnail, ref.thumbnail)
    reason = None if orientation is None else _duplicate_reason(hr.load(), ref.load(), orientation)
    if reason is None:
        factor = max(hr.factor, ref.factor)
        coarse = _best_shift(hr.shifted(factor), ref.shifted(factor))
        if coarse[0] >= SUSPECT_CROP:
            reason = _crop_reason(hr.load(), ref.load(), coarse, factor)
    return reason


def _duplicate_reason(hr: Image, ref: Image, orientation: int) -> str | None:
    how = ORIENTATIONS[orientation]
    turned = _oriented(ref, orientation)
    if turned.shape == hr.shape and np.array_equal(turned, hr):
        return "is the HR image itself" + (f", {how}" if how else "")
    a, b = _same_size(hr, turned)
    correlation, psnr = _fit(a, b)
    if not _leaks(correlation, psnr, a, b):
        return None
    numbers = f"{psnr:.1f} dB, correlation {correlation:.4f} at {LONG_SIDE} pixels"
    return f"is a near duplicate of the HR image{f', {how}' if how else ''} ({numbers})"


def _same_size(hr: Image, ref: Image) -> tuple[np.ndarray, np.ndarray]:
    """Luma of two upright images at one size, LONG_SIDE or less on the long side."""
    height, width = hr.shape[:2]
    factor = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return _shrunk(hr, size), _shrunk(ref, size)


def _leaks(correlation: float, psnr: float, a: np.ndarray, b: np.ndarray) -> bool:
    """The two bounds, and that details agree too: two clear skies have the same gradient and are two skies."""
    return correlation >= LEAK_CORRELATION and psnr >= LEAK_PSNR and _fit(_detail(a), _detail(b))[0] >= LEAK_DETAIL


def _detail(luma: np.ndarray) -> np.ndarray:
    """Each pixel against its four neighbours."""
    padded = np.pad(luma, 1, mode="edge")
    return 4 * luma - padded[:-2, 1:-1] - padded[2:, 1:-1] - padded[1:-1, :-2] - padded[1:-1, 2:]


def _fit(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """(correlation, PSNR in dB) of two lumas of one size after the best gain and offset of ``b``."""
    a, b = (a - a.mean()).ravel(), (b - b.mean()).ravel()
    power = float(np.dot(b, b))
    product = float(np.dot(a, b))
    error = float(np.mean((a - (product / power if power else 0.0) * b) ** 2))
    norm = float(np.sqrt(np.dot(a, a) * power))
    correlation = product / norm if norm else 0.0
    return correlation, 10 * float(np.log10(255.0**2 / error)) if error else float("inf")


def _crop_reason(hr: Image, ref: Image, coarse: tuple[float, int, int], factor: int) -> str | None:
    """coarse: correlation and shift of the two reduced by ``factor``."""
    _, down, right = coarse
    a, b = _reduced(hr, 1), _reduced(ref, 1)
    # The coarse shift is exact to about one coarse pixel: look for the rest in a window of the overlap.
    top, left = max(0, down * factor), max(0, right * factor)
    bottom = min(a.shape[0], b.shape[0] + down * factor)
    far = min(a.shape[1], b.shape[1] + right * factor)
    top, left = max(top, (top + bottom - _WINDOW) // 2), max(left, (left + far - _WINDOW) // 2)
    window = a[top : min(bottom, top + _WINDOW), left : min(far, left + _WINDOW)]
    y0, x0 = max(0, top - down * factor - 2 * factor), max(0, left - right * factor - 2 * factor)
    around = b[y0 : y0 + window.shape[0] + 4 * factor, x0 : x0 + window.shape[1] + 4 * factor]
    _, dy, dx = _best_shift(_Shifted(window), _Shifted(around))
    dy, dx = dy + top - y0, dx + left - x0
    ours = a[max(0, dy) : b.shape[0] + dy, max(0, dx) : b.shape[1] + dx]
    theirs = b[max(0, -dy) : a.shape[0] - dy, max(0, -dx) : a.shape[1] - dx]
    if ours.size < 0.8 * MIN_OVERLAP * min(a.size, b.size):
        return None  # the refined shift ran away: there was nothing to hold on to
    correlation, psnr = _fit(ours, theirs)
    if not _leaks(correlation, psnr, ours, theirs):
        return None
    share = ours.size / a.size
    numbers = f"{psnr:.1f} dB, correlation {correlation:.4f} over {share:.0%} of the HR image, shifted by ({dx}, {dy})"
    return f"is cut from the same picture as the HR image ({numbers})"


def _reduced(image: Image, factor: int) -> np.ndarray:
    """Luma, each pixel the mean of factor x factor; float64, an incomplete last row or column left out."""
    luma = PilImage.fromarray(np.ascontiguousarray(image)).convert("L")
    height, width = luma.height // factor * factor, luma.width // factor * factor
    luma = luma.crop((0, 0, max(factor, width), max(factor, height)))
    return np.asarray(luma.reduce(factor) if factor > 1 else luma, dtype=np.float64)


class _Shifted:
    """An image and what ``_best_shift`` needs of it: sums over every overlap with another one, by Fourier transform."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image - image.mean()
        self._spectra: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def spectra(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spectra of ones, values and squares, padded to shape."""
        if shape not in self._spectra:
            planes = (np.ones_like(self.image), self.image, self.image**2)
            self._spectra[shape] = tuple(np.fft.rfft2(plane, shape) for plane in planes)
        return self._spectra[shape]


def _best_shift(a: _Shifted, b: _Shifted) -> tuple[float, int, int]:
    """(correlation, down, right): the shift of b against a, overlapping by half the smaller, that correlates best."""
    shape = tuple(1 << (m + n - 1).bit_length() for m, n in zip(a.image.shape, b.image.shape, strict=True))
    (a0, a1, a2), (b0, b1, b2) = a.spectra(shape), b.spectra(shape)
    n, sa, sb, saa, sbb, sab = (
        np.fft.irfft2(p * q.conj(), shape) for p, q in ((a0, b0), (a1, b0), (a0, b1), (a2, b0), (a0, b2), (a1, b1))
    )
    enough = n > MIN_OVERLAP * min(a.image.size, b.image.size)
    n = np.maximum(n, 1.0)
    power_a, power_b = saa - sa**2 / n, sbb - sb**2 / n
    usable = enough & (power_a > _FLAT**2 * n) & (power_b > _FLAT**2 * n)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(usable, (sab - sa * sb / n) / np.sqrt(power_a * power_b), -1.0)
    down, right = np.unravel_index(int(np.argmax(correlation)), shape)
    best = float(correlation[down, right])
    down, right = int(down), int(right)
    down -= shape[0] if down >= a.image.shape[0] else 0
    right -= shape[1] if right >= a.image.shape[1] else 0
    return best, down, right


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


class _Glance:
    """What the first look at an image needs, small enough to keep for many images."""

    def __init__(self, load: Callable[[], Image]) -> None:
        self.load = load
        image = load()
        self.thumbnail = _thumbnail(image)
        self.factor = 1  # a power of two, so that a coarser image is made from a finer one without reading again
        while max(image.shape) > COARSE_SIDE * self.factor:
            self.factor *= 2
        self._shifted = {self.factor: _Shifted(_reduced(image, self.factor))}

    def shifted(self, factor: int) -> _Shifted:
        """Reduced by ``factor``, which is not below the image's own."""
        if factor not in self._shifted:
            fine, step = self._shifted[self.factor].image, factor // self.factor
            height, width = (max(1, side // step) for side in fine.shape)
            fine = np.pad(fine, [(0, max(0, step - side)) for side in fine.shape], mode="edge")
            blocks = fine[: height * step, : width * step].reshape(height, step, width, step)
            self._shifted[factor] = _Shifted(blocks.mean(axis=(1, 3)))
        return self._shifted[factor]


class _Glances:
    """Glances by source, the latest few hundred: each image of a usual data set is read once."""

    def __init__(self, keep: int = 256) -> None:
        self._keep = keep
        self._known: dict[int, tuple[ImageSource, _Glance]] = {}  # the source is held so that its id stays its own

    def __call__(self, src: ImageSource) -> _Glance:
        known = self._known.pop(id(src), None) or (src, _Glance(src.load))
        self._known[id(src)] = known
        if len(self._known) > self._keep:
            del self._known[next(iter(self._known))]
        return known[1]


def describe(leaks: Sequence[Leak]) -> str:
    """The leaks in one sentence, the first five by name."""
    told = "; ".join(f"pair {leak.pair_id}: reference {leak.ref_name} {leak.reason}" for leak in leaks[:5])
    return told if len(leaks) <= 5 else f"{told}; and {len(leaks) - 5} more"
