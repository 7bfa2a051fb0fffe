"""A turned and scaled reference is found by its texture; images too small to describe give nothing."""

import numpy as np
import pytest
from posed import SCALE, posed, reduced

from refsr_bench.geometry.transformation import project
from refsr_bench.views import turns

SIDE = 160


@pytest.mark.parametrize(("angle", "scale"), [(150, 1.5), (45, 0.7), (270, 1), (0, 2)])
@pytest.mark.parametrize("which", [3, 6, 7])
def test_most_matches_at_the_likeliest_turn_are_right(photo, which: int, angle: float, scale: float) -> None:
    hr = photo(SIDE, SIDE, which)
    ref, matrix = posed(hr, angle, scale)
    own, there = next(turns.matches(reduced(hr), ref, SCALE, 1))
    error = np.linalg.norm(there - project(matrix, own), axis=1) / scale
    assert len(own) >= 50
    assert (error < 1.5 * SCALE * turns.STRIDE).mean() > 0.5  # matches lie on a grid of descriptors


def test_as_many_turns_are_tried_as_asked_for_the_likeliest_first(photo) -> None:
    hr = photo(SIDE, SIDE, 7)
    ref, matrix = posed(hr, 90, 1)
    found = list(turns.matches(reduced(hr), ref, SCALE, 3))
    right = [(np.linalg.norm(there - project(matrix, own), axis=1) < 12).sum() for own, there in found]
    assert len(found) == 3 and right[0] > max(right[1:])


def test_a_reference_that_is_no_square_is_turned_about_its_middle(photo) -> None:
    hr = photo(120, 180, 7)
    ref, matrix = posed(hr, 90, 1)
    assert ref.shape[:2] == (180, 120)
    own, there = next(turns.matches(reduced(hr), ref, SCALE, 1))
    assert np.median(np.linalg.norm(there - project(matrix, own), axis=1)) < 8


@pytest.mark.parametrize("sizes", [((60, 160), (160, 160)), ((160, 160), (160, 60))])
def test_small_images_give_nothing(photo, sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    hr, ref = (photo(*size) for size in sizes)
    assert list(turns.matches(reduced(hr), ref, SCALE, 2)) == []


def test_a_large_reference_is_reduced_and_still_found(photo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LARGEST", 30)  # of the 40 pixels that the reduction alone would leave
    hr = photo(SIDE, SIDE, 7)
    ref, matrix = posed(hr, 180, 1)
    own, there = next(turns.matches(reduced(hr), ref, SCALE, 1))
    error = np.linalg.norm(there - project(matrix, own), axis=1)
    assert (error < 16).mean() > 0.5


def test_descriptors_have_unit_length_and_ignore_contrast(photo) -> None:
    image = reduced(photo(SIDE, SIDE, 7))
    points, described, contrast = turns.descriptors(image)
    assert described.shape == (len(points), 9 * turns.DIRECTIONS) and (contrast > 0).all()
    assert np.allclose(np.linalg.norm(described, axis=1), 1, atol=1e-5)
    dimmed = turns.descriptors((image // 2 + 50).astype(np.uint8))[1]
    assert (described * dimmed).sum(1).mean() > 0.95


def test_descriptors_that_reach_beyond_what_is_shown_are_left_out(photo) -> None:
    image = reduced(photo(SIDE, SIDE, 7))
    shown = np.ones(image.shape[:2], bool)
    shown[:, :20] = False
    reach = turns.APART + 2
    assert turns.descriptors(image, shown)[0][:, 0].min() >= 20 + reach
    assert turns.descriptors(image)[0][:, 0].min() < 20
