"""The embedded data set: the same pixels everywhere, honest labels, true disparity."""

import numpy as np
import pytest
from PIL import Image

from refsr_bench.core.errors import BenchError
from refsr_bench.data import sample_pictures
from refsr_bench.data.opening import open_dataset

DIGEST = "3fddcff0329ff5404fbe0d68572c2ea1fb27f08066487d0f81c2b27be6b8e7cb"


def test_same_bytes_on_every_machine():
    dataset = open_dataset("sample")
    assert dataset.manifest_sha256 == DIGEST == sample_pictures.MANIFEST_SHA256
    assert dataset.official


def test_shape_of_cufed5():
    dataset = open_dataset("sample")
    assert len(dataset.pairs) == 8
    for pair in dataset.pairs:
        assert [ref.level for ref in pair.refs] == [1, 2, 3, 4, 5]
        height, width = pair.hr.load().shape[:2]
        assert height % 4 == width % 4 == 0 and height * width >= 200 * 200
        assert pair.facts["licence"] and pair.facts["source"].startswith("scikit-image: ")
        assert "unrelated" in pair.facts["L5"]


def test_real_and_synthetic_are_told_apart():
    kinds = {pair.id: pair.facts["kind"] for pair in open_dataset("sample").pairs}
    assert {i for i, kind in kinds.items() if kind.startswith("real")} == {"motorcycle", "shelf"}
    assert {i for i, kind in kinds.items() if kind.startswith("synthetic")} == set(kinds) - {"motorcycle", "shelf"}


def test_l5_comes_from_another_photo_and_l4_does_not_show_the_input():
    for scene in sample_pictures.SCENES.values():
        assert scene.unrelated[0] not in (scene.photo, scene.other)
        (left, top, width, height), (x, y, w, h) = scene.hr, scene.aside
        assert x >= left + width or y >= top + height or x + w <= left or y + h <= top


@pytest.mark.parametrize("pair_id", ["motorcycle", "shelf"])
def test_true_disparity_points_at_the_same_thing(pair_id):
    """Reference pixels fetched along the true disparity resemble the input far more than the pixels below it."""
    pair = next(pair for pair in open_dataset("sample").pairs if pair.id == pair_id)
    hr, right = pair.hr.load().astype(int), pair.refs[0].load().astype(int)
    true = sample_pictures.disparity(pair_id)
    assert true.dtype == np.float32 and true.shape == hr.shape[:2]
    y, x = np.nonzero(np.isfinite(true))
    there = np.rint(x - true[y, x]).astype(int)
    inside = (there >= 0) & (there < right.shape[1])
    assert inside.mean() > 0.9
    y, x, there = y[inside], x[inside], there[inside]
    matched = np.abs(hr[y, x] - right[y, there]).mean()
    assert matched < 0.4 * np.abs(hr[y, x] - right[y, x]).mean()


def test_no_disparity_for_synthetic_pairs():
    with pytest.raises(BenchError, match="no true disparity for 'cat'"):
        sample_pictures.disparity("cat")


@pytest.fixture
def smooth_photo():
    noise = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("zoom", [1.0, 0.8])
def test_render_agrees_with_pillows_resize(smooth_photo, zoom):
    """Pillow's resize has the same kernel (a = -0.5); what differs is our rounding of positions to 64ths."""
    ours = sample_pictures.render(np.asarray(smooth_photo), sample_pictures.View((64, 48), (80.3, 60.6), zoom))
    left, top = 80.8 - zoom * 32, 61.1 - zoom * 24  # Pillow counts from pixel corners
    box = (left, top, left + zoom * 64, top + zoom * 48)
    theirs = smooth_photo.resize((64, 48), Image.Resampling.BICUBIC, box=box)
    assert np.abs(ours.astype(int) - np.asarray(theirs)).max() <= 1


def test_render_turns_and_averages(smooth_photo):
    photo = np.asarray(smooth_photo)
    turned = sample_pictures.render(photo, sample_pictures.View((40, 60), (79.5, 59.5), 1.0, 0.0, 1.0))
    np.testing.assert_array_equal(turned, np.rot90(photo[40:80, 50:110], 1))
    halved = sample_pictures.render(photo, sample_pictures.View((30, 20), (79.5, 59.5), 2.0))
    blocks = photo[40:80, 50:110].reshape(20, 2, 30, 2, 3).astype(int).sum(axis=(1, 3))
    np.testing.assert_array_equal(halved, (blocks + 2) // 4)


def test_render_refuses_what_lies_outside():
    with pytest.raises(ValueError, match="outside"):
        sample_pictures.render(np.zeros((40, 40, 3), np.uint8), sample_pictures.View((30, 30), (10.0, 20.0)))


def test_changed_source_photo_is_refused(monkeypatch):
    changed = sample_pictures.Photo("coffee.png", "0" * 64, "")
    with pytest.raises(BenchError, match=r"another version of data/coffee\.png"):
        sample_pictures._checked(changed)
    with pytest.raises(BenchError, match=r"lacks data/none\.png"):
        sample_pictures._checked(sample_pictures.Photo("none.png", "0" * 64, ""))


def test_loaded_arrays_are_the_callers_own():
    src = open_dataset("sample").pairs[0].hr
    src.load()[:] = 0
    assert src.load().any()
