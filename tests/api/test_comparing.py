"""``compare`` and ``robustness`` give what their commands give."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import refsr_bench
from refsr_bench.cli import main
from refsr_bench.core.errors import Misuse


@pytest.fixture
def results(photo) -> list[refsr_bench.Result]:
    pairs = [refsr_bench.pair(photo(40, 44, n), id=f"photo {n}") for n in range(4)]

    def nearest(lr: np.ndarray, refs: list[np.ndarray], scale: int) -> np.ndarray:
        return lr.repeat(scale, 0).repeat(scale, 1)

    return [refsr_bench.evaluate(method, pairs, refs="none") for method in ("bicubic", nearest)]


def test_two_results_are_compared(results) -> None:
    found = refsr_bench.compare(*results)
    (row,) = found.frame.to_dict("records")
    assert {row["method_a"], row["method_b"]} == {"bicubic", "nearest"} and row["images"] == 4
    means = {result.run.method.name: result.means["psnr_y"] for result in results}
    assert row["difference"] == pytest.approx(means[row["method_a"]] - means[row["method_b"]])
    assert len(found.sentences) == 1 and found.sentences[0] in repr(found)


def test_it_says_what_the_command_says(results, tmp_path: Path) -> None:
    for result in results:
        result.save(tmp_path)
    arguments = ["compare", "bicubic", "nearest", "--results", str(tmp_path)]
    text, document = (CliRunner().invoke(main, [*arguments, *more]) for more in ((), ("--json",)))
    found = refsr_bench.compare("bicubic", "nearest", results=tmp_path)
    assert text.output.strip() == repr(found).strip()
    told = json.loads(document.output)["comparisons"][0]["pairs"][0]["difference"]
    assert told == found.frame.difference.item()


def test_one_run_alone_is_misuse(results) -> None:
    with pytest.raises(Misuse, match="two methods or more"):
        refsr_bench.compare(results[0])
    with pytest.raises(Misuse, match="same run"):
        refsr_bench.compare(results[0], results[0])
    with pytest.raises(Misuse, match="int is no result"):
        refsr_bench.compare(results[0], 3)


def test_robustness_is_a_table_and_a_frame(photo) -> None:
    pairs = [refsr_bench.pair(photo(64, 64, n), photo(64, 64, n + 1), id=f"photo {n}") for n in range(2)]
    sweep = refsr_bench.robustness("rotation", pairs, methods=["bicubic"], matchers=["sift"], levels="0,30")
    table = sweep.table()
    sift = next(title for title, _ in table.index if title.startswith("SIFT"))
    assert set(table.index.get_level_values("level")) == {"0", "30", "unrelated"}
    assert table.loc[("Bicubic", "0"), "gain"] == 0  # it looks at no reference
    assert table.loc[(sift, "0"), "aee"] < table.loc[(sift, "30"), "aee"]
    assert set(sweep.frame.level) == {"0", "30", "unrelated"} and "Matching" in repr(sweep)
    assert {path.name for path in sweep.files} >= {"table.csv"} and all(path.is_file() for path in sweep.files)
