"""NIQE against BasicSR's code, which agrees with the authors' MATLAB code to five digits."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from refsr_bench.core.errors import BenchError
from refsr_bench.metrics import niqe as metric
from refsr_bench.metrics._planes import planes

# Values of basicsr 1.4.2 with a border of 4, on photos and on the same photos reduced x4 and enlarged by Pillow's
# bicubic. It computes in float32, which counts in blocks with equal pixels: coffee and rocket have some.
WITH_MADE_MODEL = {
    "coffee": (25.932823, 77.454575),
    "chelsea": (58.274926, 72.910546),
    "rocket": (73.936672, 111.876630),
}
WITH_AUTHORS_MODEL = {"coffee": (4.079430, 7.533106), "chelsea": (2.689315, 8.351258), "rocket": (6.733119, 9.113346)}


def made_model():
    """A model of undistorted photos that is nobody's: any mean and covariance test the whole of the code."""
    rng = np.random.default_rng(7)
    root = rng.normal(0, 0.3, (36, 36))
    return rng.normal(1, 0.5, 36), root @ root.T


def photo(name):
    return np.ascontiguousarray(getattr(data, name)()[4:-4, 4:-4])


def enlarged(image):
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("name", WITH_MADE_MODEL)
def test_equals_basicsr(name):
    sharp = photo(name)
    for image, expected in zip((sharp, enlarged(sharp)), WITH_MADE_MODEL[name], strict=True):
        assert metric.niqe(planes(image, "y", True)[..., 0], *made_model()) == pytest.approx(expected, rel=2e-4)


def test_equals_basicsr_with_the_authors_model():
    file = Path(os.environ.get("REFSR_WEIGHTS", "")) / metric.PRISTINE.file
    if not file.is_file():
        pytest.skip(f"{metric.PRISTINE.file} does not come with the package; put it into $REFSR_WEIGHTS")
    compute = metric.load("cpu", file)
    for name, (sharp, blurred) in WITH_AUTHORS_MODEL.items():
        whole = getattr(data, name)()
        assert compute(whole, whole, 4, False) == pytest.approx(sharp, rel=5e-4)
        assert compute(enlarged(photo(name)), photo(name), 0, True) == pytest.approx(blurred, rel=5e-4)


def test_equal_pixels_leave_no_rounding_behind():
    """Adding a grey level changes no statistic, and must not change the value where whole areas are equal."""
    luma = planes(photo("rocket"), "y", True)[..., 0]
    luma[:150] = 40
    first, second = (metric.niqe(luma + add, *made_model()) for add in (0, 7))
    assert first == pytest.approx(second, rel=1e-9)


def test_too_few_blocks_are_refused():
    luma = planes(photo("chelsea"), "y", True)[..., 0]
    with pytest.raises(BenchError, match="at least 2 blocks of 96x96 pixels; 100x191 pixels hold 1"):
        metric.niqe(luma[:191, :100], *made_model())
    luma[:, 90:] = 128
    with pytest.raises(BenchError, match="2 blocks with texture; the image has 1"):
        metric.niqe(luma[:96], *made_model())


def test_another_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("REFSR_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(BenchError, match=r"niqe_pris_params\.npz from the wheel of mmagic .*niqe=FILE"):
        metric.load("cpu", None)
    other = tmp_path / "niqe_pris_params.npz"
    np.savez(other, mu_pris_param=np.zeros((1, 36)), cov_pris_param=np.eye(36))
    with pytest.raises(BenchError, match=r"is not the .* of NIQE's authors: its SHA-256 begins"):
        metric.load("cpu", other)
    with pytest.raises(BenchError, match="no weights file"):
        metric.load("cpu", tmp_path / "none.npz")
