"""The true view: what it shows, where there is none, and what it gives to methods and matchers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from leaderboard.statistics.shares import shares
from refsr_bench.core import catalogue
from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Sample
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.split.making import transformed, unrelated
from refsr_bench.sweeps.ceiling import ceiling, refuse_unknown
from refsr_bench.sweeps.measure import protocol_for
from refsr_bench.sweeps.session import RobustnessStudy, plan_of, run_study, views_of


def prepared(data, number: int = 0) -> tuple:
    pair = data.pairs[number]
    return pair, protocol_for(catalogue.get("PROTOCOLS", "c2")).prepare(pair, data.name)


@pytest.mark.parametrize("kind, level", [("rotation", "45"), ("scale", "1.5"), ("perspective", "large")])
def test_the_true_view_is_the_image_itself_resampled(kind: str, level: str) -> None:
    pair, sample = prepared(transformed(open_dataset("sample"), kind, level))
    (view,) = ceiling().propose(pair, sample)(0, None)
    height, width = sample.hr.shape[:2]
    assert view.found_by == "truth" and view.reference == 0
    inner = view.valid[:height, :width]
    assert inner.mean() > 0.4
    difference = (view.image[:height, :width].astype(float) - sample.hr)[inner]
    assert 10 * np.log10(255**2 / (difference**2).mean()) > 30


def test_the_true_view_follows_the_scored_area() -> None:
    """A protocol that pads on all sides moves the image inside what methods return."""
    pair, sample = prepared(transformed(open_dataset("sample"), "rotation", "90"))
    (plain,) = ceiling().propose(pair, sample)(0, None)
    top, left, height, width = sample.crop
    lr = np.pad(sample.lr, ((2, 0), (1, 0), (0, 0)))
    moved = dataclasses.replace(sample, lr=lr, crop=(top + 8, left + 4, height, width))
    (view,) = ceiling().propose(pair, moved)(0, None)
    assert np.array_equal(view.image[8:, 4:], plain.image) and np.allclose(view.source[8:, 4:], plain.source, atol=1e-3)


def test_unrelated_references_have_no_true_view() -> None:
    data = unrelated(open_dataset("sample"))
    pair, sample = prepared(data)
    assert ceiling().propose(pair, sample)(0, None) == ()
    refuse_unknown(data.pairs, data.name)


def test_a_second_reference_has_no_true_view() -> None:
    pair, sample = prepared(transformed(open_dataset("sample"), "rotation", "90"))
    two = Sample(**{**vars(sample), "refs": sample.refs * 2})
    assert ceiling().propose(pair, two)(1, None) == ()


def test_data_without_a_homography_are_refused_in_words(tmp_path: Path) -> None:
    study = RobustnessStudy(open_dataset("sample"), "given", ("c2matching",), (), views=("truth",))
    with pytest.raises(Misuse, match="--views truth: no homography is known between pair 'motorcycle' of sample"):
        plan_of(study, tmp_path)


def test_views_are_asked_for_once_each_and_wrong_ones_refused(tmp_path: Path) -> None:
    found = views_of(("none", "auto", "truth", "auto", "2", "none"))
    assert [views.name if views else None for views in found] == [None, "auto", "truth", "2"]
    study = RobustnessStudy(open_dataset("sample"), "rotation", ("bicubic",), (), views=("all",))
    with pytest.raises(Misuse, match="--views all"):
        plan_of(study, tmp_path)


def test_the_true_view_undoes_a_turn(wrsr, tmp_path: Path) -> None:
    data = open_dataset("wrsr", wrsr(2, side=96))
    study = RobustnessStudy(data, "rotation", ("bicubic", "c2matching"), ("pixels",), "90", views=("none", "truth"))
    plan = plan_of(study, tmp_path)
    done = list(run_study(study, plan))
    found = {result.run.method.name: levels for levels in done for _, (result, _) in list(levels.items())[:1]}
    assert list(found) == [
        "bicubic", "c2matching", "c2matching-views-truth", "matcher-pixels", "matcher-pixels-views-truth",
    ]  # fmt: skip
    turned = {name: levels["90"][0].means for name, levels in found.items()}
    assert turned["c2matching-views-truth"]["psnr_y"] > turned["c2matching"]["psnr_y"] + 0.2
    for name in ("c2matching", "matcher-pixels"):
        assert turned[f"{name}-views-truth"]["aee_median"] < 3 < turned[name]["aee_median"]
    record = found["c2matching-views-truth"]["90"][0].images[0]
    assert record.views[0].found_by == "truth" and record.views[0].valid > 0.9
    strangers = [found[name]["unrelated"][0] for name in ("c2matching", "c2matching-views-truth")]
    assert strangers[1].means["psnr_y"] > strangers[0].means["psnr_y"] - 0.05 and strangers[1].images[0].views == ()


def test_every_way_of_matching_is_measured_with_all_views(wrsr, tmp_path: Path) -> None:
    data = open_dataset("wrsr", wrsr(2))
    ways = {"views": ("none", "truth"), "matching": ("exact", "sub-cell")}
    study = RobustnessStudy(data, "shift", ("bicubic", "c2matching"), (), "2", **ways)
    done = list(run_study(study, plan_of(study, tmp_path)))
    titles = [next(iter(levels.values()))[0].run.method.title for levels in done]
    assert titles == [
        "Bicubic", "C²-Matching-rec", "C²-Matching-rec, true views", "C²-Matching-rec, sub-cell",
        "C²-Matching-rec, sub-cell, true views",
    ]  # fmt: skip
    runs = {titles[n]: {level: result for level, (result, _) in levels.items()} for n, levels in enumerate(done)}
    plain, refined = (shares(runs)[name, "2"].estimate.mean for name in (titles[1], titles[3]))
    assert plain < refined  # of what the true view gives


def test_a_way_of_matching_that_no_method_offers_is_misuse(tmp_path: Path) -> None:
    data = open_dataset("sample")
    for methods, way, said in ((("bicubic",), "exact", "none of these"), (("c2matching",), "magic", "has only exact")):
        study = RobustnessStudy(data, "rotation", methods, (), "small", limit=1, matching=(way,))
        with pytest.raises(Misuse, match=f"--matching {way}: .*{said}"):
            list(run_study(study, plan_of(study, tmp_path)))
