"""``refsr_bench.upscale``: one image, some references, an array."""

import numpy as np
import pytest
from PIL import Image as PilImage

from refsr_bench.api import inputs, upscaling
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import write_png
from refsr_bench.pixels.resize import resize_pil_bicubic


@pytest.fixture
def small() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def test_arrays_paths_and_pillow_images_give_the_same(small: np.ndarray, tmp_path) -> None:
    write_png(tmp_path / "small.png", small)
    expected = resize_pil_bicubic(small, 48, 64)
    for picture in (small, tmp_path / "small.png", str(tmp_path / "small.png"), PilImage.fromarray(small)):
        assert np.array_equal(upscaling.upscale(picture, method="bicubic"), expected)


def test_a_reference_may_stand_alone_or_in_a_list(small: np.ndarray) -> None:
    ref = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
    alone = upscaling.upscale(small, ref, views="none", matching="exact", device="cpu")
    assert alone.shape == (48, 64, 3)
    assert np.array_equal(alone, upscaling.upscale(small, [ref], views="none", matching="exact", device="cpu"))


def test_a_missing_reference_and_wrong_arrays_are_refused_in_words(small: np.ndarray) -> None:
    with pytest.raises(Misuse, match="at least one reference"):
        upscaling.upscale(small)
    with pytest.raises(Misuse, match=r"refs\[0\]: an array of float64.*astype\('uint8'\)"):
        upscaling.upscale(small, small / 255)
    with pytest.raises(Misuse, match=r"transpose\(1, 2, 0\)"):
        upscaling.upscale(small.transpose(2, 0, 1), small)
    with pytest.raises(Misuse, match="int is no image"):
        upscaling.upscale(3, small)
    with pytest.raises(BenchError, match="no such file"):
        upscaling.upscale("nowhere.png", small)


def test_several_keeps_what_is_one_picture_together(small: np.ndarray) -> None:
    assert len(inputs.several(small)) == len(inputs.several("a.png")) == 1
    assert len(inputs.several(np.stack([small, small]))) == len(inputs.several(["a.png", "b.png"])) == 2
    assert inputs.several(()) == []
