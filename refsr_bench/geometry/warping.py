"""Makes the pixels of a transformed reference: one resampling of the HR photo, then the changes of the values."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.types import Image
from refsr_bench.geometry.transformation import Transformation, check, pixel_grid, within
from refsr_bench.pixels.resize import cubic

INTERPOLATION = (
    "one resampling from the HR photo: cubic convolution (a = -0.5, as Pillow and MATLAB) whose support widens with "
    "the local shrinkage; quarter turns and identity copy pixels; beyond the photo lies its mirror image"
)
_FAR = 2**40  # pixels; positions near the horizon are clipped here, so that they still fit into an int64 index
_CHUNK = 1 << 16  # reference pixels that are resampled at once, so temporaries do not grow with the image


def apply(hr: Image, transformation: Transformation) -> Image:
    """Return the reference, ``uint8 h x w x 3``. Raises BenchError for a homography that ``check`` refuses.

    The steps are, in this order: the warp; ``blur`` (standard deviation, pixels); ``gamma`` and ``gain_r``, ``gain_g``,
    ``gain_b`` on values in [0, 1]; ``noise`` (standard deviation, grey levels; ``noise_seed``); occluders in mid-grey;
    one rounding to 8 bits; ``jpeg`` (quality).
    """
    check(transformation, hr.shape[:2], f"{transformation.seed or transformation.kind}")
    values = dict(transformation.photometric)
    copied = _copied(hr, transformation)
    if copied is not None and not values and not transformation.occluders:
        return copied
    image = _warped(hr, transformation) if copied is None else copied.astype(np.float64)
    if sigma := values.get("blur"):
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, (sigma, sigma, 0), mode="reflect", truncate=4.0)
    if "gamma" in values:
        gains = np.asarray([values[f"gain_{channel}"] for channel in "rgb"])
        # Cubic weights overshoot, and a negative value has no real power.
        image = 255 * gains * (image.clip(0, 255) / 255) ** values["gamma"]
    if sigma := values.get("noise"):
        image = image + sigma * _normal(int(values["noise_seed"]), image.shape)
    for left, top, width, height in transformation.occluders:
        image[top : top + height, left : left + width] = 128
    out = np.floor(image + 0.5).clip(0, 255).astype(np.uint8)
    if "jpeg" in values:
        file = io.BytesIO()
        PilImage.fromarray(out).save(file, "JPEG", quality=int(values["jpeg"]), subsampling="4:2:0")
        out = np.asarray(PilImage.open(file).convert("RGB")).copy()
    return out


def _normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw standard normal numbers by Box and Muller from PCG64's raw stream, which numpy promises to keep."""
    n = math.prod(shape)
    bits = np.random.PCG64(seed).random_raw(2 * n) >> np.uint64(11)
    # Half a step above zero, so the logarithm of zero never occurs.
    radius, angle = (bits.astype(np.float64).reshape(2, n) + 0.5) / 2**53
    return (np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)).reshape(shape)


def _mirrored(index: np.ndarray, n: int) -> np.ndarray:
    """Map indices beyond 0 .. n-1 into the mirror image, with border pixels repeated."""
    index = np.mod(index, 2 * n)
    return np.where(index < n, index, 2 * n - 1 - index)


def _copied(hr: Image, transformation: Transformation) -> Image | None:
    """Return the reference without interpolation if pixels fall on pixels (quarter turns, whole shifts), else None."""
    matrix = np.asarray(transformation.matrix)
    turn = matrix[:2, :2]
    whole = np.array_equal(matrix, np.rint(matrix)) and np.array_equal(matrix[2], (0, 0, 1))
    if not (whole and np.array_equal(np.abs(turn).sum(axis=0), (1, 1)) and np.array_equal(turn @ turn.T, np.eye(2))):
        return None
    there = (pixel_grid(transformation.size) - matrix[:2, 2]) @ turn  # the inverse of a turn is its transpose
    x, y = np.moveaxis(np.rint(there).astype(np.int64), -1, 0)
    return hr[_mirrored(y, hr.shape[0]), _mirrored(x, hr.shape[1])]


def _warped(hr: Image, transformation: Transformation) -> np.ndarray:
    """Return float64 (h, w, 3): every reference pixel is a cubic-weighted mean of HR pixels around its origin."""
    height, width = hr.shape[:2]
    u, v, stretch = _origins(transformation, height, width)
    pixels = hr.reshape(-1, 3).astype(np.float64)
    out = np.empty((len(u), 3))
    for start in range(0, len(u), _CHUNK):
        part = slice(start, start + _CHUNK)
        columns, across = _taps(u[part], stretch[part], width)
        rows, down = _taps(v[part], stretch[part], height)
        total = np.zeros((len(u[part]), 3))
        for row, weight in zip(rows, down, strict=True):
            line = np.zeros_like(total)
            for column, w in zip(columns, across, strict=True):
                line += w[:, None] * pixels[row * width + column]
            total += weight[:, None] * line
        out[part] = total
    return out.reshape(*transformation.size, 3)


def _origins(transformation: Transformation, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each reference pixel's position in an HR image of this size and its kernel's stretch, all (n,).

    The kernel widens to the reference pixel if that is larger than an HR pixel, by the larger singular value of the
    inverse map there. When only the scale changes, this is Pillow's antialiased bicubic.
    """
    inverse = np.linalg.inv(np.asarray(transformation.matrix))
    middle = np.asarray([(transformation.size[1] - 1) / 2, (transformation.size[0] - 1) / 2, 1.0])
    inverse = inverse / (inverse[2] @ middle)  # makes depth 1 in the reference's centre, and positive in view
    x, y = pixel_grid(transformation.size).reshape(-1, 2).T
    depth = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    # points beyond the horizon are far away, and the clamp avoids dividing by zero or a negative depth
    depth = np.maximum(depth, 1e-6)
    u = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / depth
    v = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / depth
    stretch = np.maximum(1.0, _largest_singular(inverse, u, v, depth))
    # Pixels that show the mirror image beyond the photo need no wider kernel; near the horizon it would be endless.
    shown = within(u, v, (0, 0, width, height))
    stretch = np.minimum(stretch, stretch[shown].max() if shown.any() else 1.0)
    return u.clip(-_FAR, _FAR), v.clip(-_FAR, _FAR), stretch


def _largest_singular(inverse: np.ndarray, u: np.ndarray, v: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return HR pixels per reference pixel, in the direction where they are most, at HR positions (u, v).

    This is the larger singular value of the 2x2 Jacobian [[a, b], [c, d]] in closed form.
    """
    a, b = ((inverse[0, k] - u * inverse[2, k]) / depth for k in (0, 1))
    c, d = ((inverse[1, k] - v * inverse[2, k]) / depth for k in (0, 1))
    return (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2


def _taps(position: np.ndarray, stretch: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return indices and normalised cubic weights around positions, both (taps, m); the kernel reaches two steps."""
    first = np.floor(position - 2 * stretch).astype(np.int64) + 1
    index = first + np.arange(math.ceil(4 * float(stretch.max(initial=1.0))) + 1)[:, None]
    weights = cubic((position - index) / stretch)
    return _mirrored(index, n), weights / weights.sum(axis=0)
