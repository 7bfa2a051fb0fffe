"""The tidy frame: a row for every image and metric, with the facts of its run beside it."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runs import make, store, store_several

import refsr_bench
from leaderboard.frame import COLUMNS, by_image, frame
from leaderboard.reading.load import LoadedRun
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Variation


def test_there_is_a_row_for_every_image_and_metric():
    run = make("a", (24.0, math.inf), (0.7, 0.8), title="A", weights="a.pth", year=2019, device="cpu")
    table = frame([LoadedRun("x/result.json", run)])
    assert tuple(table.columns) == COLUMNS
    assert table[["pair", "metric", "value", "status"]].values.tolist()[:2] == [
        ["p0", "psnr_y", 24.0, "measured"], ["p0", "ssim_y", 0.7, "measured"]
    ]  # fmt: skip
    assert len(table) == 2 * len(run.run.metrics) and table.value[3] == math.inf
    assert set(table[table.metric == "lpips"].status) == {"missing"}  # the run names it, no image has it
    first = table.iloc[0]
    assert first[["path", "kind", "method", "title", "weights_kind", "dataset", "protocol"]].tolist() == [
        "x/result.json", "benchmark", "a", "A", "authors", "cufed5", "c2"
    ]  # fmt: skip
    assert (first.year, first.parameters, first.seconds, first.device) == (2019, 1_234_567, 0.5, "cpu")
    assert (first.weights_sha256, first.protocol_digest) == (run.run.method.weights.sha256, run.run.protocol.digest)
    assert table[["base", "level", "code", "error"]].isna().all(axis=None)


def test_failed_images_have_no_value_but_a_reason():
    table = frame([LoadedRun("x", make("a", failures={1: "CUDA out of memory"}))])
    failed = table[table.pair == "p1"]
    assert set(failed.status) == {"failed"} and set(failed.error) == {"CUDA out of memory"} and len(failed) == 3
    assert failed.value.isna().all() and failed.seconds.isna().all()


def test_runs_of_other_metrics_and_sizes_stay_apart():
    long = make("long", [20.0 + n for n in range(7)])
    short = make("short", [30.0, 31.0], kind="robustness", variation=Variation("cufed5", "blur", "2"))
    table = frame([LoadedRun("b", short), LoadedRun("a", long)])
    psnr = table[table.metric == "psnr_y"]
    assert psnr.groupby("path").value.apply(list).to_dict() == {
        "a": [20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0], "b": [30.0, 31.0]
    }  # fmt: skip
    assert psnr[psnr.path == "b"][["base", "variation", "level"]].values.tolist() == [["cufed5", "blur", "2"]] * 2


def test_a_matrix_has_the_images_in_the_order_of_the_longest_run():
    """The number of an image decides what is drawn at random: other runs beside must not change it."""
    some, whole, other = make("some", limit=1), make("whole"), make("other", [1.0] * 5)
    table = frame([LoadedRun("a", some), LoadedRun("b", whole), LoadedRun("c", other)])
    psnr = table[(table.metric == "psnr_y") & (table.status == "measured")][::-1]  # rows in another order
    matrix = by_image(psnr, ["b", "a"])
    assert matrix.columns.tolist() == ["b", "a"] and matrix.index.tolist() == ["p2", "p1", "p0"]
    assert matrix.b.tolist() == [26.0, 25.0, 24.0] and matrix.a.isna().tolist() == [True, True, False]
    assert by_image(psnr, ["a"]).index.tolist() == ["p0"]  # images of no one asked for are left out


def test_no_run_makes_a_frame_of_the_same_columns():
    assert frame([]).dtypes.equals(frame([LoadedRun("x", make("a"))]).dtypes)


def test_the_public_entry_reads_a_folder_and_says_what_it_left_out(tmp_path):
    with pytest.raises(BenchError, match=r"no result\.json below"):
        refsr_bench.load_results(tmp_path)
    store_several(tmp_path)
    store(tmp_path / "r", make("a", kind="robustness"))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    table = refsr_bench.load_results(str(tmp_path))
    assert table.path.nunique() == 10 and set(table.kind) == {"benchmark", "robustness"}
    assert [path for path, _ in table.attrs["left_out"]] == ["broken/result.json"]
    means = table[(table.kind == "benchmark") & (table.metric == "psnr_y")].groupby(["dataset", "method"]).value.mean()
    assert means["cufed5", "c2matching-gan"] == 27.0


def test_the_documented_lines_run_and_every_column_is_documented(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "run-files.md").read_text(encoding="utf-8")
    section = page.partition("## The numbers as one table")[2].partition("\n## ")[0]
    store_several(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    found = {}
    for block in re.findall(r"```python\n(.*?)```", section, flags=re.S):
        exec(compile(block, "run-files.md", "exec"), found)
    assert found["means"].loc["c2matching-gan", ("cufed5", "psnr_y")] == 27.0
    cells = "".join(line.split("|")[1] for line in section.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", cells)) == set(COLUMNS)


def test_pandas_is_loaded_only_when_results_are():
    code = "import sys, refsr_bench; 'load_results' in dir(refsr_bench) or 1 / 0; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
