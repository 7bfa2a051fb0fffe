"""Matches below a cell, against their definition and against shifts that are known."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from c2matching.matching import subcell
from c2matching.matching.correspondence import Correspondence
from c2matching.matching.subcell import by_loops, by_tensors, refine
from c2matching.matching.window import CELL, FLAT, LEAST_BEND, REACH, STEADY, WINDOW
from refsr_bench.geometry.transformation import Transformation
from refsr_bench.geometry.warping import apply
from refsr_bench.learning.tensors import degrade, to_tensor

LUMA = np.array([0.299, 0.587, 0.114])


def in_place(cells, reference=0):
    """Matches of every patch with the patch at its own place."""
    h, w = (side - 2 for side in cells)
    index = torch.arange(h * w).view(h, w)
    return Correspondence(torch.zeros(h, w, 2), index, torch.ones(h, w), torch.full_like(index, reference))


def by_definition(own, ref, cell, place):
    """The shift (x, y) and the correlation of one patch, by numpy alone. own, ref: luma, the reference blurred."""
    rim = CELL + REACH + 1
    own, ref = np.pad(own, CELL, mode="edge"), np.pad(ref, rim, mode="edge")
    window = own[CELL * cell[1] :, CELL * cell[0] :][:WINDOW, :WINDOW]
    if window.var() <= FLAT:
        return (0.0, 0.0), 0.0
    side = 2 * REACH + 3
    scores = np.zeros((side, side))
    for b in range(side):
        for a in range(side):
            there = ref[CELL * place[1] + b :, CELL * place[0] + a :][:WINDOW, :WINDOW]
            crossed = ((window - window.mean()) * (there - there.mean())).mean()
            scores[b, a] = crossed / np.sqrt(window.var() * max(there.var(), FLAT))
    row, column = np.unravel_index(scores[1:-1, 1:-1].argmax(), (side - 2, side - 2))
    best = scores[row + 1, column + 1]

    # The quadratic surface of least squares' mixed term and of central differences, and Newton's step to its top.
    near = scores[row : row + 3, column : column + 3]
    slope = np.array([near[1, 2] - near[1, 0], near[2, 1] - near[0, 1]]) / 2
    mixed = (near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
    bend = -np.array([[near[1, 2] - 2 * best + near[1, 0], mixed], [mixed, near[2, 1] - 2 * best + near[0, 1]]])
    bend += STEADY * max(np.trace(bend), LEAST_BEND) * np.eye(2)
    top = np.zeros(2)
    if np.linalg.eigvalsh(bend).min() > 0:
        top = np.linalg.solve(bend, slope).clip(-1, 1)
    return (column - REACH + top[0], row - REACH + top[1]), best


@pytest.fixture
def images(photo):
    """Enlarged LR and a reference of other size, whose content lies 5 pixels to the left and 2 above."""
    hr = photo(88, 96)
    _, enlarged = degrade(hr[:64, :72])
    return to_tensor(enlarged), to_tensor(np.ascontiguousarray(hr[2:82, 5:85]))


def test_both_ways_equal_the_definition(images):
    enlarged, ref = images
    generator = torch.Generator().manual_seed(1)
    shape = (enlarged.shape[1] // CELL - 2, enlarged.shape[2] // CELL - 2)
    columns, rows = ref.shape[2] // CELL - 2, ref.shape[1] // CELL - 2
    index = torch.randint(columns * rows, shape, generator=generator)
    own = subcell._padded(subcell.luma(enlarged), CELL)
    there = subcell.blurred(subcell.luma(ref))
    places, all_of_them = subcell.places_of(index, columns), torch.ones(shape, dtype=torch.bool)
    arguments = own, subcell._padded(there, CELL + REACH + 1), places, all_of_them
    ways = [by_tensors(*arguments)] + ([by_loops(*arguments)] if subcell.available() else [])
    luma = (enlarged.numpy().transpose(1, 2, 0) @ LUMA, there.numpy().astype(np.float64))
    checked = 0
    for y in range(shape[0]):
        for x in range(shape[1]):
            (shift_x, shift_y), best = by_definition(*luma, (x, y), places[y, x].tolist())
            for shift, score in ways:
                assert abs(score[y, x] - best) < 1e-4
                if best > 0.5:  # of two peaks that are nearly equal, rounding may choose either
                    assert abs(shift[y, x] - torch.tensor([shift_x, shift_y])).max() < 0.02
                    checked += 1
    assert checked > 20


@pytest.mark.parametrize("move", [(0.0, 0.0), (1.0, 2.0), (-1.5, 0.5), (0.3, -0.7)])
def test_a_shift_by_parts_of_a_pixel_is_found(photo, move):
    hr = photo(128, 128)
    matrix = ((1.0, 0.0, move[0]), (0.0, 1.0, move[1]), (0.0, 0.0, 1.0))
    ref = apply(hr, Transformation("shift", "1", matrix, hr.shape[:2]))
    _, enlarged = degrade(hr)
    found = refine(in_place((32, 32)), to_tensor(enlarged), [to_tensor(ref)])
    certain = found.certainty > 0.8
    assert certain.float().mean() > 0.5
    error = (found.flow[certain] * CELL - torch.tensor(move)).norm(dim=1)
    assert error.median() < 0.25


def test_an_image_and_its_parts_give_the_same(images):
    enlarged, ref = images
    whole = refine(in_place((16, 18)), enlarged, [ref[:, :64, :72]])
    generator = torch.Generator().manual_seed(0)
    part = torch.rand(whole.certainty.shape, generator=generator) < 0.5
    found = in_place((16, 18))
    found.reference[part] = 1  # these patches are refined in a call of their own, and in another picture
    parts = refine(found, enlarged, [ref[:, :64, :72], ref[:, :64, :72].clone()])
    assert torch.equal(parts.flow, whole.flow) and torch.equal(parts.certainty, whole.certainty)


def test_many_patches_are_refined_in_bounded_steps(images, monkeypatch):
    enlarged, ref = images
    monkeypatch.setattr(subcell, "available", lambda: False)
    at_once = refine(in_place((16, 18)), enlarged, [ref[:, :64, :72]])
    monkeypatch.setattr(subcell, "PATCHES", 7)
    in_steps = refine(in_place((16, 18)), enlarged, [ref[:, :64, :72]])
    assert (in_steps.flow - at_once.flow).abs().max() < 1e-3
    assert (in_steps.certainty - at_once.certainty).abs().max() < 1e-5


def test_a_flat_surface_stays_where_it_is_and_is_not_certain():
    flat = torch.full((3, 32, 32), 0.5)
    found = refine(in_place((8, 8)), flat, [torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))])
    assert not found.flow.any() and not found.certainty.any()


def test_other_content_is_not_certain(photo):
    hr, other = photo(128, 128, 0), photo(128, 128, 2)
    _, enlarged = degrade(hr)
    right = refine(in_place((32, 32)), to_tensor(enlarged), [to_tensor(hr)]).certainty
    wrong = refine(in_place((32, 32)), to_tensor(enlarged), [to_tensor(other)]).certainty
    assert right.median() > 0.9 > 0.6 > wrong.median()


def test_the_blur_keeps_the_mean_and_repeats_the_border():
    ramp = torch.linspace(0, 1, 40).repeat(40, 1)
    blurred = subcell.blurred(ramp)
    assert F.l1_loss(blurred[:, 10:30], ramp[:, 10:30]) < 1e-6
    assert blurred.min() >= 0 and blurred.max() <= 1
