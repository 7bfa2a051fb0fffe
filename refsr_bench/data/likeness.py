"""Measures how alike two images are: thumbnails, shifts by Fourier transform, and fits of brightness and contrast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.types import Image

THUMBNAIL = 32  # pixels on a side of the first look, where compression and noise average out
LONG_SIDE = 64  # pixels of the second look: twice the thumbnail's, still too few for compression to show
COARSE_SIDE = 80  # pixels at most of images that are correlated at every shift, which then takes some milliseconds
MIN_OVERLAP = 0.5  # of the smaller image, because small parts of two photos agree somewhere by chance
_WINDOW = 192  # pixels on a side of the part that refines a shift
_FLAT = 0.5  # standard deviation in grey levels; an image below it is one colour, and its correlation is noise
_SLACK = 2  # coarse pixels around that part; the coarse shift is exact to about one


def best_orientation(hr: np.ndarray, ref: np.ndarray) -> tuple[float, int]:
    """Return (correlation, orientation) for the ``oriented`` index under which two thumbnails are most alike."""
    if not hr.any() and not ref.any():
        return 1.0, 0  # two flat images leak only if their pixels are equal
    correlations = np.stack([oriented(ref, k) for k in range(8)]).reshape(8, -1) @ hr.ravel()
    best = int(np.argmax(correlations > correlations.max() - 1e-6))  # the first of equal ones, which is the plainest
    return float(correlations[best]), best


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return the image under one of the eight flips and quarter turns.

    It is turned by 90 degrees ``orientation`` % 4 times, after mirroring from 4 on.
    """
    return np.rot90(image[:, ::-1] if orientation >= 4 else image, orientation % 4)


def detail(luma: np.ndarray) -> np.ndarray:
    """Return each pixel's difference from its four neighbours: the Laplacian, borders repeated."""
    padded = np.pad(luma, 1, mode="edge")
    return 4 * luma - padded[:-2, 1:-1] - padded[2:, 1:-1] - padded[1:-1, :-2] - padded[1:-1, 2:]


