"""Run files of the program that wrote version 2 give the numbers, exports and comparisons that it gave.

``tests/historic/2``: results/, run files of bicubic, C2-Matching and a partial run on the sample, with those of
a robustness run; exports/, what that program printed and built of them.
"""

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from leaderboard.frame import load_results
from leaderboard.pages.site import build
from leaderboard.reading.load import read_folder
from leaderboard.statistics import robustness
from refsr_bench.cli import main
from refsr_bench.geometry.correspondences import MEASURES

ROOT = Path(__file__).parents[1] / "historic" / "2"
RESULTS, EXPORTS = ROOT / "results", ROOT / "exports"


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(main, [*arguments, "--results", str(RESULTS)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("form", ["csv", "json", "latex", "markdown"])
def test_exports_are_those_it_printed(form):
    shown = printed("leaderboard", "export", "--format", form)
    before = (EXPORTS / f"c2.{form}").read_text(encoding="utf-8")
    unmarked = re.sub(r"\\underline\{(.*?)\}|<ins>(.*?)</ins>", r"\1\2", before)
    assert shown == unmarked  # it called the worse of two methods second best


def test_a_comparison_is_that_it_printed():
    shown = printed("compare", "bicubic", "c2matching").replace("─", "-")
    assert shown == (EXPORTS / "compare.txt").read_text(encoding="utf-8")


def test_the_site_has_the_numbers_that_it_built(tmp_path):
    build(RESULTS, tmp_path, images="none", drawn=False)
    shown, before = (folder / "statistics.csv" for folder in (tmp_path, EXPORTS))
    assert shown.read_text(encoding="utf-8") == before.read_text(encoding="utf-8")
    shown, before = (list(csv.DictReader((folder / "leaderboard.csv").open())) for folder in (tmp_path, EXPORTS))
    since = {"machine": "cpu", "load": ""}  # columns that it did not have
    assert [{name: line[name] for name in line if name not in since} for line in shown] == before
    assert all(line | since == line for line in shown)


def test_robustness_has_the_levels_and_numbers_that_it_wrote():
    """Version 2 said what was changed, and how far, by the name of the data set alone."""
    (study,) = robustness.studies(read_folder(RESULTS).of_kind("robustness"))
    assert (study.dataset, study.title, study.change) == ("sample", "Sample (scikit-image photographs)", "rotation")
    run = next(iter(study.runs.values()))["identity"].result.run
    columns = robustness.columns_of(MEASURES, [metric for metric in run.metrics if metric not in MEASURES])
    text = robustness.to_csv(study.rows, columns, study.change, study.dataset)
    assert text == (EXPORTS / "rotation.csv").read_text(encoding="utf-8")


def test_the_frame_says_unknown_where_version_2_was_silent():
    table = load_results(RESULTS)
    assert table.path.nunique() == 12 and table.attrs["left_out"] == []
    assert set(table.origin) == {"unknown"} and set(table.leak) == {"unknown"} and table.code.isna().all()
    assert set(table[table.kind == "robustness"].level) == {"identity", "small", "medium", "large", "unrelated"}
    kinds = table.drop_duplicates("method").set_index("method").weights_kind.to_dict()
    assert kinds["bicubic"] == "none" and kinds["ttsr-rec"] == "synthetic"
