"""Runs whose methods are given views of their references: names, identities, records, and what the loop passes on."""

import dataclasses
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from msgspec import structs

from refsr_bench.core import catalogue, schema
from refsr_bench.core.cards import LoadedMatcher, LoadedMethod, MatcherCard
from refsr_bench.core.results import read_result
from refsr_bench.core.types import Correspondence, Prediction, Sample, View
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.plan import Plan, Predictor
from refsr_bench.evaluation.predictors import matcher_predictor, method_predictor, stacking, viewing
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.views.records import records
from refsr_bench.views.using import Proposals, shown

BICUBIC = catalogue.get("METHODS", "bicubic")
ONE = dataclasses.replace(BICUBIC, name="one", title="One", references="one", group="Ref-SR")
MIRRORED = Correspondence(np.array([(1, 2)], np.float32), np.array([(5, 6)], np.float32))


def view(sample: Sample, reference: int = 0, left: int = 0) -> View:
    """A view whose pixel (x, y) shows the reference's (x + 2, y + 1), from the column ``left`` on."""
    height, width = (side * sample.scale for side in sample.lr.shape[:2])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.full((height, width, 3), 40 * (reference + 1), np.uint8)
    return View(image, np.stack((x + 2, y + 1), axis=-1), x >= left, "sift", reference)


def proposing(*views: dict, version: str = "1") -> Proposals:
    """Proposals of one view for each of these keywords of ``view``."""

    def propose(pair, sample):
        made = [view(sample, **each) for each in views]
        return lambda reference, found: [each for each in made if each.reference == reference]

    return Proposals("auto", "views", version, propose)


def copying(lr, refs, scale) -> Prediction:
    """A method that returns its first reference, cut to the size of its image."""
    height, width = lr.shape[0] * scale, lr.shape[1] * scale
    return Prediction(np.resize(refs[0][:height, :width], (height, width, 3)))


def method(loaded: LoadedMethod | None = None) -> tuple[Predictor, LoadedMethod]:
    loaded = loaded or LoadedMethod(copying)
    return method_predictor(ONE, dataclasses.replace(loaded, code=schema.Code("one", "1", None)), "cpu"), loaded


def c2(**settings):
    protocol = catalogue.get("PROTOCOLS", "c2")
    return protocol.changed(settings) if settings else protocol


def run(predictor: Predictor, root: Path, out: Path, **options):
    plan = Plan(predictor, open_dataset("wrsr", root), c2(), load_metrics(("psnr_y", "ssim_y"), "cpu"), **options)
    return evaluate(plan, out)


def test_views_have_a_row_a_folder_and_an_identity_of_their_own() -> None:
    plain, loaded = method()
    with_views = viewing(plain, loaded, proposing({}))
    assert (with_views.info.name, with_views.info.title) == ("one-views-auto", "One, views")
    assert with_views.info.options == {"views": "auto", "views_version": "1"}
    newer = viewing(plain, loaded, proposing({}, version="2"))
    assert newer.info.name == with_views.info.name and newer.info.options != with_views.info.options
    assert viewing(plain, loaded, None) is plain


@pytest.mark.parametrize(
    "variant, name, title",
    [
        ("coarse matching", "one-coarse-matching", "One (coarse matching)"),
        ("sub-cell", "one-sub-cell", "One, sub-cell"),
        ("", "one", "One"),
    ],
)
def test_names_of_variants(variant: str, name: str, title: str) -> None:
    plain, loaded = method(LoadedMethod(copying, variant=variant, options={"a": "b"}))
    assert (plain.info.name, plain.info.title) == (name, title)
    with_views = viewing(plain, loaded, proposing({})).info
    assert (with_views.name, with_views.title) == (f"{name}-views-auto", f"{title}, views")
    assert with_views.options == {"a": "b", "views": "auto", "views_version": "1"}


def test_a_method_without_references_keeps_its_row() -> None:
    loaded = BICUBIC.load(None, "cpu")
    plain = method_predictor(BICUBIC, loaded, "cpu")
    assert viewing(plain, loaded, proposing({})) is plain


