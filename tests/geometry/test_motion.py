"""The motion that most points agree on, and motions that no camera makes."""

import numpy as np
import pytest

from refsr_bench.geometry import motion
from refsr_bench.geometry.drawing import similarity
from refsr_bench.geometry.transformation import project

SIZE = (120, 160)
FEWEST = motion.Fewest(homography=10, similarity=6)
TILT = np.array([[1.1, 0.1, 5.0], [-0.05, 0.95, -3.0], [4e-4, -3e-4, 1.0]])


def points(n, seed=0):
    return np.random.default_rng(seed).uniform((0, 0), (160, 120), (n, 2))


@pytest.mark.parametrize("outliers", [0, 30])
def test_a_homography_is_found_among_strays(outliers):
    own = points(60)
    there = project(TILT, own)
    there[:outliers] = points(outliers, 1)
    found = motion.find(own, there, SIZE, FEWEST)
    assert found.kind == "homography"
    assert abs(project(found.matrix, own) - project(TILT, own)).max() < 1
    assert found.inliers[outliers:].mean() > 0.95


def test_few_points_give_a_similarity_and_fewer_nothing():
    own, matrix = points(8), similarity(40, 1.4)
    found = motion.find(own, project(matrix, own), SIZE, FEWEST)
    assert found.kind == "similarity"
    assert abs(found.matrix - matrix).max() < 1e-3
    assert motion.find(own[:5], project(matrix, own[:5]), SIZE, FEWEST) is None
    assert motion.find(np.zeros((0, 2)), np.zeros((0, 2)), SIZE, FEWEST) is None


def test_strays_alone_are_not_believed():
    assert motion.find(points(80, 2), points(80, 3), SIZE, FEWEST) is None


def test_planes_are_found_one_after_the_other():
    own = points(120)
    there = np.where(np.arange(120)[:, None] < 70, project(TILT, own), own + np.array([30, -12]))
    found = motion.several(own, there, SIZE, FEWEST, 3)
    assert len(found) == 2
    assert found[0].inliers[:70].mean() > 0.9 and found[1].inliers[70:].mean() > 0.9
    assert not (found[0].inliers & found[1].inliers).any()
    assert len(motion.several(own, there, SIZE, FEWEST, 1)) == 1


@pytest.mark.parametrize(
    ("matrix", "possible"),
    [
        (np.eye(3), True),
        (TILT, True),
        (similarity(150, 2.0), True),
        (np.diag((-1.0, 1.0, 1.0)), False),  # a mirror image
        (np.diag((1.0, 3.5, 1.0)), False),  # stretched
        (similarity(0, 6.0), False),  # too near
        (similarity(0, 0.1), False),  # too far away
        (np.array([[1.0, 0, 0], [0, 1, 0], [-0.01, 0, 1]]), False),  # the horizon crosses the image
        (np.full((3, 3), np.nan), False),
    ],
)
def test_motions_that_no_camera_makes_are_refused(matrix, possible):
    assert motion.possible(matrix, SIZE) == possible


def test_jacobians_are_derivatives():
    at = points(5)
    step = 1e-5
    numeric = np.stack([(project(TILT, at + d) - project(TILT, at - d)) / (2 * step)
                        for d in (np.array([step, 0]), np.array([0, step]))], axis=-1)  # fmt: skip
    assert abs(motion.jacobians(TILT, at) - numeric).max() < 1e-6