def fit(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return (correlation, PSNR in dB) of two lumas of one size after the best gain and offset of ``b``."""
    a, b = (a - a.mean()).ravel(), (b - b.mean()).ravel()
    power = float(np.dot(b, b))
    product = float(np.dot(a, b))
    error = float(np.mean((a - (product / power if power else 0.0) * b) ** 2))
    norm = float(np.sqrt(np.dot(a, a) * power))
    correlation = product / norm if norm else 0.0
    return correlation, 10 * float(np.log10(255.0**2 / error)) if error else float("inf")


def shrunk(image: Image, size: tuple[int, int]) -> np.ndarray:
    """Return luma at (width, height), float64; each pixel is the mean of its area (interpolated when enlarging)."""
    luma = PilImage.fromarray(np.ascontiguousarray(image)).convert("L")
    enlarging = luma.width < size[0] or luma.height < size[1]
    resample = PilImage.Resampling.BICUBIC if enlarging else PilImage.Resampling.BOX
    return np.asarray(luma.resize(size, resample), dtype=np.float64)


def _thumbnail(image: Image) -> np.ndarray:
    """Return THUMBNAIL x THUMBNAIL luma with zero mean and unit length; zeros for a flat image."""
    small = shrunk(image, (THUMBNAIL, THUMBNAIL))
    if small.std() <= _FLAT:
        return np.zeros_like(small)
    small -= small.mean()
    return small / np.linalg.norm(small)


class Glance:
    """The parts of an image that a first look needs, small enough to keep for many images."""

    def __init__(self, load: Callable[[], Image]) -> None:
        self.load = load
        image = load()
        self.thumbnail = _thumbnail(image)
        self.factor = 1  # a power of two, so a coarser image can be made from a finer one without reading again
        while max(image.shape) > COARSE_SIDE * self.factor:
            self.factor *= 2
        self._shifted = {self.factor: Shifted(reduced(image, self.factor))}

    def shifted(self, factor: int) -> Shifted:
        """Return the image reduced by ``factor``, which is at least the image's own."""
        if factor not in self._shifted:
            fine, step = self._shifted[self.factor].image, factor // self.factor
            height, width = (max(1, side // step) for side in fine.shape)
            fine = np.pad(fine, [(0, max(0, step - side)) for side in fine.shape], mode="edge")
            blocks = fine[: height * step, : width * step].reshape(height, step, width, step)
            self._shifted[factor] = Shifted(blocks.mean(axis=(1, 3)))
        return self._shifted[factor]


class Shifted:
    """An image with what ``best_shift`` needs to sum over every overlap with another one by Fourier transform."""

    def __init__(self, image: np.ndarray) -> None:
        self.image = image - image.mean()
        self._spectra: dict[tuple[int, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def spectra(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the spectra of ones, values and squares, padded to shape."""
        if shape not in self._spectra:
            planes = (np.ones_like(self.image), self.image, self.image**2)
            self._spectra[shape] = tuple(np.fft.rfft2(plane, shape) for plane in planes)
        return self._spectra[shape]


def best_shift(a: Shifted, b: Shifted) -> tuple[float, int, int]:
    """Return (correlation, down, right) of the best shift of b against a that overlaps by half the smaller."""
    shape = tuple(1 << (m + n - 1).bit_length() for m, n in zip(a.image.shape, b.image.shape, strict=True))
    (a0, a1, a2), (b0, b1, b2) = a.spectra(shape), b.spectra(shape)
    n, sa, sb, saa, sbb, sab = (
        np.fft.irfft2(p * q.conj(), shape) for p, q in ((a0, b0), (a1, b0), (a0, b1), (a2, b0), (a0, b2), (a1, b1))
    )
    # At each shift n pixels overlap; the sums of their values, squares and products give all correlations at once.
    enough = n > MIN_OVERLAP * min(a.image.size, b.image.size)
    n = np.maximum(n, 1.0)  # only keeps the divisions defined: ``enough`` excludes such shifts
    power_a, power_b = saa - sa**2 / n, sbb - sb**2 / n
    usable = enough & (power_a > _FLAT**2 * n) & (power_b > _FLAT**2 * n)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(usable, (sab - sa * sb / n) / np.sqrt(power_a * power_b), -1.0)
    down, right = np.unravel_index(int(np.argmax(correlation)), shape)
    best = float(correlation[down, right])
    down, right = int(down), int(right)  # shifts up and to the left wrap round to the far end
    down -= shape[0] if down >= a.image.shape[0] else 0
    right -= shape[1] if right >= a.image.shape[1] else 0
    return best, down, right


def refined_shift(a: np.ndarray, b: np.ndarray, coarse: tuple[int, int], factor: int) -> tuple[int, int]:
    """Return (down, right), the shift of luma ``b`` against ``a`` in pixels, near that of both reduced by ``factor``.

    A window in the middle of the overlap is searched for in its surroundings.
    """
    down, right = (side * factor for side in coarse)
    top, left = max(0, down), max(0, right)
    bottom, far = min(a.shape[0], b.shape[0] + down), min(a.shape[1], b.shape[1] + right)
    top, left = max(top, (top + bottom - _WINDOW) // 2), max(left, (left + far - _WINDOW) // 2)
    window = a[top : min(bottom, top + _WINDOW), left : min(far, left + _WINDOW)]
    slack = _SLACK * factor
    y0, x0 = max(0, top - down - slack), max(0, left - right - slack)
    around = b[y0 : y0 + window.shape[0] + 2 * slack, x0 : x0 + window.shape[1] + 2 * slack]
    _, dy, dx = best_shift(Shifted(window), Shifted(around))
    return dy + top - y0, dx + left - x0


def reduced(image: Image, factor: int) -> np.ndarray:
    """Reduce luma to means of factor x factor pixels, float64; an incomplete last row or column is left out."""
    luma = PilImage.fromarray(np.ascontiguousarray(image)).convert("L")
    height, width = luma.height // factor * factor, luma.width // factor * factor
    luma = luma.crop((0, 0, max(factor, width), max(factor, height)))
    return np.asarray(luma.reduce(factor) if factor > 1 else luma, dtype=np.float64)
