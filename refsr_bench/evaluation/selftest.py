"""Measures plain bicubic x4 again on the standard sets a user has, and compares it with the published rows.

A tool chain that agrees makes LR images and metrics correctly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage

from refsr_bench.core.catalogue import get
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Dataset, ImageSource
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.resize import resize_pil_bicubic


@dataclass(frozen=True)
class Anchor:
    """A published bicubic x4 row: mean PSNR-Y in dB and SSIM-Y (11x11 Gaussian), studio-range luma, not rounded.

    n: images of the set. border: pixels left out. ssim_digits: decimals that ``ssim`` is known to.
    grey_plain: files stored as one channel are scored on their grey values, not on luma made from them (Set14 has one;
    as luma it would gain 1.3 dB and the mean 0.09).
    """

    title: str
    n: int
    border: int
    psnr: float
    ssim: float
    ssim_digits: int
    source: str
    grey_plain: bool = False


ANCHORS = {
    "cufed5": Anchor("CUFED5", 126, 0, 24.22, 0.6843, 4, "WTRN (TIP 2022), bicubic row"),
    "manga109": Anchor("Manga109", 109, 0, 24.95, 0.7892, 4, "WTRN (TIP 2022), bicubic row"),
    "sun80": Anchor("Sun80", 80, 0, 28.65, 0.7666, 4, "WTRN (TIP 2022), bicubic row; an own run gave 28.6522 / .7667"),
    "urban100": Anchor("Urban100", 100, 0, 23.13, 0.6592, 4, "WTRN (TIP 2022), bicubic row; own run 23.1330 / .6592"),
    "set5": Anchor("Set5", 5, 4, 28.43, 0.811, 3, "own run with Pillow; published from MATLAB 28.42 / .8104"),
    "set14": Anchor("Set14", 14, 4, 26.00, 0.703, 3, "own run with Pillow; published from MATLAB 26.00 / .7027", True),
    "bsd100": Anchor("BSD100", 100, 4, 25.96, 0.668, 3, "own run with Pillow; published from MATLAB 25.96 / .6675"),
}

PSNR_TOLERANCE = 0.01
"""dB: half a unit of the two decimals printed, and as much for other versions of the resizer."""

SSIM_SLACK = 0.0001
"""Added to half a unit of the last decimal printed, for the same reason."""


@dataclass(frozen=True)
class Check:
    """One row.

    status: "agrees", "differs", "incomplete" (another number of images than the set has), "failed" or "not present".
    detail: by how much, or why not. n, psnr, ssim: the measured values (0 and None without).
    """

    anchor: Anchor
    status: str
    detail: str = ""
    n: int = 0
    psnr: float | None = None
    ssim: float | None = None


def selftest(datasets: Iterable[Dataset]) -> list[Check]:
    """Return one row per anchor, in their order.

    A data set is recognised by its name, or its folder's name ("Set5").
    """
    present = {}
    for dataset in datasets:
        for name in (dataset.root.name if dataset.root else "", dataset.name):
            if name.lower() in ANCHORS:
                present[name.lower()] = dataset
    return [
        check(anchor, present[name]) if name in present else Check(anchor, "not present")
        for name, anchor in ANCHORS.items()
    ]


def check(anchor: Anchor, dataset: Dataset) -> Check:
    """Measure bicubic on a data set and compare. An unreadable image makes the row "failed"; nothing is raised."""
    try:
        values = [_measure(pair.hr, anchor) for pair in dataset.pairs]
    except BenchError as error:
        return Check(anchor, "failed", str(error))
    if not values:
        return Check(anchor, "failed", "the data set is empty")
    n = len(values)
    measured = math.fsum(p for p, _ in values) / n, math.fsum(s for _, s in values) / n
    off_psnr, off_ssim = measured[0] - anchor.psnr, measured[1] - anchor.ssim
    detail = f"by {off_psnr:+.3f} dB and {off_ssim:+.4f}"
    if n != anchor.n:
        return Check(anchor, "incomplete", f"{n} images, the set has {anchor.n}; off {detail}", n, *measured)
    ssim_tolerance = 0.5 * 10**-anchor.ssim_digits + SSIM_SLACK
    agrees = abs(off_psnr) <= PSNR_TOLERANCE and abs(off_ssim) <= ssim_tolerance
    return Check(anchor, "agrees" if agrees else "differs", detail, n, *measured)


def _measure(source: ImageSource, anchor: Anchor) -> tuple[float, float]:
    hr = mod_crop(source.load(), 4)
    if not hr.size:
        raise BenchError(f"{source.name} is smaller than 4 pixels.")
    height, width = hr.shape[:2]
    sr = resize_pil_bicubic(resize_pil_bicubic(hr, height // 4, width // 4), height, width)
    # Measuring three equal channels as RGB gives the plain grey values.
    channel = "rgb" if anchor.grey_plain and _stored_grey(source, hr) else "y"
    psnr, ssim = (get("METRICS", f"{name}_{channel}").load("cpu", None) for name in ("psnr", "ssim"))
    return psnr(sr, hr, anchor.border, False), ssim(sr, hr, anchor.border, False)


def _stored_grey(source: ImageSource, hr: np.ndarray) -> bool:
    """Tell whether the file has one channel.

    Colour files that happen to be grey do not count: published rows convert those.
    """
    if source.path is None or not (hr[..., 0] == hr[..., 1]).all():
        return False
    with PILImage.open(source.path) as image:
        return image.mode == "L"
