"""Draws that are the same everywhere and keep to their edges."""

import numpy as np
import pytest

from refsr_bench.core.errors import Misuse
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.kinds import EDGES, GROUPS

SIZE = (120, 160)
RECORDED = (17.135955615142816, 0.652686165612)


def test_draws_are_seeded_by_name_alone():
    """Recorded: a change of these numbers changes every published split and needs a new VERSION."""
    rotation = draw("rotation", "medium", "000", (240, 320))
    assert np.degrees(np.arctan2(rotation.matrix[0][1], rotation.matrix[0][0])) == pytest.approx(RECORDED[0], abs=1e-9)
    assert draw("scale", "large", "000", (240, 320)).matrix[0][0] == pytest.approx(RECORDED[1], abs=1e-11)
    assert draw("rotation", "medium", "000", (240, 320)) == rotation
    assert rotation.seed == "000|medium|rotation|v1"
    assert draw("rotation", "medium", "001", (240, 320)).matrix != rotation.matrix


def magnitude(made):
    a, b = made.matrix[0][:2]
    return abs(np.degrees(np.arctan2(b, a))), np.hypot(a, b)


@pytest.mark.parametrize("group", GROUPS[1:])
def test_groups_keep_to_their_edges_and_use_both_directions(group):
    turned = [draw("rotation", group, f"{n}", SIZE) for n in range(200)]
    low, high = EDGES["rotation"].ranges(group)[0]
    angles = np.array([magnitude(made)[0] for made in turned])
    assert low <= angles.min() < low + 0.1 * (high - low) and high - 0.1 * (high - low) < angles.max() <= high
    assert 60 < sum(made.matrix[0][1] > 0 for made in turned) < 140
    factors = np.array([magnitude(draw("scale", group, f"{n}", SIZE))[1] for n in range(200)])
    up, down = EDGES["scale"].ranges(group)
    assert all(up[0] <= f <= up[1] or down[0] <= f <= down[1] for f in factors)
    assert 60 < (factors > 1).sum() < 140
    logs = np.log(factors[factors > 1]) / np.log(up[1] / up[0]) - np.log(up[0]) / np.log(up[1] / up[0])
    assert abs(logs.mean() - 0.5) < 0.1


def test_perspective_always_tilts():
    for n in range(100):
        made = draw("perspective", "small", f"{n}", SIZE)
        assert abs(made.matrix[2][0]) + abs(made.matrix[2][1]) > 0


def test_a_number_is_taken_as_it_is():
    assert magnitude(draw("rotation", 25, "x", SIZE))[0] == pytest.approx(25)
    assert magnitude(draw("scale", "0.7", "x", SIZE))[1] == pytest.approx(0.7)
    assert draw("rotation", 25.0, "x", SIZE) == draw("rotation", "25", "x", SIZE)
    angle, factor = magnitude(draw("rotation+scale", 30, "x", SIZE))
    assert angle == pytest.approx(30) and max(factor, 1 / factor) == pytest.approx(1.5)


@pytest.mark.parametrize(
    "kind, level", [("rotation", 181), ("scale", 0), ("scale", "nan"), ("scale", -1), ("jpeg", 0), ("occlusion", 0.95),
                    ("rotation", "huge"), ("rotation", ""), ("shear", "small")],
)  # fmt: skip
def test_levels_out_of_range(kind, level):
    with pytest.raises(Misuse):
        draw(kind, level, "x", SIZE)
