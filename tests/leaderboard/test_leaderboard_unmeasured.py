"""A metric that the protocol asks for, and whose weights are missing, is a column that says so."""

import logging

import pytest
from msgspec import structs
from runs import make, store
from site_pages import Page

from leaderboard.pages.site import build
from leaderboard.tables.terminal import means_table
from leaderboard.tables.unmeasured import unmeasured
from refsr_bench.evaluation import metrics as metrics_of_runs
from refsr_bench.evaluation.metrics import load_metrics


def without_weights(name):
    result = make(name)
    metrics = (*result.run.metrics[:2], structs.replace(result.run.metrics[2], lacks="weights"))
    return structs.replace(result, run=structs.replace(result.run, metrics=metrics))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    for name in ("REFSR_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))


def test_a_metric_without_weights_stays_a_column_and_is_told_once(offline, caplog):
    with caplog.at_level(logging.WARNING, logger="refsr_bench"):
        found = load_metrics(("psnr_y", "lpips"), "cpu")
    assert [(metric.info.name, metric.info.lacks) for metric in found] == [("psnr_y", "nothing"), ("lpips", "weights")]
    assert len(caplog.records) == 1 and "LPIPS stays empty" in caplog.text and "weights fetch alexnet" in caplog.text
    assert [metric.info.name for metric in load_metrics(("psnr_y",), "cpu")] == ["psnr_y"] and len(caplog.records) == 1


def test_a_metric_without_its_package_says_what_to_install(monkeypatch, caplog):
    monkeypatch.setattr(metrics_of_runs, "find_spec", lambda name: None)
    with caplog.at_level(logging.WARNING, logger="refsr_bench"):
        (metric,) = load_metrics(("dists",), "cpu")
    assert metric.info.lacks == "package" and "DISTS stays empty: torchmetrics is not installed." in caplog.text
    result = make("a")
    told = unmeasured([structs.replace(result, run=structs.replace(result.run, metrics=(metric.info,)))])
    assert told == ("DISTS not measured: package missing, pip install torchmetrics.",)


def test_the_printed_table_and_the_page_say_how_to_get_the_weights_once(tmp_path):
    said = "LPIPS not measured: weights missing, refsr-bench weights fetch alexnet, or name a local copy with"
    runs = [without_weights(name) for name in "ab"]
    text = means_table(runs)
    assert "LPIPS" in text.splitlines()[0] and text.count("not measured  ") == 2 and text.count(said) == 1
    for run in runs:
        store(tmp_path / "in" / run.run.method.name, run)
    report = build(tmp_path / "in", tmp_path / "out", drawn=False)
    assert Page(report.pages[0].read_text(encoding="utf-8")).words().count(said) == 1
    assert "lpips" in (tmp_path / "out" / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[0]
    store(tmp_path / "in" / "c", make("c"))
    words = Page(build(tmp_path / "in", tmp_path / "out", drawn=False).pages[0].read_text(encoding="utf-8")).words()
    assert "LPIPS not measured in 2 of 3 runs: weights missing" in words
    assert "not measured" not in means_table([make("c")])
