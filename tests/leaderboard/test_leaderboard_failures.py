"""Runs that failed: what is said about them, and what they do not take part in."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from runs import make, store
from site_pages import Page

from leaderboard.frame import frame
from leaderboard.pages.site import build
from leaderboard.reading.failures import in_words, reasons, shortfall
from leaderboard.reading.load import read_folder
from leaderboard.statistics.contests import contests
from leaderboard.tables.tables import build_tables
from leaderboard.tables.terminal import means_table
from refsr_bench.cli import main


def words_of(folder: Path, out: Path) -> str:
    return Page(build(folder, out, drawn=False).pages[0].read_text(encoding="utf-8")).words()


def test_a_run_that_failed_on_every_pair_is_listed_with_its_reasons_and_is_no_row(tmp_path):
    why = {0: "CUDA out of memory", 1: "CUDA out of memory", 2: "No SR image was found for pair 'p2'."}
    store(tmp_path / "in" / "a", make("a"))
    store(tmp_path / "in" / "lost", make("lost", title="Lost", failures=why))
    words = words_of(tmp_path / "in", tmp_path / "out")
    assert "Failed runs Nothing was measured in this run" in words
    assert "Lost (weights none) on CUFED5, protocol c2: 0 of 3 images; 3 failed: CUDA out of memory (2 images)" in words
    (table,) = build_tables(read_folder(tmp_path / "in").benchmarks())
    assert [row.title for row in table.rows] == ["a"]
    assert "lost" not in (tmp_path / "out" / "leaderboard.csv").read_text(encoding="utf-8")


def test_a_failed_run_changes_no_p_value(tmp_path):
    psnr = [20 + 0.1 * n for n in range(12)]
    runs = [make("a", psnr), make("b", [value + 0.3 for value in psnr]), make("c", [value + 0.2 for value in psnr])]
    for n, run in enumerate(runs):
        store(tmp_path / str(n), run)

    def found():
        results = read_folder(tmp_path)
        return contests(frame(results.runs), build_tables(results.benchmarks()))

    before = found()
    store(tmp_path / "lost", make("lost", psnr, failures=dict.fromkeys(range(12), "out of memory")))
    assert found() == before and before[0].family == 3


def test_the_page_says_why_a_row_is_partial(tmp_path):
    store(tmp_path / "in" / "a", make("a", title="Half", limit=1))
    store(tmp_path / "in" / "b", make("b", title="Broken", failures={2: "disk full"}))
    words = words_of(tmp_path / "in", tmp_path / "out")
    assert "Why 2 results are incomplete" in words
    assert "Half on CUFED5: 1 of 3 images; 2 left out" in words
    assert "Broken on CUFED5: 2 of 3 images; 1 failed: disk full (1 image)" in words


def test_reasons_that_differ_in_the_name_of_their_pair_alone_are_one():
    failed = make("a", failures={n: f"No SR image was found for pair 'p{n}'." for n in range(3)}).failed
    assert reasons(failed) == [("No SR image was found for pair '...'.", 3)]
    many = make("a", [1.0] * 5, failures={n: f"reason {n}" for n in range(5)})
    assert in_words(many.failed).endswith("and 2 other reasons") and shortfall(make("a")) == ""
    assert len(reasons(make("a", failures={0: "x" * 9999}).failed)[0][0]) == 200


def test_when_every_run_failed_each_command_says_so(tmp_path):
    for name in ("a", "b"):
        store(tmp_path / "in" / name, make(name, failures=dict.fromkeys(range(3), "out of memory")))
    assert "Failed runs" in words_of(tmp_path / "in", tmp_path / "out")
    for command in (["leaderboard", "export"], ["compare", "a", "b"]):
        done = CliRunner().invoke(main, [*command, "--results", str(tmp_path / "in")])
        assert done.exit_code in (1, 2) and "failed" in done.output and "out of memory" in done.output


@pytest.mark.parametrize("others", [(), ("b",)])
def test_the_printed_table_has_no_row_of_a_run_that_failed_on_every_pair(others):
    lost = make("lost", title="Lost", failures=dict.fromkeys(range(3), "x"))
    text = means_table([lost, *map(make, others)])
    assert "Lost" not in text and ("0/3" not in text) and (("b" in text) if others else "every pair failed" in text)
