"""Rough maps follow what most matches around a cell agree on, and go on where nothing is known."""

import numpy as np
import pytest

from refsr_bench.core.types import Correspondence
from refsr_bench.geometry.correspondences import CELL
from refsr_bench.geometry.transformation import pixel_grid, project
from refsr_bench.views.guides import agreed, from_cells, from_matches, from_trusted
from refsr_bench.views.warps import map_of

AFFINE = np.array([[1.05, 0.06, 6.0], [-0.04, 0.97, -5.0], [0, 0, 1]])


def centres(size: tuple[int, int]) -> np.ndarray:
    rows, columns = size[0] // CELL, size[1] // CELL
    return (CELL * pixel_grid((rows, columns)) + (CELL - 1) / 2).reshape(-1, 2)


def with_strays(own: np.ndarray, matrix: np.ndarray, share: float, size: tuple[int, int]) -> np.ndarray:
    """The places of points under a motion, of which this share lies anywhere."""
    random = np.random.default_rng(0)
    there = project(matrix, own)
    stray = random.random(len(own)) < share
    there[stray] = random.uniform((0, 0), size[::-1], (int(stray.sum()), 2))
    return there


@pytest.mark.parametrize("size", [(160, 160), (157, 150)])
def test_a_motion_is_found_though_seven_of_ten_matches_are_wrong(size: tuple[int, int]) -> None:
    own = centres(size)
    found = from_matches(Correspondence(own, with_strays(own, AFFINE, 0.7, size), None), size)
    error = np.linalg.norm(found - map_of(AFFINE, size), axis=-1)
    assert found.shape == (*size, 2) and found.dtype == np.float32
    assert np.median(error) < 1.5 and np.quantile(error, 0.95) < 4


def test_two_motions_keep_their_sides() -> None:
    size = (160, 160)
    own = centres(size)
    there = own + np.where(own[:, :1] < 80, (9.0, 2.0), (-7.0, 0.0))
    moved = from_matches(Correspondence(own, there, None), size) - pixel_grid(size)
    assert abs(moved[:, :50] - (9, 2)).max() < 1 and abs(moved[:, 110:] - (-7, 0)).max() < 1


def test_doubtful_matches_count_nothing() -> None:
    size = (96, 96)
    own = centres(size)
    doubtful = np.random.default_rng(1).random(len(own)) < 0.9
    there = np.where(doubtful[:, None], own + 20, own - 3)
    confidence = np.where(doubtful, 0.55, 0.95).astype(np.float32)
    moved = from_matches(Correspondence(own, there, confidence), size) - pixel_grid(size)
    assert abs(moved + 3).max() < 0.1


def test_matches_without_a_place_or_outside_the_image_are_left_out() -> None:
    size = (64, 64)
    own = np.vstack((centres(size), [(-30, 5), (200, 5), (10, 10)]))
    there = own + 2
    there[-3:] = (500, 500), (500, 500), (np.nan, 3)
    moved = from_matches(Correspondence(own, there, None), size) - pixel_grid(size)
    assert abs(moved - 2).max() < 0.1


def test_an_affine_motion_is_fitted_exactly() -> None:
    y, x = np.mgrid[:30, :40].astype(float)
    moves = np.stack((0.1 * x - 0.2 * y + 3, 0.05 * x + 0.1 * y - 1), axis=-1)
    inner = np.s_[10:-10, 10:-10]  # STEADY flattens slopes where points lie on one side alone
    assert abs(agreed(moves, np.ones((30, 40)))[inner] - moves[inner]).max() < 0.5


def test_a_map_goes_on_beyond_its_trusted_part() -> None:
    size = (150, 165)
    truth = map_of(AFFINE, size)
    trusted = np.zeros(size, bool)
    trusted[30:120, 20:90] = True
    wild = np.random.default_rng(2).normal(0, 40, truth.shape)
    found = from_trusted(np.where(trusted[..., None], truth, truth + wild).astype(np.float32), trusted)
    error = np.linalg.norm(found - truth, axis=-1)
    assert error[40:110, 30:80].max() < 1.5
    assert error[30:120, 90:110].max() < 4  # five cells on


@pytest.mark.parametrize("size", [(40, 60), (43, 61), (41, 62), (42, 63)])
def test_cells_are_spread_over_sizes_that_are_no_multiples(size: tuple[int, int]) -> None:
    y, x = np.mgrid[: size[0] // CELL, : size[1] // CELL].astype(float)
    moved = from_cells(np.stack((x, 2 * y), axis=-1), size) - pixel_grid(size)
    assert moved.shape == (*size, 2)
    expected = (pixel_grid(size) - (CELL - 1) / 2) / CELL * (1, 2)
    assert abs((moved - expected)[2 : CELL * len(y) - 2, 2 : CELL * x.shape[1] - 2]).max() < 1e-4
    assert np.isfinite(moved).all() and abs(moved[-1] - moved[CELL * len(y) - 1]).max() < 1e-4
