"""A rough map is followed to its place, and trusted only where the photos show the same."""

import numpy as np
import pytest
from posed import enlarged, posed

from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.views.dense import Followed, at, better, correlation, follow, luma
from refsr_bench.views.warps import map_of

SIDE = 144


def rough(matrix: np.ndarray, size: tuple[int, int], pixels: float) -> np.ndarray:
    """The map of a homography, off by this many pixels, in another direction at every place."""
    x, y = np.moveaxis(pixel_grid(size), -1, 0)
    off = pixels * np.stack((np.cos((x + y) / 40), np.sin((x - y) / 50)), axis=-1)
    return (map_of(matrix, size) + off).astype(np.float32)


@pytest.mark.parametrize(("angle", "scale"), [(0, 1), (60, 1), (150, 1.5)])
@pytest.mark.parametrize("which", [0, 2, 7])
def test_a_rough_map_is_followed_to_below_half_a_pixel(photo, which: int, angle: float, scale: float) -> None:
    hr = photo(SIDE, SIDE, which)
    ref, matrix = posed(hr, angle, scale)
    start = rough(matrix, hr.shape[:2], 3 * scale)
    found = follow(luma(enlarged(hr)), ref, start)
    truth = map_of(matrix, hr.shape[:2])
    before, after = (np.linalg.norm(m - truth, axis=-1)[found.trusted] / scale for m in (start, found.source))
    assert found.trusted.mean() > 0.7
    assert np.median(before) > 2 and np.median(after) < 0.5


def test_hardly_a_pixel_is_trusted_of_unrelated_photos(photo) -> None:
    for one, other in ((0, 2), (2, 7), (3, 5), (6, 4)):
        hr, ref = photo(SIDE, SIDE, one), photo(SIDE, SIDE, other)
        found = follow(luma(enlarged(hr)), ref, map_of(np.eye(3), hr.shape[:2]))
        assert found.trusted.mean() < 0.03


def test_nothing_is_trusted_of_a_flat_surface(photo) -> None:
    flat = np.full((SIDE, SIDE, 3), 120, np.uint8)
    assert not follow(luma(flat), flat, map_of(np.eye(3), (SIDE, SIDE))).trusted.any()
    assert not follow(luma(enlarged(photo(SIDE, SIDE))), flat, map_of(np.eye(3), (SIDE, SIDE))).trusted.any()


def test_nothing_is_trusted_beyond_the_reference(photo) -> None:
    hr = photo(SIDE, SIDE, 7)
    found = follow(
        luma(enlarged(hr)), np.ascontiguousarray(hr[:, 60:]), map_of(np.eye(3), (SIDE, SIDE)) - np.float32((60, 0))
    )
    assert not found.trusted[:, :58].any() and found.trusted[:, 70:].mean() > 0.9


def test_the_better_of_two_is_taken_at_every_pixel() -> None:
    def made(value: int, score: np.ndarray) -> Followed:
        return Followed(np.full((40, 60, 2), value, np.float32), np.full((40, 60, 3), value, np.uint8), score)

    left = np.where(np.arange(60) < 30, 0.9, 0.1).astype(np.float32) * np.ones((40, 1), np.float32)
    joined = better(made(1, left), made(2, 1 - left))
    assert (joined.image[:, :29] == 1).all() and (joined.image[:, 31:] == 2).all()
    assert np.array_equal(joined.source[..., 0], joined.image[..., 0])
    assert joined.score[:, :29].min() > 0.89 and joined.score[:, 31:].min() > 0.89


def test_correlation_is_one_for_the_same_whatever_its_contrast_and_minus_one_for_a_negative(photo) -> None:
    gray = luma(photo(SIDE, SIDE, 7))
    dimmed = (gray // 2 + 60).astype(np.uint8)
    assert correlation(gray, dimmed).min() > 0.95
    assert correlation(gray, 255 - gray).max() < -0.95


def test_values_between_pixels_are_linear() -> None:
    values = np.arange(12, dtype=float).reshape(3, 4)
    places = np.array([[(0, 0), (1.5, 0), (0, 0.5), (9, 9)]])
    assert at(values, places).tolist() == [[0, 1.5, 2, 11]]
