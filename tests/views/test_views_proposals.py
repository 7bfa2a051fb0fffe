"""Views are found of references that are turned, nearer or further, and of unrelated ones none is believed."""

import numpy as np
import pytest
from posed import SCALE, posed, reduced

from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Correspondence, View
from refsr_bench.geometry.correspondences import CELL
from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.matchers import sift
from refsr_bench.views.proposals import Views, parse, propose
from refsr_bench.views.warps import map_of

SIDE = 160


def proposed(hr: np.ndarray, *refs: np.ndarray, reference: int = 0, found: Correspondence | None = None) -> list[View]:
    return list(propose(Views(), reduced(hr), refs, SCALE)(reference, found))


def error(view: View, matrix: np.ndarray, scale: float = 1) -> float:
    """The median distance of the valid pixels of a view from their true places, in pixels of the image."""
    truth = map_of(matrix, view.valid.shape)
    return float(np.median(np.linalg.norm(view.source - truth, axis=-1)[view.valid])) / scale


@pytest.fixture
def no_keypoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sift, "keypoints", lambda image, ref: (np.zeros((0, 2)), np.zeros((0, 2))))


@pytest.mark.parametrize("text", ["auto", "1", "3", "9", "auto:orb", "2:aliked"])
def test_a_name_reads_back_as_the_same_views(text: str) -> None:
    assert parse(text).name == text and parse(parse(text).name) == parse(text)


def test_none_is_no_views_and_sift_goes_without_saying() -> None:
    assert parse("none") is None
    assert parse("auto:sift") == parse("auto") == Views() and parse("2:sift").name == "2"


@pytest.mark.parametrize("text", ["", "0", "10", "-1", "1.5", "all", "auto:", "auto:surf", "two:sift", "²"])
def test_what_nobody_can_mean_is_refused_with_what_can_be_given(text: str) -> None:
    if text == "auto:":
        assert parse(text) == Views()
        return
    with pytest.raises(Misuse, match=r"--views .*(none, auto, or a number|Known: sift)"):
        parse(text)


@pytest.mark.parametrize(("angle", "scale"), [(45, 1), (150, 1), (0, 0.5), (0, 2), (45, 1.5)])
@pytest.mark.parametrize("which", [2, 3])
def test_a_turned_nearer_or_further_reference_is_found(photo, which: int, angle: float, scale: float) -> None:
    hr = photo(SIDE, SIDE, which)
    ref, matrix = posed(hr, angle, scale)
    (view,) = proposed(hr, ref)
    assert view.image.shape == hr.shape and view.source.dtype == np.float32 and view.valid.dtype == bool
    assert view.found_by == "sift" and view.valid.mean() > 0.8
    assert error(view, matrix, scale) < 0.5


def test_the_view_of_a_reference_has_its_number(photo) -> None:
    hr = photo(SIDE, SIDE, 2)
    ref, matrix = posed(hr, 90, 1)
    (view,) = proposed(hr, photo(SIDE, SIDE, 7), ref, reference=1)
    assert view.reference == 1 and error(view, matrix) < 0.5


@pytest.mark.parametrize("side", [96, SIDE])
def test_no_view_of_an_unrelated_reference_is_believed_however_small(photo, side: int) -> None:
    for one, other in ((0, 1), (0, 7), (1, 0), (2, 7), (4, 7), (5, 1), (7, 0)):  # stripes and gravel agree by chance
        assert proposed(photo(side, side, one), photo(side, side, other)) == []


def test_no_view_of_a_flat_image_is_believed(photo) -> None:
    flat, textured = np.full((SIDE, SIDE, 3), 90, np.uint8), photo(SIDE, SIDE, 7)
    assert proposed(flat, flat) == proposed(flat, textured) == proposed(textured, flat) == []


@pytest.mark.parametrize("which", [3, 6, 7])
def test_without_keypoints_a_turn_is_found_by_texture(photo, no_keypoints: None, which: int) -> None:
    hr = photo(SIDE, SIDE, which)
    ref, matrix = posed(hr, 90, 1)
    (view,) = proposed(hr, ref)
    assert view.found_by == "turns" and error(view, matrix) < 0.6


def test_turns_are_not_tried_where_something_else_is_believed(photo, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("turns were tried")

    monkeypatch.setattr("refsr_bench.views.turns.matches", never)
    hr = photo(SIDE, SIDE, 2)
    assert proposed(hr, posed(hr, 30, 1)[0])[0].found_by == "sift"


def test_the_matches_of_a_method_alone_show_a_small_shift(photo, no_keypoints: None) -> None:
    hr = photo(SIDE, SIDE, 3)
    shift = np.array([6, -3])
    ref = np.roll(hr, shift[::-1], (0, 1))
    own = (CELL * pixel_grid((SIDE // CELL,) * 2) + (CELL - 1) / 2).reshape(-1, 2)
    there = own + CELL * np.round(shift / CELL)  # whole cells, as patches are matched
    stray = np.random.default_rng(0).random(len(own)) < 0.4
    there[stray] = own[stray][::-1]
    (view,) = proposed(hr, ref, found=Correspondence(own, there, None))
    matrix = np.array([[1.0, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]])
    assert view.found_by == "matches" and error(view, matrix) < 0.5


def test_what_is_covered_in_the_reference_is_not_valid(photo) -> None:
    hr = photo(SIDE, SIDE, 7)
    ref, matrix = posed(hr, 20, 1)
    middle = [side // 2 for side in ref.shape[:2]]
    ref[middle[0] - 36 : middle[0] + 36, middle[1] - 36 : middle[1] + 36] = 128
    away = np.abs(map_of(matrix, hr.shape[:2]) - middle[::-1]).max(-1)
    (view,) = proposed(hr, ref)
    assert view.valid[away > 45].mean() > 0.9 and view.valid[away < 22].mean() < 0.1
