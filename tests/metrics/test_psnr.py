"""PSNR against the authors' values, scikit-image, and the distances between its conventions."""

import math
from pathlib import Path

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics.psnr import psnr
from refsr_bench.pixels.colour import quantise

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "j_metrics.npz")


def pair(height=40, width=48, seed=0):
    rng = np.random.default_rng(seed)
    hr = rng.integers(0, 256, (height, width, 3))
    return np.clip(hr + rng.integers(-20, 21, hr.shape), 0, 255).astype(np.uint8), hr.astype(np.uint8)


@pytest.mark.parametrize("name", ["noise", "shift", "odd"])
def test_the_authors_values(name):
    """Made by the C2-Matching authors' evaluation code, border 4; theirs is float32, the second pair float64."""
    sr, hr = quantise(GOLDEN[f"{name}_sr"].transpose(1, 2, 0)), GOLDEN[f"{name}_gt_rgb_u8"]
    assert np.array_equal(sr, GOLDEN[f"{name}_sr_rgb_u8"])
    assert psnr(sr, hr, "rgb", 4) == pytest.approx(float(GOLDEN[f"{name}_psnr"]), abs=1e-4)
    assert psnr(sr, hr, "y", 4) == pytest.approx(float(GOLDEN[f"{name}_psnr_y"]), abs=1e-4)
    assert psnr(sr, hr, "rgb", 4) == pytest.approx(float(GOLDEN[f"{name}_psnr_float64"]), abs=1e-9)
    assert psnr(sr, hr, "y", 4) == pytest.approx(float(GOLDEN[f"{name}_psnr_y_float64"]), abs=1e-9)


def test_identical_images_are_infinite():
    sr, hr = quantise(GOLDEN["same_sr"].transpose(1, 2, 0)), GOLDEN["same_gt_rgb_u8"]
    assert psnr(sr, hr, "y", 4) == psnr(sr, hr, "rgb", 4) == math.inf == float(GOLDEN["same_psnr_y"])


def test_scikit_image_agrees():
    from skimage.metrics import peak_signal_noise_ratio

    sr, hr = pair()
    assert psnr(sr, hr, "rgb", 0) == pytest.approx(peak_signal_noise_ratio(hr, sr))
    assert psnr(sr, hr, "rgb", 3) == pytest.approx(peak_signal_noise_ratio(hr[3:-3, 3:-3], sr[3:-3, 3:-3]))


def test_full_range_luma_costs_one_decibel_and_a_third():
    """Nearly the same weights, differences larger by 255/219: why numbers from kornia or OpenCV grey look bad."""
    sr, hr = pair()
    assert psnr(sr, hr, "y", 4) - psnr(sr, hr, "y-full", 4) == pytest.approx(20 * math.log10(255 / 219), abs=2e-3)


def test_rounding_y_matters_little_and_only_for_luma():
    sr, hr = pair()
    assert 0 < abs(psnr(sr, hr, "y", 4, True) - psnr(sr, hr, "y", 4, False)) < 0.05
    assert psnr(sr, hr, "rgb", 4, True) == psnr(sr, hr, "rgb", 4, False)


def test_ttsr_weights_change_nothing():
    sr, hr = pair()
    difference = (sr.astype(float) - hr) @ (np.array([65.738, 129.057, 25.064]) / 256)
    assert psnr(sr, hr, "y", 0) == pytest.approx(10 * math.log10(255**2 / np.mean(difference**2)), abs=1e-4)


def test_a_border_that_leaves_nothing_and_unequal_sizes_are_said():
    sr, hr = pair(8, 30)
    with pytest.raises(BenchError, match=r"30x8 pixels and the protocol leaves out 4"):
        psnr(sr, hr, "y", 4)
    with pytest.raises(BenchError, match=r"SR is 29x8 pixels but HR is 30x8"):
        psnr(sr[:, 1:], hr, "y", 0)


def bicubic_mean(shared, name, metric):
    from PIL import Image

    from refsr_bench.pixels.resize import resize_pil_bicubic

    values = []
    for path in sorted((shared / "data" / "classic_x4" / name).glob("*_HR.png")):
        with Image.open(path) as image:
            # A one-channel file is scored on its grey values: as luma it would gain 1.3 dB.
            channel, hr = "rgb" if image.mode == "L" else "y", np.asarray(image.convert("RGB"))
        height, width = hr.shape[:2]
        values.append(
            metric(resize_pil_bicubic(resize_pil_bicubic(hr, height // 4, width // 4), height, width), hr, channel, 4)
        )
    return np.mean(values)


@pytest.mark.parametrize(("name", "decibels", "similarity"), [("Set5", 28.43, 0.811), ("Set14", 26.00, 0.703)])
def test_published_bicubic_rows(shared, name, decibels, similarity):
    from refsr_bench.metrics.ssim import ssim

    assert bicubic_mean(shared, name, psnr) == pytest.approx(decibels, abs=0.005)
    assert bicubic_mean(shared, name, ssim) == pytest.approx(similarity, abs=0.0005)