def test_records_have_the_views_that_were_given(wrsr, tmp_path: Path) -> None:
    plain, loaded = method()
    result, folder = run(viewing(plain, loaded, proposing({"left": 12}, {"left": 24})), wrsr(2), tmp_path)
    for record in result.images:
        width, height = record.hr_size
        (only,) = record.views
        assert only == schema.ViewRecord(
            "sift", 0, round(1 - 12 / width, 4), None,
            ((2, 1), (width + 1, 1), (width + 1, height), (2, height)),
        )  # fmt: skip
    assert read_result(folder / "result.json") == result
    jsonschema.validate(json.loads((folder / "result.json").read_text()), schema.published())


def test_a_run_without_views_says_nothing_of_them(wrsr, tmp_path: Path) -> None:
    result, _ = run(method()[0], wrsr(1), tmp_path)
    assert result.images[0].views == () and "views" not in result.run.method.options


def test_a_record_of_before_is_read(wrsr, tmp_path: Path) -> None:
    _, folder = run(method()[0], root := wrsr(2), tmp_path)
    log = folder / "images.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line.pop("views") for line in lines] == [[], []]
    log.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))
    (folder / "result.json").unlink()
    result, _ = run(method()[0], root, tmp_path)
    assert result.complete and json.loads(log.read_text().splitlines()[0]).keys() == lines[0].keys()


def test_shares_are_those_of_the_method(wrsr, tmp_path: Path) -> None:
    def choose(lr, refs, scale, propose) -> Prediction:
        assert len(refs) == 1
        views = tuple(propose(0, None))
        return dataclasses.replace(copying(lr, refs, scale), views=views, shares=(0.53, 0.25))

    plain, loaded = method(LoadedMethod(copying, predict_views=choose))
    result, _ = run(viewing(plain, loaded, proposing({}, {"left": 8})), wrsr(1), tmp_path)
    one, two = (found.share for found in result.images[0].views)
    assert one / two == pytest.approx(0.53 / 0.25, rel=1e-3)


@pytest.mark.parametrize(
    "broken, said",
    [
        (lambda p: dataclasses.replace(p, shares=(0.5, 0.5)), "the shares of 1 views"),
        (lambda p: dataclasses.replace(p, shares=(1.5,)), "from 0 to 1"),
        (lambda p: replaced(p, valid=p.views[0].valid[1:]), "has the shapes"),
        (lambda p: replaced(p, found_by="magic"), "found by 'magic'; known: sift"),
        (lambda p: replaced(p, reference=3), "shows reference 3 of 1"),
    ],
)
def test_views_that_cannot_be_are_the_failure_of_their_pair(wrsr, tmp_path: Path, broken, said: str) -> None:
    def choose(lr, refs, scale, propose) -> Prediction:
        return broken(dataclasses.replace(copying(lr, refs, scale), views=tuple(propose(0, None))))

    plain, loaded = method(LoadedMethod(copying, predict_views=choose))
    result, _ = run(viewing(plain, loaded, proposing({})), wrsr(1), tmp_path)
    assert said in result.images[0].error


def replaced(prediction: Prediction, **facts) -> Prediction:
    return dataclasses.replace(prediction, views=(dataclasses.replace(prediction.views[0], **facts),))


def described(lr_side: int = 12, crop: tuple | None = None, shares: tuple = (), **facts) -> schema.ViewRecord:
    """The record of a view of an image of 4 x lr_side pixels, of which everything is scored unless ``crop`` says so."""
    lr = np.zeros((lr_side, lr_side, 3), np.uint8)
    hr = np.zeros((4 * lr_side, 4 * lr_side, 3), np.uint8)
    sample = Sample("one", hr, lr, (hr,), 4, crop or (0, 0, *hr.shape[:2]), ("ref",))
    (found,) = records(Prediction(hr, views=(dataclasses.replace(view(sample), **facts),), shares=shares), sample)
    return found


def test_a_view_lies_where_the_motion_of_most_of_it_puts_the_corners() -> None:
    """The reference is turned by a quarter; the left columns show nothing and hold nonsense, and a few pixels lie."""
    y, x = np.mgrid[:48, :48].astype(np.float32)
    source = np.stack((60 - y, x + 3), axis=-1)
    valid = x >= 16
    source[(x >= 44) & (y < 4)] += 9
    for nonsense in (-7, np.nan):
        source[~valid] = nonsense
        assert described(source=source, valid=valid).place == ((60, 3), (60, 50), (13, 50), (13, 3))


