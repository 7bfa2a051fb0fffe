"""A metric of all images together is computed from the saved pictures and stands beside the means of the others."""

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

import refsr_bench
from leaderboard.pages.site import build
from leaderboard.tables.terminal import means_table
from refsr_bench.core import catalogue, results
from refsr_bench.core.cards import GatheredSet, MetricCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.opening import open_dataset
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.metrics import Metric, load_metrics
from refsr_bench.evaluation.pictures import pictures_of
from refsr_bench.evaluation.plan import Plan
from refsr_bench.evaluation.predictors import method_predictor


class Spread:
    """A metric of a set: the mean grey level of SR minus that of HR, in parts of 10 pixels. calls: how often it ran."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, sizes, pairs) -> GatheredSet:
        self.calls += 1
        pairs = list(pairs)
        assert [sr.shape[:2] for sr, _ in pairs] == list(sizes)
        if len(pairs) < 2:
            raise BenchError("SPREAD needs at least 2 images; here is 1. It is left out.")
        return GatheredSet(float(np.mean([sr.mean() - hr.mean() for sr, hr in pairs])), 10 * len(pairs))


CARD = MetricCard("spread", "SPREAD", "lower", "", 3, "Made.", lambda device, weights: None, level="set")


@pytest.fixture
def gather() -> Spread:
    return Spread()


def plan(gather: Spread, count: int, pictures: str = "images") -> Plan:
    card, data = catalogue.get("METHODS", "bicubic"), open_dataset("sample")
    metrics = (*load_metrics(("psnr_y", "ssim_y"), "cpu"), Metric(CARD, None, gather=gather))
    predictor = method_predictor(card, card.load(None, "cpu"), "cpu")
    return Plan(predictor, data, catalogue.get("PROTOCOLS", "c2"), metrics, data.pairs[:count], pictures=pictures)


def test_it_is_computed_once_for_the_same_images(gather: Spread, tmp_path: Path) -> None:
    result, folder = evaluate(plan(gather, 2), tmp_path)
    value = result.sets["spread"]
    assert (value.images, value.parts, gather.calls) == (2, 20, 1)
    assert result.means["spread"] == value.value != 0
    assert all("spread" not in image.metrics for image in result.images)
    assert result.run.metrics[-1].level == "set"
    before = (folder / "result.json").read_bytes()
    evaluate(plan(gather, 2), tmp_path)
    assert gather.calls == 1 and (folder / "result.json").read_bytes() == before
    more, _ = evaluate(plan(gather, 3), tmp_path)
    assert gather.calls == 2 and more.sets["spread"].images == 3 and more.means["spread"] != value.value
    (folder / "result.json").unlink()  # a kill before the end
    assert evaluate(plan(gather, 3), tmp_path)[0].sets == more.sets


def test_too_few_images_and_lost_pictures_leave_it_empty_with_a_word(gather, tmp_path: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING, logger="refsr_bench"):
        result, folder = evaluate(plan(gather, 1), tmp_path)
    assert result.sets == {} and "spread" not in result.means
    assert "bicubic on sample: SPREAD needs at least 2 images" in caplog.text
    result, folder = evaluate(plan(gather, 2), tmp_path)
    (folder / "result.json").unlink()
    next((folder / "images").glob("*.png")).unlink()
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="refsr_bench"):
        assert evaluate(plan(gather, 2), tmp_path)[0].sets == {}
    assert "--reuse never measures and saves all again" in caplog.text


def test_the_pictures_must_be_kept(gather: Spread, tmp_path: Path) -> None:
    with pytest.raises(Misuse, match=r"SPREAD read the SR images .* Give --save-images"):
        evaluate(plan(gather, 2, "none"), tmp_path)
    assert not list(tmp_path.iterdir())
    many = replace(open_dataset("sample"), pairs=open_dataset("sample").pairs * 5)
    metrics = (Metric(CARD, None, gather=gather),)
    assert (pictures_of((many,), None), pictures_of((many,), None, metrics)) == ("none", "images")


@pytest.mark.parametrize(
    "change, told",
    [
        ({"of": "0" * 64}, "the value of spread was computed from other images"),
        ({"images": 1}, "the value of spread was computed from other images"),
        ({"value": 7.0}, "the mean of spread is given as"),
    ],
)
def test_a_value_that_does_not_belong_to_the_images_is_a_contradiction(gather, tmp_path, change, told) -> None:
    result, _ = evaluate(plan(gather, 2), tmp_path)
    assert results.contradiction(result) is None
    other = structs.replace(result.sets["spread"], **change)
    assert told in results.contradiction(structs.replace(result, sets={"spread": other}))
    named = structs.replace(result, sets={"psnr_y": result.sets["spread"]})
    assert "sets has 'psnr_y'" in results.contradiction(named)


def test_tables_pages_and_the_frame_show_it(gather: Spread, tmp_path: Path) -> None:
    result, _ = evaluate(plan(gather, 8), tmp_path)
    shown = f"{result.means['spread']:.3f}"
    assert shown in means_table([result])
    assert set(refsr_bench.load_results(tmp_path).metric) == {"psnr_y", "ssim_y"}
    report = build(tmp_path, tmp_path / "site", drawn=False)
    assert not report.problems and shown in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    (row,) = csv.DictReader((tmp_path / "site" / "leaderboard.csv").read_text(encoding="utf-8").splitlines())
    assert float(row["spread"]) == result.means["spread"]
    (metric,) = [
        metric for metric in json.loads((tmp_path / "site" / "leaderboard.json").read_text())["tables"][0]["rows"][0]
        ["results"][0]["metrics"] if metric["metric"] == "spread"
    ]  # fmt: skip
    assert metric["rank"] == 1
