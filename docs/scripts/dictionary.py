"""Writes the table of docs/reference/dictionary.md: calls of other tools, and what each costs against protocol ``c2``.

    python docs/scripts/dictionary.py

Each row is measured on the eight photographs of the sample set: HR is cut to a multiple of 4, made small and large
again by Pillow's bicubic, and compared with itself. Where the tool can be imported, its call is made; where a protocol
measures the same, its fields are measured too, and tests/docs compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench.data.opening import open_dataset
from refsr_bench.metrics.psnr import psnr
from refsr_bench.metrics.ssim import ssim
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.resize import RESIZERS

PAGE = Path(__file__).resolve().parents[1] / "reference" / "dictionary.md"
HEAD = ("tool", "call", "fields", "dB or SSIM against `c2`")
SAME = "0: the same"
Images = list[tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Row:
    """A call of another tool. measure: "psnr" or "ssim".

    fields: those of a protocol that measure the same, as changes of ``c2``; None where no protocol does, for the reason
    that ``why`` gives. own: makes the call on (sr, hr), uint8 RGB; None where the tool cannot be had from an index.
    whole: makes it on all images at once. down: what makes LR.
    """

    tool: str
    call: str
    measure: str = "psnr"
    fields: Mapping[str, Any] | None = field(default_factory=dict)
    why: str = ""
    own: Callable[[np.ndarray, np.ndarray], float] | None = None
    whole: Callable[[Images], float] | None = None
    down: str = "pil-bicubic"

    def by_fields(self, images: Images) -> float:
        """Return the mean over the images, measured as the fields of the protocol say."""
        said = {"channel": "y", "border": 4, "y_rounded": False, **self.fields}
        said.pop("lr_resizer", None)
        if self.measure == "psnr":
            return float(np.mean([psnr(sr, hr, **said) for sr, hr in images]))
        said["window"] = said.pop("ssim_window", "gauss11")
        return float(np.mean([ssim(sr, hr, **said) for sr, hr in images]))

    def by_call(self, images: Images) -> float | None:
        """Return what the tool itself says, or None where it is not here."""
        if self.whole:
            return self.whole(images)
        return float(np.mean([self.own(sr, hr) for sr, hr in images])) if self.own else None


def luma(image: np.ndarray) -> np.ndarray:
    """Return studio-range luma as scikit-image makes it, float64 (H, W), 16 to 235."""
    from skimage.color import rgb2ycbcr

    return rgb2ycbcr(image)[..., 0]


def batch(image: np.ndarray) -> Any:
    """Return an image as torch tools take it: float32 (1, 3, H, W), 0 to 1."""
    import torch

    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


def _skimage() -> Iterator[Row]:
    from skimage.color import rgb2gray
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    gauss = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    yield Row(
        "scikit-image", "`peak_signal_noise_ratio(hr, sr)`", fields={"channel": "rgb", "border": 0},
        own=lambda sr, hr: peak_signal_noise_ratio(hr, sr),
    )  # fmt: skip
    yield Row(
        "scikit-image", "`peak_signal_noise_ratio` of `rgb2ycbcr(...)[..., 0]`, `data_range=255`", fields={"border": 0},
        own=lambda sr, hr: peak_signal_noise_ratio(luma(hr), luma(sr), data_range=255),
    )  # fmt: skip
    yield Row(
        "scikit-image", "`peak_signal_noise_ratio` of `rgb2gray(...)`", fields=None, why="luma of BT.709, full range",
        own=lambda sr, hr: peak_signal_noise_ratio(rgb2gray(hr), rgb2gray(sr), data_range=1),
    )  # fmt: skip
    yield Row(
        "scikit-image", "`structural_similarity` of `rgb2ycbcr(...)[..., 0]`, `data_range=255`", "ssim",
        fields={"ssim_window": "uniform7", "border": 0},
        own=lambda sr, hr: structural_similarity(luma(hr), luma(sr), data_range=255),
    )  # fmt: skip
    yield Row(
        "scikit-image", "the same with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`", "ssim",
        fields={"border": 0}, own=lambda sr, hr: structural_similarity(luma(hr), luma(sr), **gauss),
    )  # fmt: skip
    yield Row(
        "scikit-image", "`structural_similarity(hr, sr, channel_axis=2)`", "ssim", fields=None,
        why="7x7 box on each colour", own=lambda sr, hr: structural_similarity(hr, sr, channel_axis=2),
    )  # fmt: skip


def _torchmetrics() -> Iterator[Row]:
    def on_all(images: Images) -> float:
        from torchmetrics.image import PeakSignalNoiseRatio

        metric = PeakSignalNoiseRatio(data_range=1.0)
        for sr, hr in images:
            metric.update(batch(sr), batch(hr))
        return float(metric.compute())

    def psnr_of_each(sr: np.ndarray, hr: np.ndarray) -> float:
        from torchmetrics.functional.image import peak_signal_noise_ratio

        return float(peak_signal_noise_ratio(batch(sr), batch(hr), data_range=1.0))

    def ssim_of_each(sr: np.ndarray, hr: np.ndarray) -> float:
        from torchmetrics.functional.image import structural_similarity_index_measure

        return float(structural_similarity_index_measure(batch(sr), batch(hr), data_range=1.0))

    yield Row(
        "torchmetrics", "`PeakSignalNoiseRatio(data_range=1.0)`, updated with one image after the other", fields=None,
        why="one error over the pixels of all images, then dB", whole=on_all,
    )  # fmt: skip
    yield Row(
        "torchmetrics", "`peak_signal_noise_ratio(sr, hr, data_range=1.0)`, then the mean",
        fields={"channel": "rgb", "border": 0}, own=psnr_of_each,
    )  # fmt: skip
    yield Row(
        "torchmetrics", "`StructuralSimilarityIndexMeasure(data_range=1.0)`", "ssim", fields=None,
        why="windows on each colour, some over the image's reflection at its edge", own=ssim_of_each,
    )  # fmt: skip


def _others() -> Iterator[Row]:
    import cv2

    yield Row("pyiqa", "`create_metric('psnr')`", fields={"channel": "rgb", "border": 0})
    yield Row("pyiqa", "`create_metric('psnry')`", fields={"channel": "y-full", "border": 0})
    yield Row(
        "pyiqa", "`create_metric('ssim')`", "ssim", fields={"channel": "y-full", "y_rounded": True, "border": 0}
    )  # fmt: skip
    yield Row("MATLAB", "`psnr(sr, hr)`, RGB", fields={"channel": "rgb", "border": 0})
    yield Row(
        "MATLAB", "`psnr` of `rgb2ycbcr(...)(:,:,1)`, 4 pixels cut: luma is uint8", fields={"y_rounded": True}
    )  # fmt: skip
    yield Row("MATLAB", "`imresize(hr, 1/4)` for LR", fields={"lr_resizer": "matlab-bicubic"}, down="matlab-bicubic")
    yield Row("BasicSR", "`calculate_psnr(sr, hr, crop_border=4, test_y_channel=True)`")
    yield Row("BasicSR", "`calculate_psnr(sr, hr, crop_border=4)`", fields={"channel": "rgb"})
    yield Row("BasicSR", "`calculate_ssim(sr, hr, crop_border=4, test_y_channel=True)`", "ssim")
    yield Row("BasicSR", "`calculate_ssim(sr, hr, crop_border=4)`", "ssim", fields={"channel": "rgb"})
    yield Row(
        "OpenCV", "`PSNR(sr, hr)`", fields={"channel": "rgb", "border": 0}, own=lambda sr, hr: cv2.PSNR(sr, hr)
    )  # fmt: skip
    yield Row(
        "OpenCV", "`PSNR` of `cvtColor(..., COLOR_RGB2GRAY)`",
        fields={"channel": "y-full", "y_rounded": True, "border": 0},
        own=lambda sr, hr: cv2.PSNR(cv2.cvtColor(sr, cv2.COLOR_RGB2GRAY), cv2.cvtColor(hr, cv2.COLOR_RGB2GRAY)),
    )  # fmt: skip
    yield Row(
        "OpenCV", "`resize(hr, ..., interpolation=INTER_CUBIC)` for LR and for bicubic", fields=None,
        why="no antialiasing: such LR is another task", own=lambda sr, hr: psnr(sr, hr, "y", 4), down="cv2",
    )  # fmt: skip


def rows() -> list[Row]:
    """Return every row of the dictionary, tool by tool."""
    return [*_skimage(), *_torchmetrics(), *_others()]


def photographs(down: str = "pil-bicubic", limit: int | None = None) -> Images:
    """Return (SR, HR) of the sample set's photographs, uint8 RGB. down: what made LR; "cv2" also enlarges."""
    import cv2

    found = []
    for pair in open_dataset("sample").pairs[:limit]:
        hr = mod_crop(pair.hr.load(), 4)
        height, width = hr.shape[:2]
        if down == "cv2":
            lr = cv2.resize(hr, (width // 4, height // 4), interpolation=cv2.INTER_CUBIC)
            found.append((cv2.resize(lr, (width, height), interpolation=cv2.INTER_CUBIC), hr))
        else:
            lr = RESIZERS[down](hr, height // 4, width // 4)
            found.append((RESIZERS["pil-bicubic"](lr, height, width), hr))
    return found


def table() -> str:
    """Return the table of the page."""
    images = {down: photographs(down) for down in ("pil-bicubic", "matlab-bicubic", "cv2")}
    base = {name: Row("", "", name).by_fields(images["pil-bicubic"]) for name in ("psnr", "ssim")}
    lines = [HEAD, ("---",) * len(HEAD)]
    for row in rows():
        said = row.by_call(images[row.down])
        value = row.by_fields(images[row.down]) if said is None else said
        change = value - base[row.measure]
        shown = f"{change:+.3f} dB" if row.measure == "psnr" else f"{change:+.4f}"
        lines.append((row.tool, row.call, _fields(row), shown.replace("-", "−") if change else SAME))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _fields(row: Row) -> str:
    if row.fields is None:
        return f"none: {row.why}"
    words = (f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in row.fields.items())
    return ", ".join(f"`{word}`" for word in words) or "those of `c2`"


if __name__ == "__main__":
    begin, end = "<!-- dictionary: written by docs/scripts/dictionary.py -->\n", "\n<!-- end of dictionary -->"
    page = PAGE.read_text(encoding="utf-8")
    written = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{table()}{end}", page, flags=re.S)
    PAGE.write_text(written, encoding="utf-8")
