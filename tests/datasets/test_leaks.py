"""The leak check finds what gives the answer away and leaves honest references alone."""

import io
from itertools import permutations

import numpy as np
import pytest
from layout_makers import put, wrsr
from PIL import Image

from refsr_bench.datasets import open_dataset
from refsr_bench.datasets.leaks import describe, find_leaks, leak_reason
from refsr_bench.images import read_image


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


@pytest.mark.parametrize("change", CHANGES)
def test_duplicates_of_every_sample_input_are_found(change):
    for pair in open_dataset("sample").pairs:
        assert leak_reason(pair.hr.load(), CHANGES[change](pair.hr.load())), pair.id


def test_sample_references_are_no_leaks():
    assert find_leaks(open_dataset("sample").pairs) == []


@pytest.mark.parametrize("scene", ["basilica", "chateau", "tree"])
def test_different_photos_of_one_scene_are_no_leaks(shared, scene):
    photos = [read_image(path) for path in sorted((shared / "data" / "scenes" / scene).glob("*.jpg"))[:7]]
    assert len(photos) == 7
    assert [leak_reason(a, b) for a, b in permutations(photos, 2)] == [None] * 42


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
    assert leak_reason(grey, white) is None
    assert leak_reason(grey, grey) == "is the HR image itself"
