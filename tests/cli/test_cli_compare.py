"""refsr-bench compare: what it prints and writes, and what it refuses."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from msgspec import structs
from runs import make, store

from leaderboard.frame import frame
from leaderboard.reading.load import read_folder
from leaderboard.statistics.contests import contests
from leaderboard.statistics.words import sentence
from leaderboard.tables.tables import build_tables
from refsr_bench.cli import main
from refsr_bench.core.schema import Weights

SYNTHETIC = Weights("synthetic", "synthetic", None)


@pytest.fixture
def results(tmp_path) -> Path:
    """Three methods on 30 images of one set, two of them on 12 of another, and one alone under another protocol."""
    random = np.random.default_rng(1)
    base = random.normal(27, 3, 30)
    values = {name: base + gain + random.normal(0, 0.4, 30) for name, gain in (("alpha", 2), ("beta", 0), ("gamma", 0))}
    folder = tmp_path / "results"
    for name, numbers in values.items():
        store(folder / "c2" / "cufed5" / name, make(name, numbers, title=name.title()))
        if name != "gamma":
            store(folder / "c2" / "sun80" / name, make(name, numbers[:12], dataset="sun80", title=name.title()))
    store(folder / "ttsr" / "manga109" / "delta", make("delta", base, dataset="manga109", protocol="ttsr"))
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def test_two_methods_are_compared_wherever_both_were_measured(results):
    done = call("alpha", "gamma", "--results", results)
    assert done.exit_code == 0, done.output
    assert "CUFED5, PSNR-Y, protocol c2" in done.output and "SUN80" not in done.output
    runs = read_folder(results).benchmarks()[:3]
    (found,) = contests(frame(runs), build_tables(runs), ["psnr_y"])
    assert found.standings[0].name == "alpha"
    both = call("alpha", "beta", "--results", results)
    assert both.output.index("CUFED5, PSNR-Y") < both.output.index("SUN80, PSNR-Y")


def test_it_says_what_the_page_says(results):
    done = call("alpha", "beta", "gamma", "--results", results, "--dataset", "cufed5", "--protocol", "c2")
    runs = read_folder(results).benchmarks()
    (found,) = [c for c in contests(frame(runs), build_tables(runs), ["psnr_y"]) if c.dataset.name == "cufed5"]
    for pair in found.pairs:
        assert sentence(found, pair) in done.output
    assert "p Holm (3)" in done.output
    assert "are not distinguishable on CUFED5" in done.output and "Alpha is better than" in done.output


def test_corrections_count_all_methods_of_the_folder_but_not_beside_paths(results):
    assert "p Holm (3)" in call("alpha", "beta", "--results", results, "--dataset", "cufed5").output
    folder = results / "c2" / "cufed5"
    by_path = call(folder / "alpha", folder / "beta" / "result.json", "--results", results / "nowhere")
    assert by_path.exit_code == 0, by_path.output
    assert "p Holm (1)" in by_path.output and "after Holm" not in by_path.output
    mixed = call("alpha", folder / "beta", "--results", results, "--dataset", "cufed5")
    assert mixed.exit_code == 0 and "p Holm (3)" in mixed.output  # the file is the run of the folder, not one more


def test_the_images_with_the_largest_differences_are_named(results):
    runs = read_folder(results).benchmarks()
    records = {run.result.run.method.name: run.result for run in runs if "cufed5" in run.path}
    gaps = {
        a.id: a.metrics["psnr_y"] - b.metrics["psnr_y"]
        for a, b in zip(records["beta"].images, records["gamma"].images, strict=True)
    }
    output = call("beta", "gamma", "--results", results).output
    where = {name: output.index(f"where {name} is better than") for name in ("Beta", "Gamma")}
    most, least = max(gaps, key=gaps.get), min(gaps, key=gaps.get)
    assert where["Beta"] < output.index(f"  {most} ", where["Beta"])
    assert where["Gamma"] < output.index(f"  {least} ", where["Gamma"])
    assert f"  {most}  +{gaps[most]:.2f}  (" in output and f"  {least}  +{-gaps[least]:.2f}  (" in output


def test_files_hold_every_number_unrounded(results, tmp_path):
    done = call("alpha", "beta", "--results", results, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv")
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "a.json").read_text())["comparisons"]
    assert [entry["dataset"] for entry in written] == ["cufed5", "sun80"]
    pair = written[0]["pairs"][0]
    assert len(pair["differences"]) == 30
    assert pair["difference"] == pytest.approx(np.mean(list(pair["differences"].values())))
    assert pair["sentence"] in done.output and {m["name"] for m in written[0]["methods"]} == {"alpha", "beta"}
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["dataset"] for row in rows] == ["cufed5", "sun80"] and float(rows[0]["p"]) == pair["p"]


def test_other_metrics(results):
    done = call("alpha", "beta", "--results", results, "--metric", "ssim_y", "--dataset", "cufed5")
    assert "SSIM-Y" in done.output and "All images" not in done.output and done.exit_code == 0
    wrong = call("alpha", "beta", "--results", results, "--metric", "psnr")
    assert wrong.exit_code == 2 and "metric psnr. There are: psnr_y, ssim_y, lpips." in wrong.output
    assert call("alpha", "beta", "--results", results, "--metric", "seconds").exit_code == 2
    nobody = call("alpha", "beta", "--results", results, "--metric", "lpips")
    assert nobody.exit_code == 2 and "have the metric lpips" in nobody.output


def test_a_wrong_name_gets_the_near_ones(results):
    done = call("Alhpa", "beta", "--results", results)
    assert done.exit_code == 2 and "no run of a method called 'Alhpa'. Did you mean alpha?" in done.output
    done = call("quite-else", "beta", "--results", results)
    assert done.exit_code == 2 and "Known: alpha, beta, delta, gamma." in done.output
    assert call("ALPHA", "Beta", "--results", results).exit_code == 0  # by title


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("alpha",), "two methods or more"),
        (("alpha", "alpha"), "are the same run"),
        (("alpha", "beta", "--dataset", "cufed"), "There are: cufed5, sun80, manga109."),
        (("alpha", "beta", "--protocol", "c3"), "There are: c2, ttsr."),
        (("alpha", "./nowhere/result.json"), "no such run file"),
    ],
)
def test_misuse_is_said_and_exits_with_2(results, arguments, reason):
    done = call(*arguments, "--results", results)
    assert done.exit_code == 2 and reason in done.output


def test_no_results_folder_or_none_in_it(tmp_path):
    assert call("a", "b", "--results", tmp_path / "none").exit_code == 2
    done = call("a", "b", "--results", tmp_path)
    assert done.exit_code == 1 and "no result.json below" in done.output


def test_other_protocols_and_data_sets_are_refused_with_the_reason(results):
    done = call("alpha", "delta", "--results", results)
    assert done.exit_code == 2
    assert "not measured on the same data set under the same protocol" in done.output
    assert "alpha: cufed5 (manifest" in done.output and "delta: manga109" in done.output
    assert "The channel" not in done.output and "pixels left out on every side" in done.output.lower()
    narrow = call("alpha", "gamma", "--results", results, "--dataset", "sun80")
    assert narrow.exit_code == 2 and "Asked for: --dataset sun80." in narrow.output


def test_synthetic_weights_are_refused(results):
    made = make("fake", np.full(30, 20.0))
    made = structs.replace(
        made, run=structs.replace(made.run, method=structs.replace(made.run.method, weights=SYNTHETIC))
    )
    store(results / "c2" / "cufed5" / "fake", made)
    done = call("alpha", "fake", "--results", results)
    assert done.exit_code == 2 and "synthetic weights mean nothing" in done.output


def test_several_weights_of_one_method_need_paths(results):
    again = make("alpha", np.linspace(20, 30, 30), weights="others", title="Alpha")
    path = store(results / "c2" / "cufed5" / "alpha-2", again)
    done = call("alpha", "beta", "--results", results)
    assert done.exit_code == 2 and "2 sets of weights" in done.output and str(path) in done.output
    both = call(path, results / "c2" / "cufed5" / "alpha", "--results", results)
    assert both.exit_code == 0 and "Alpha (others)" in both.output and "Alpha (no weights)" in both.output


def test_a_broken_run_file_is_named(results):
    broken = results / "c2" / "cufed5" / "beta" / "result.json"
    broken.write_text("{")
    done = call("alpha", "gamma", "--results", results)
    assert done.exit_code == 0 and "left out: c2/cufed5/beta/result.json: not JSON" in done.stderr
    done = call("alpha", broken, "--results", results)
    assert done.exit_code == 1 and "not JSON" in done.output and str(broken.parent) in done.output


def test_a_file_that_cannot_be_written(results, tmp_path):
    done = call("alpha", "gamma", "--results", results, "--csv", tmp_path / "no" / "such" / "a.csv")
    assert done.exit_code == 1 and "cannot be written" in done.output