@pytest.mark.parametrize("change", [
    {"valid": np.zeros((48, 48), bool)},
    {"source": np.random.default_rng(0).uniform(0, 48, (48, 48, 2)).astype(np.float32)},
])  # fmt: skip
def test_what_has_no_motion_has_no_place(change: dict) -> None:
    assert described(**change).place is None


def test_shares_are_of_the_scored_area_and_not_of_its_padding() -> None:
    assert described(shares=(0.25,)).share == 0.25
    assert described(shares=(0.125,), crop=(0, 0, 48, 24)).share == 0.25
    assert described(shares=(0.9,), crop=(0, 0, 48, 24)).share == 1.0


def test_what_is_scored_is_described_without_the_padding_around_it() -> None:
    sample = c2().prepare(open_dataset("sample").pairs[0], "sample")
    padded = dataclasses.replace(sample, crop=(4, 8, 16, 20))
    (found,) = records(Prediction(sample.hr, views=(view(sample, left=18),)), padded)
    assert found.valid == 0.5 and found.place[0] == (10, 5) and found.place[2] == (29, 20)


def test_several_references_are_stacked_only_where_no_view_is_believed() -> None:
    data = open_dataset("sample")
    sample = c2(refs="all").prepare(data.pairs[0], data.name)
    given = []

    def predict(lr, refs, scale) -> Prediction:
        given.append(refs)
        return copying(lr, refs, scale)

    plain, loaded = method(LoadedMethod(predict))
    seen = viewing(stacking(plain), loaded, proposing({"reference": 1})).predict(data.pairs[0], sample)
    assert len(given[0]) == 1 and np.array_equal(given[0][0], shown(seen.views[0], sample.lr))
    viewing(stacking(plain), loaded, proposing()).predict(data.pairs[0], sample)
    assert len(given[1]) == 1 and given[1][0].shape[0] >= 500 * len(sample.refs)


def test_correspondences_are_asked_for_as_the_prediction_saw_the_reference() -> None:
    data = open_dataset("sample")
    sample = c2().prepare(data.pairs[0], data.name)
    plain, loaded = method(LoadedMethod(copying, match=lambda lr, ref, scale: MIRRORED))
    predictor = viewing(plain, loaded, proposing({}))
    prediction = predictor.predict(data.pairs[0], sample)
    assert predictor.match(sample, prediction).targets.tolist() == [[7, 7]]
    assert plain.match(sample, plain.predict(data.pairs[0], sample)).targets.tolist() == [[5, 6]]


def test_a_matcher_matches_with_the_view(wrsr) -> None:
    card = MatcherCard("own", "Own", 2026, "", "", lambda weights, device: LoadedMatcher(lambda *_: MIRRORED))
    data = open_dataset("wrsr", wrsr(1))
    sample = c2().prepare(data.pairs[0], data.name)
    predictor = matcher_predictor(card, card.load(None, "cpu"), "cpu", proposing({}, {"left": 4}))
    assert (predictor.info.name, predictor.info.title) == ("matcher-own-views-auto", "Own, views")
    found = predictor.predict(data.pairs[0], sample)
    assert found.correspondence.targets.tolist() == [[7, 7]] and len(found.views) == 1
    nothing = matcher_predictor(card, card.load(None, "cpu"), "cpu", proposing()).predict(data.pairs[0], sample)
    assert nothing.correspondence is MIRRORED and nothing.views == ()
    assert np.array_equal(found.sr, resize_pil_bicubic(sample.lr, *found.sr.shape[:2]))


def test_other_versions_of_proposals_are_other_runs(wrsr, tmp_path: Path) -> None:
    plain, loaded = method()
    one, two = (viewing(plain, loaded, proposing({}, version=version)).info for version in "12")
    result, _ = run(dataclasses.replace(plain, info=one), wrsr(1), tmp_path)
    assert structs.replace(result.run, method=two).identity() != result.run.identity()
