"""Draws that are the same everywhere and keep to their edges."""

import re
from pathlib import Path

import numpy as np
import pytest

from refsr_bench.core.errors import Misuse
from refsr_bench.geometry.drawing import draw
from refsr_bench.geometry.kinds import EDGES, GROUPS, KINDS, level_name, level_names, numbers_of, unit_of

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


def shear(made):
    return made.matrix[0][1]


def shift(made):
    return made.matrix[0][2], made.matrix[1][2]


@pytest.mark.parametrize("group", GROUPS[1:])
def test_shears_and_shifts_keep_to_their_edges_in_every_direction(group):
    (low, high), *_ = EDGES["shear"].ranges(group)
    shears = np.array([shear(draw("shear", group, f"{n}", SIZE)) for n in range(200)])
    assert low <= np.abs(shears).min() and np.abs(shears).max() <= high and 60 < (shears > 0).sum() < 140
    (low, high), *_ = EDGES["shift"].ranges(group)
    shifts = np.array([shift(draw("shift", group, f"{n}", SIZE)) for n in range(200)])
    assert low <= np.abs(shifts).min() and np.abs(shifts).max() <= high
    assert np.allclose(*np.abs(shifts).T)
    assert {tuple(direction) for direction in np.sign(shifts)} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


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
    assert shear(draw("shear", -0.3, "x", SIZE)) == -0.3
    assert shift(draw("shift", 0.5, "x", SIZE)) == (0.5, 0.5) and draw("shift", 0.5, "x", SIZE).size == SIZE


def test_a_combination_takes_both_numbers_as_they_are():
    made = draw("rotation+scale", "45x1.50", "x", SIZE)
    assert made.level == "45x1.5" and magnitude(made) == pytest.approx((45, 1.5))
    assert made.matrix == draw("rotation+scale", "45x1.5", "another", SIZE).matrix  # nothing is left to a coin
    assert draw("rotation+scale", "-180x0.25", "x", SIZE).matrix[0][0] == -0.25
    assert draw("rotation+scale", "0x1", "x", SIZE).matrix == draw("rotation", "0", "x", SIZE).matrix
    assert (numbers_of("45x1.5"), numbers_of("-7"), numbers_of("large")) == ((45, 1.5), (-7,), ())
    assert unit_of("rotation+scale", ["0x1", "30x2"]) == "degrees x factor" != unit_of("rotation+scale", ["30"])
    assert unit_of("given", ["given"]) == ""
    assert [numbers_of(level) for level in ("1x2x3", "x", "1x", "nan", "2xinf", "")] == [()] * 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(240, 320), (500, 333)])
def test_every_level_of_the_wide_grid_can_be_drawn(kind, size):
    names = level_names(kind, ["wide", "unrelated"])
    assert len(set(names)) == len(names) == len(EDGES[kind].wide) + 1 > 5
    for name in names[:-1]:
        assert level_name(kind, name) == name == draw(kind, name, "x", size).level


@pytest.mark.parametrize(
    "kind, level", [("rotation", 181), ("scale", 0), ("scale", "nan"), ("scale", -1), ("jpeg", 0), ("occlusion", 0.95),
                    ("rotation", "huge"), ("rotation", ""), ("twist", "small"), ("twist", "wide"), ("shear", 1.1),
                    ("shift", 9), ("rotation", "45x1.5"), ("rotation+scale", "181x1"), ("rotation+scale", "45x5"),
                    ("rotation+scale", "45x"), ("rotation+scale", "1x1x1"), ("rotation+scale", "nanx1")],
)  # fmt: skip
def test_levels_out_of_range(kind, level):
    with pytest.raises(Misuse):
        draw(kind, level, "x", SIZE)


def test_the_data_card_lists_every_edge_and_every_grid():
    card = (Path(__file__).parents[2] / "data_cards" / "transform.md").read_text(encoding="utf-8")
    for kind, edges in EDGES.items():
        grid = " ".join(level_name(kind, level) for level in edges.wide)
        assert f"| {kind} | {grid} |" in card
    for kind in ("shear", "shift"):
        groups = (getattr(EDGES[kind], group) for group in GROUPS[1:])
        assert re.search(rf"\| {kind}, .*\| {' . '.join(f'{low:g} to {high:g}' for low, high in groups)} \|", card)
