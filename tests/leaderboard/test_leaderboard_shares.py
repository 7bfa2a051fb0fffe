"""The share of the possible gain: its ceiling and floor, its intervals, its column and its figure."""

import csv
import io
import math
import re

import numpy as np
import pytest
from figure_runs import known, robust
from msgspec import structs
from runs import store

from leaderboard.figures import shares as drawing
from leaderboard.figures.style import look
from leaderboard.pages.figures import gather
from leaderboard.reading.load import LoadedRun, method_key, read_folder
from leaderboard.statistics.estimates import Estimate, interval
from leaderboard.statistics.robustness import Row, columns_of, rows_by_series, studies
from leaderboard.statistics.shares import SHARE, share, shares
from leaderboard.tables.sweeps import remarks, tables
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import Code, Result, Weights

OWN = Weights("own", "own.pth", digest("own"))
CODE = Code("refsr-bench c2", "1", None)
LEVELS = ("rotation small", "rotation large", "rotation 45", "rotation 180")


def variant(name: str, level: str, psnr, aee=None, weights: Weights = OWN, code: Code = CODE, **options) -> Result:
    if "views" in options:
        options["views_version"] = "1"
    result = known(robust(name, level, psnr, aee), weights=weights, options=options, title=name.upper())
    return structs.replace(result, run=structs.replace(result.run, code=code))


def study_runs() -> list[Result]:
    """A plain method, two variants and the ceiling, on three images that could gain 2, 4 and 6 dB."""
    found = [
        variant("c2", "unrelated", (20, 20, 20)),
        variant("c2-views-auto", "unrelated", (30, 30, 30), views="auto"),
    ]
    for level in LEVELS:
        found += [
            variant("c2", level, (20, 21, 22), (9, 9, 9)),
            variant("c2-sub-cell", level, (21, 22, 23), (4, 4, 4), matching="sub-cell"),
            variant("c2-views-auto", level, (22, 24, 25.4), (1, 1, 1), views="auto", matching="sub-cell"),
            variant("c2-views-truth", level, (22, 24, 26), (0, 0, 0), views="truth", matching="sub-cell"),
            variant("c2-views-truth-exact", level, (21, 23, 25), (0, 0, 0), views="truth"),
        ]
    return found


def placed(*results: Result) -> dict:
    runs = {}
    for result in results:
        runs.setdefault(method_key(result.run.method), {})[result.run.dataset.variation.level] = result
    return runs


def of(found: dict, level: str = "45") -> dict[str, Estimate]:
    return {name: one.estimate for ((name, _), at), one in found.items() if at == level}


def test_the_floor_is_plain_and_the_ceiling_the_best_with_the_truth():
    found = shares(placed(*study_runs()))
    means = {name: one.mean for name, one in of(found).items()}
    assert means == pytest.approx({"c2": 3 / 12, "c2-sub-cell": 6 / 12, "c2-views-auto": 11.4 / 12})
    own = found[("c2", OWN.key), "45"]
    assert (own.ceiling[0], own.floor[0]) == ("c2-views-truth", "c2")
    assert {level for _, level in found} == {"small", "large", "45", "180"}


def test_a_share_is_a_ratio_of_means_over_the_images_that_all_three_have():
    floor = {"a": 20.0, "b": 20.0, "c": 20.0, "only floor": 1.0}
    ceiling = {"a": 21.0, "b": 29.0, "c": math.inf}
    own = {"b": 29.0, "a": 20.0, "c": 25.0, "only own": 99.0}
    found = share(own, ceiling, floor)
    assert (found.mean, found.images) == (0.9, 2)  # the mean of the ratios 0 and 1 would be a half
    assert (found.low, found.high) == (0, 1)


def test_the_interval_is_a_bootstrap_over_images():
    rng = np.random.default_rng(3)
    possible = rng.uniform(1, 3, 40)
    gained = possible * rng.uniform(0.3, 0.9, 40)
    named = [{str(n): 20 + v for n, v in enumerate(values)} for values in (gained, possible, np.zeros(40))]
    found = share(*named)
    index = np.random.default_rng(0).integers(0, 40, (10_000, 40))
    ratios = gained[index].sum(1) / possible[index].sum(1)
    low, high = np.quantile(ratios, 0.025, method="lower"), np.quantile(ratios, 0.975, method="higher")
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high)) and low < found.mean < high
    # an equal possible gain everywhere leaves the bootstrap of the gain
    flat = share(named[0], dict.fromkeys(named[0], 22.0), named[2])
    assert (flat.low, flat.high) == pytest.approx([end / 2 for end in interval(list(gained))])


def test_where_little_can_be_gained_there_is_no_share():
    floor = {"a": 20.0, "b": 20.0}
    assert share({"a": 20.0, "b": 20.0}, {"a": 20.04, "b": 20.05}, floor) is None
    assert share({"a": 20.0, "b": 20.0}, {"a": 20.06, "b": 20.05}, floor).mean == 0
    assert share({}, {"a": 21.0}, floor) is None
    assert share({"a": 19.0}, {"a": 22.0}, floor).mean == -0.5 and math.isnan(share({"a": 19}, {"a": 22}, floor).low)
    wide = share({"a": 21.0, "b": 19.5}, {"a": 23.0, "b": 19.0}, floor)  # a draw of b alone can gain nothing
    assert wide.mean == 0.25 and wide.low == -math.inf and math.isfinite(wide.high)


