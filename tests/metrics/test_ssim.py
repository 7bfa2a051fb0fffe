"""SSIM in both flavours against the authors' values and scikit-image."""

from pathlib import Path

import numpy as np
import pytest

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics._planes import planes
from refsr_bench.metrics.ssim import ssim

GOLDEN = np.load(Path(__file__).parent.parent / "golden" / "j_metrics.npz")


def pair(height=40, width=48):
    rng = np.random.default_rng(1)
    hr = np.cumsum(rng.integers(-9, 10, (height, width, 3)), axis=0) + 128
    return (np.clip(x, 0, 255).astype(np.uint8) for x in (hr + rng.integers(-9, 10, hr.shape), hr))


@pytest.mark.parametrize("name", ["noise", "shift", "odd", "same"])
def test_the_authors_values(name):
    value = ssim(GOLDEN[f"{name}_sr_rgb_u8"], GOLDEN[f"{name}_gt_rgb_u8"], "y", 4)
    assert value == pytest.approx(float(GOLDEN[f"{name}_ssim_y"]), abs=1e-6)


def test_scikit_image_agrees_on_the_gaussian_window():
    from skimage.metrics import structural_similarity

    sr, hr = pair()
    y_sr, y_hr = planes(sr, "y", False)[..., 0], planes(hr, "y", False)[..., 0]
    _, per_pixel = structural_similarity(
        y_sr, y_hr, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    assert ssim(sr, hr, "y", 0) == pytest.approx(per_pixel[5:-5, 5:-5].mean(), abs=1e-12)


def test_the_box_window_is_scikit_images_default():
    """Written out: 7x7 means, covariance over n - 1, positions where the window lies inside."""
    from numpy.lib.stride_tricks import sliding_window_view

    sr, hr = pair()
    a, b = (sliding_window_view(planes(x, "y", False)[..., 0], (7, 7)).reshape(-1, 49) for x in (sr, hr))
    covariance = ((a - a.mean(1, keepdims=True)) * (b - b.mean(1, keepdims=True))).sum(1) / 48
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    value = (2 * a.mean(1) * b.mean(1) + c1) * (2 * covariance + c2)
    value /= (a.mean(1) ** 2 + b.mean(1) ** 2 + c1) * (a.var(1, ddof=1) + b.var(1, ddof=1) + c2)
    assert ssim(sr, hr, "y", 0, window="uniform7") == pytest.approx(value.mean(), abs=1e-10)
    assert ssim(sr, hr, "y", 0, window="uniform7") != pytest.approx(ssim(sr, hr, "y", 0), abs=1e-3)


def test_rgb_is_the_mean_of_three_channels():
    sr, hr = pair()
    alone = [ssim(np.repeat(sr[..., [c]], 3, 2), np.repeat(hr[..., [c]], 3, 2), "rgb", 4) for c in range(3)]
    assert ssim(sr, hr, "rgb", 4) == pytest.approx(np.mean(alone))


@pytest.mark.parametrize(("window", "needs"), [("gauss11", "11x11"), ("uniform7", "7x7")])
def test_too_small_for_the_window_is_said(window, needs):
    side = int(needs.split("x")[0])
    tiny = np.zeros((side + 8, 40, 3), np.uint8)
    assert ssim(tiny, tiny, "y", 4, window=window) == 1
    with pytest.raises(BenchError, match=rf"at least {needs} pixels .* border of 4 leaves 32x{side - 1}"):
        ssim(tiny[1:], tiny[1:], "y", 4, window=window)
