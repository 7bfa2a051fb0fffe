"""A view shows the reference in the frame of the image: HR's own pixels again, without aliasing, black beyond."""

import numpy as np
import pytest
from posed import posed

from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.views import warps
from refsr_bench.views.warps import inside, map_of, sampled, samples_per_pixel, upright, warped

SIDE = 128


def decibels(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> float:
    error = one[where].astype(float) - other[where]
    return float(10 * np.log10(255**2 / max((error**2).mean(), 1e-9)))


@pytest.mark.parametrize(("angle", "scale"), [(30, 1), (90, 1), (150, 1.5), (45, 2), (0, 3)])
def test_the_view_of_a_turned_photo_puts_its_own_pixels_back(photo, angle: float, scale: float) -> None:
    hr = photo(SIDE, SIDE + 30)
    ref, matrix = posed(hr, angle, scale)
    view = warped(ref, matrix, hr.shape[:2], "truth", 2)
    assert (view.found_by, view.reference) == ("truth", 2)
    assert view.image.dtype == np.uint8 and view.valid.mean() > 0.95
    assert decibels(view.image, hr, view.valid) > 30


def test_a_reference_three_times_as_near_shrinks_without_aliasing() -> None:
    ref = np.random.default_rng(0).integers(0, 256, (3 * SIDE, 3 * SIDE, 3), np.uint8)  # all frequencies
    view = warped(ref, np.array([[3.0, 0, 1], [0, 3, 1], [0, 0, 1]]), (SIDE, SIDE), "truth")
    smooth = resize_pil_bicubic(ref, SIDE, SIDE)
    naive = ref[1::3, 1::3]
    inner = np.zeros((SIDE, SIDE), bool)
    inner[4:-4, 4:-4] = True
    assert view.image[inner].std() < 0.5 * naive[inner].std()  # a mean of nine has a third of the deviation
    assert decibels(view.image, smooth, inner) > decibels(naive, smooth, inner) + 8


def test_a_map_sampled_in_strips_is_sampled_as_if_whole(photo, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, matrix = posed(photo(SIDE, SIDE), 20, 2.5)
    source = map_of(matrix, (SIDE, SIDE))
    source += 2 * np.sin(source[..., ::-1] / 9)  # not straight, so that rows beside a strip count
    whole = sampled(ref, source)
    monkeypatch.setattr(warps, "SAMPLES", samples_per_pixel(source) ** 2 * SIDE * 7)
    assert np.array_equal(sampled(ref, source), whole)


def test_pixels_beyond_the_border_are_black_and_not_valid(photo) -> None:
    hr = photo(64, 64).clip(1)
    view = warped(hr, np.array([[1.0, 0, 40], [0, 1, 0], [0, 0, 1]]), (64, 64), "truth")
    assert np.array_equal(view.image[:, :24], hr[:, 40:]) and view.valid[:, :24].all()
    assert not view.image[:, 26:].any() and not view.valid[:, 24:].any()


def test_a_place_is_inside_between_the_outermost_pixel_centres() -> None:
    places = np.array([[(0, 0), (5, 3), (5.1, 3), (5, 3.1)], [(-0.1, 0), (0, -0.1), (2, 1), (np.nan, 1)]])
    assert inside(places, (4, 6)).tolist() == [[True, True, False, False], [False, False, True, False]]


def test_a_place_beyond_the_horizon_is_far_away_and_finite() -> None:
    source = map_of(np.array([[1.0, 0, 0], [0, 1, 0], [0.1, 0, -1]]), (8, 32))  # depth is 0 at x = 10
    assert np.isfinite(source).all() and not inside(source, (8, 32))[:, 10].any()


@pytest.mark.parametrize(("stretch", "samples"), [(0.4, 1), (1, 1), (1.2, 1), (1.5, 2), (2, 2), (3.1, 3), (9, 5)])
def test_samples_are_as_many_as_a_pixel_covers_up_to_five(stretch: float, samples: int) -> None:
    assert samples_per_pixel((stretch * pixel_grid((20, 24))).astype(np.float32)) == samples


@pytest.mark.parametrize(("angle", "scale"), [(90, 1), (150, 1.5), (0, 2)])
def test_a_whole_reference_is_set_upright_as_its_trusted_part_says(photo, angle: float, scale: float) -> None:
    hr = photo(SIDE, SIDE)
    ref, matrix = posed(hr, angle, scale)
    source, trusted = map_of(matrix, hr.shape[:2]), np.zeros(hr.shape[:2], bool)
    trusted[40:90, 30:100] = True
    source[~trusted] = -1e6
    stands = upright(ref, source, trusted)
    height, width = stands.image.shape[:2]
    assert height % 4 == width % 4 == 0 and stands.source.shape == (height, width, 2)
    top, left = (height - SIDE) // 2, (width - SIDE) // 2  # all about the middle, which stays where it is
    error = np.linalg.norm(stands.source[top : top + SIDE, left : left + SIDE] - map_of(matrix, hr.shape[:2]), axis=-1)
    assert np.median(error) < 3 * scale


def test_a_reference_that_is_turned_little_or_shown_hardly_needs_no_setting_upright(photo) -> None:
    hr = photo(SIDE, SIDE)
    everywhere, nowhere = np.ones((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
    ref, matrix = posed(hr, 8, 1.1)
    assert upright(ref, map_of(matrix, hr.shape[:2]), everywhere) is None
    ref, matrix = posed(hr, 90, 1)
    assert upright(ref, map_of(matrix, hr.shape[:2]), nowhere) is None