def test_other_weights_code_and_options_are_other_families():
    runs = study_runs()
    plain = [variant("c2", level, (20, 21, 22), weights=other) for level in ("rotation 45", "unrelated")
             for other in [Weights("own", "other.pth", digest("other"))]]  # fmt: skip
    others = [
        variant("c3", "rotation 45", (20, 21, 22), code=Code("refsr-bench c3", "1", None)),
        variant("c3", "unrelated", (20, 20, 20), code=Code("refsr-bench c3", "1", None)),
        variant("c2-fast", "rotation 45", (20, 21, 22), command="fast"),
    ]
    found = of(shares(placed(*runs)))
    with_others = shares(placed(*runs, *plain, *others))
    assert {key[0] for key in with_others} == {(name, OWN.key) for name in found}


@pytest.mark.parametrize("left_out", ["unrelated", "truth"])
def test_no_share_without_a_floor_or_a_ceiling(left_out):
    kept = [
        run for run in study_runs()
        if run.run.dataset.variation.level != left_out and run.run.method.options.get("views") != left_out
    ]  # fmt: skip
    runs = placed(*kept)
    assert shares(runs) == {}
    rows = [row for own in rows_by_series(runs).values() for row in own]
    metrics = kept[0].run.metrics[:2]
    assert SHARE not in columns_of((), metrics, rows) and "share" not in tables(rows, metrics)
    assert "share" not in remarks(rows, "rotation")


def test_the_tables_have_a_column_of_shares():
    rows = [row for own in rows_by_series(placed(*study_runs())).values() for row in own]
    text = tables(rows, study_runs()[0].run.metrics[:2])
    head, *lines = text.partition("Restoration\n")[2].splitlines()
    assert re.search(r"PSNR-Y.*gain.*share.*SSIM", head)
    assert sum("0.50 [" in line for line in lines) == 4 and "share: of the gain" in remarks(rows, "rotation")


def test_the_site_shows_groups_and_sweep_in_one_figure(tmp_path):
    for n, result in enumerate(study_runs()):
        store(tmp_path / str(n), result)
    found = [figure for figure in gather(read_folder(tmp_path), ())[0] if "share" in figure.title]
    (figure,) = found
    rows = list(csv.DictReader(io.StringIO(figure.csv)))
    assert len(rows) == 12 and {row["method"] for row in rows} == {"c2", "c2-sub-cell", "c2-views-auto"}
    row = next(row for row in rows if row["method"] == "c2-sub-cell" and row["level"] == "180")
    assert float(row["share"]) == 0.5 and (float(row["floor"]), float(row["ceiling"])) == (20, 24)
    told = {run.path: run for run in read_folder(tmp_path).runs}
    assert told[row["ceiling_run_file"]].result.run.method.options["views"] == "truth"
    assert told[row["floor_run_file"]].result.run.dataset.variation.level == "unrelated"
    assert "C2-SUB-CELL" in figure.svg and "share of the possible gain" in figure.svg and "0.05 dB" in figure.caption
    assert "C2-SUB-CELL: 0.50 at small, 0.50 at 180" in figure.alt
    with look():
        wide, narrow = figure.draw(False), figure.draw(True)
    assert [axis.get_title(loc="left") for axis in wide.axes] == ["By group", "Over a sweep"]
    assert narrow.get_size_inches()[0] < wide.get_size_inches()[0]


def test_a_sweep_of_both_numbers_stands_side_by_side():
    rows = [
        Row("m", "M", "none", level, 3, 0, {SHARE.name: Estimate(mean, -math.inf, math.inf, 3)})
        for level, mean in (("90x2", 0.2), ("45x0.66", 0.4), ("0x1", 1.0))
    ]
    with look():
        (axis,) = drawing.draw(drawing.Plot(rows)).axes
    assert [text.get_text() for text in axis.get_xticklabels()] == ["0x1", "45x0.66", "90x2"]
    assert axis.lines[0].get_ydata() == pytest.approx([1.0, 0.4, 0.2])
    assert -0.5 <= axis.get_ylim()[0] < 0 < 1 < axis.get_ylim()[1] <= 1.5


def test_a_study_has_its_shares_by_series():
    runs = [LoadedRun(str(n), result) for n, result in enumerate(study_runs())]
    (study,) = studies(runs)
    own = [row for row in study.rows if row.method == "c2"]
    assert [row.level for row in own] == ["small", "large", "45", "180", "unrelated"]
    assert [SHARE.name in row.values for row in own] == [True] * 4 + [False]
    assert study.shares[("c2-sub-cell", OWN.key), "large"].estimate.mean == 0.5
