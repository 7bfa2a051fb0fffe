"""The leak check finds what gives the answer away and leaves honest references alone."""

import io
from itertools import permutations

import numpy as np
import pytest
from layout_makers import put, wrsr
from PIL import Image

from refsr_bench.data.leaks import describe, find_leaks, leak_between
from refsr_bench.data.opening import open_dataset
from refsr_bench.pixels.images import read_image


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def resized(image, factor):
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


CHANGES = {
    "itself": lambda image: image,
    "jpeg 30": lambda image: jpeg(image, 30),
    "mirrored": lambda image: image[:, ::-1],
    "turned by 90": lambda image: np.rot90(image),
    "turned by 180, jpeg 60": lambda image: jpeg(np.rot90(image, 2), 60),
    "mirrored, turned, resized, jpeg": lambda image: jpeg(resized(np.rot90(image[:, ::-1]).copy(), 0.9), 70),
    "resized 0.9": lambda image: resized(image, 0.9),
    "resized 0.5": lambda image: resized(image, 0.5),
    "resized 1.3": lambda image: resized(image, 1.3),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "grey": lambda image: np.array(Image.fromarray(image).convert("L").convert("RGB")),
}


CUTS = {
    "trimmed": lambda image: image[3:-2, 2:-5],
    "three quarters, jpeg 70": lambda image: jpeg(image[: image.shape[0] * 3 // 4, image.shape[1] // 4 :], 70),
}


@pytest.mark.parametrize("cut", CUTS)
def test_cuts_are_found_either_way(cut):
    for pair in open_dataset("sample").pairs:
        image = pair.hr.load()
        part = CUTS[cut](image)
        assert leak_between(image, part), pair.id
        assert leak_between(part, image), pair.id


def test_reason_of_a_cut_says_how_much_and_where():
    image = open_dataset("sample").pairs[0].hr.load()
    assert "over 60% of the HR image, shifted by (64, 60)" in leak_between(image, image[60:, 64:]).reason


@pytest.mark.parametrize("change", CHANGES)
def test_duplicates_of_every_sample_input_are_found(change):
    for pair in open_dataset("sample").pairs:
        assert leak_between(pair.hr.load(), CHANGES[change](pair.hr.load())), pair.id


def test_sample_references_are_no_leaks():
    assert find_leaks(open_dataset("sample").pairs) == []


@pytest.mark.parametrize("scene", ["basilica", "chateau", "tree"])
def test_different_photos_of_one_scene_are_no_leaks(shared, scene):
    photos = [read_image(path) for path in sorted((shared / "data" / "scenes" / scene).glob("*.jpg"))[:7]]
    assert len(photos) == 7
    assert [leak_between(a, b) for a, b in permutations(photos, 2)] == [None] * 42


def test_leaks_are_named_with_their_reason(tmp_path):
    wrsr(tmp_path, pairs=4)
    put(tmp_path / "ref" / "002_ref.png", 2)
    Image.open(tmp_path / "input" / "003.png").transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / "ref" / "003_ref.png"
    )
    Image.open(tmp_path / "input" / "004.png").resize((48, 40)).save(tmp_path / "ref" / "004_ref.png")
    seen = []
    leaks = find_leaks(open_dataset("wrsr", tmp_path).pairs, progress=lambda done, total: seen.append((done, total)))
    assert [(leak.pair_id, leak.ref_name) for leak in leaks] == [(f"{n:03d}", f"{n:03d}_ref.png") for n in (2, 3, 4)]
    assert leaks[0].reason == "is the HR image itself"
    assert leaks[1].reason == "is the HR image itself, turned by 270"
    assert "near duplicate" in leaks[2].reason
    assert seen == [(n, 4) for n in range(1, 5)]
    assert "pair 002: reference 002_ref.png is the HR" in describe(leaks)


def test_flat_images_leak_only_when_equal():
    grey, white = np.full((8, 8, 3), 128, np.uint8), np.full((8, 8, 3), 255, np.uint8)
    assert leak_between(grey, white) is None
    assert leak_between(grey, grey).reason == "is the HR image itself"


def test_two_clear_skies_are_two_pictures():
    """Same gradient, other grain: the correlation of the whole is above the bound, that of the detail is not."""
    rng = np.random.default_rng(0)
    skies = []
    for top, bottom in ((80, 200), (90, 230), (60, 180)):
        sky = np.linspace(top, bottom, 160)[:, None] + rng.normal(0, 2, (160, 240))
        skies.append(np.repeat(sky.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    assert [leak_between(a, b) for a, b in permutations(skies, 2)] == [None] * 6
    assert leak_between(skies[0], skies[0][:, ::-1])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (16, 16), (40, 1000)])
def test_any_size_against_any_other(shape):
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    for other in [(1, 1), (3, 200), (300, 400)]:
        found = leak_between(image, rng.integers(0, 256, (*other, 3), dtype=np.uint8))
        assert found is None, found
