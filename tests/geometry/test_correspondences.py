"""Distances from the truth, and how sure means over images are."""

from dataclasses import dataclass

import numpy as np
import pytest

from refsr_bench.core.types import Correspondence
from refsr_bench.geometry import correspondences
from refsr_bench.geometry.correspondences import cell_centres, measure
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.truth import TransformationTruth

SIZE = (24, 32)


@dataclass
class Shifted:
    """Everything lies ``by`` further; seen where x is below ``until``."""

    by: tuple[float, float] = (0, 0)
    until: float = np.inf

    def targets(self, points):
        return np.asarray(points) + self.by

    def valid(self, points):
        return np.asarray(points)[:, 0] < self.until


def exact(truth, size=SIZE) -> Correspondence:
    points = cell_centres(*size)
    return Correspondence(points, truth.targets(points))


def test_centres_of_cells():
    centres = cell_centres(9, 13)
    assert centres.tolist() == [[1.5, 1.5], [5.5, 1.5], [9.5, 1.5], [1.5, 5.5], [5.5, 5.5], [9.5, 5.5]]


@pytest.mark.parametrize("kind, level", [("rotation", "identity"), ("rotation", "37"), ("scale", "0.5")])
def test_an_exact_matcher_has_no_error(kind, level):
    truth = TransformationTruth(draw(kind, level, "name", (96, 128)), (96, 128))
    values = measure(exact(truth, (96, 128)), truth, (96, 128))
    assert values["aee"] == values["aee_median"] == 0
    assert values["pck1"] == values["pck10"] == values["coverage"] == 100
    if level == "identity":
        assert values["points"] == 24 * 32


def test_errors_by_hand():
    """Four points 0, 1, 3 and 20 pixels off, along and across; a fifth is hidden, a sixth outside the image."""
    points = np.array([[1.5, 1.5], [5.5, 1.5], [9.5, 1.5], [13.5, 1.5], [25.5, 1.5], [33, 1]], np.float32)
    off = np.array([[0, 0], [1, 0], [0, -3], [12, 16], [99, 0], [99, 0]], np.float32)
    values = measure(Correspondence(points, points + off + np.array([2, 0])), Shifted((2, 0), until=20), SIZE)
    assert values["points"] == 4 and values["aee"] == pytest.approx(6) and values["aee_median"] == pytest.approx(2)
    assert [values[f"pck{t}"] for t in correspondences.PCK] == [50, 75, 75, 75]
    assert values["coverage"] == pytest.approx(100 * 4 / 30)  # six rows of five visible cells


def test_points_without_a_place_count_as_not_found():
    matches = exact(Shifted())
    matches.targets[::2] = np.nan
    values = measure(matches, Shifted(), SIZE)
    assert values["points"] == 24 and values["coverage"] == 50 and values["aee"] == 0


def test_nothing_found_gives_no_error_to_speak_of():
    nothing = Correspondence(np.zeros((0, 2)), np.zeros((0, 2)))
    for matches, truth in ((nothing, Shifted()), (exact(Shifted()), Shifted(until=-1))):
        assert measure(matches, truth, SIZE) == {"coverage": 0, "points": 0}


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(2, 2\)"):
        measure(Correspondence(np.zeros((3, 2)), np.zeros((2, 2))), Shifted(), SIZE)


def test_several_points_in_a_cell_cover_it_once():
    points = np.array([[0, 0], [1, 2], [3.4, 3.4]])
    assert measure(Correspondence(points, points), Shifted(), SIZE)["coverage"] == pytest.approx(100 / 48)
