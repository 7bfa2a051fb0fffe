"""Times stand beside what they were taken on, and what nobody measured is empty, never 0."""

import csv
import io
import json

import pytest
from msgspec import structs
from runs import make, store
from site_pages import Page

from leaderboard.exports.export import export, whole
from leaderboard.figures import cost
from leaderboard.frame import frame
from leaderboard.pages.site import build
from leaderboard.reading.load import LoadedRun
from leaderboard.tables.records import to_csv
from leaderboard.tables.tables import build_tables
from leaderboard.tables.terminal import means_table
from leaderboard.tables.timing import timing_of
from leaderboard.text import identity_text
from refsr_bench.core.results import seal
from refsr_bench.core.schema import Code, Machine

XEON, RYZEN = Machine("cpu", {}, "Xeon", 2), Machine("cpu", {}, "Ryzen", 16)


def on(name, machine, load=None, more=(), **facts):
    """A run on a machine, with the cores that others kept busy."""
    result = make(name, **facts)
    images = {
        image.id: structs.replace(image, cost=image.cost | ({} if load is None else {"load": load}))
        for image in result.images
    }
    return seal(structs.replace(result.run, machine=machine, more_machines=more), images)


def loaded(*results):
    return [LoadedRun(f"{n}/result.json", result) for n, result in enumerate(results)]


def texts(table):
    return {form: export(table, whole(table, ["seconds"]), form) for form in ("csv", "json", "latex", "markdown")}


def test_a_scored_folder_has_no_speed():
    """Even if its records have times, as those of older versions did: they are of reading files."""
    scored = make("mine", origin="folder", timing="not measurable")
    (table,) = build_tables(loaded(scored))
    found = texts(table)
    (row,) = csv.DictReader(io.StringIO(found["csv"]))
    assert row["CUFED5 Time"] == row["CUFED5 machine"] == row["CUFED5 load"] == ""
    (metric,) = json.loads(found["json"])["rows"][0]["results"][0]["metrics"]
    assert metric == {"metric": "seconds", "value": None, "rank": None}
    assert "mine & -" in found["latex"] and "| mine | - |" in found["markdown"]
    (line,) = csv.DictReader(io.StringIO(to_csv((table,))))
    assert line["seconds_per_image"] == line["machine"] == ""
    assert means_table([scored]).splitlines()[-1].endswith("-") and "Time per image" not in means_table([scored])
    assert frame(loaded(scored)).seconds.isna().all()
    (point,) = cost.measured(loaded(scored))
    assert point.record["seconds_per_image"] is None and not any(axis.timed for axis in point.costs)


def test_times_of_different_machines_never_stand_together_without_saying_so(tmp_path):
    runs = [on("a", XEON), on("b", RYZEN), on("c", XEON, more=(RYZEN,))]
    legend = (
        "Time per image: a: cpu, Xeon, 2 threads; b: cpu, Ryzen, 16 threads; c: cpu, Xeon, 2 threads and cpu, Ryzen, "
        "16 threads; times of different machines do not compare."
    )
    (table,) = build_tables(loaded(*runs))
    assert [row.cells[0].scores["seconds"].note for row in table.rows] == ["a", "b", "c"] and table.times == legend
    found = texts(table)
    machines = [row["CUFED5 machine"] for row in csv.DictReader(io.StringIO(found["csv"]))]
    assert machines[:2] == ["cpu, Xeon, 2 threads", "cpu, Ryzen, 16 threads"] and "and" in machines[2]
    stated = [row["results"][0]["metrics"][0]["machine"] for row in json.loads(found["json"])["rows"]]
    assert stated == machines
    assert r"1.50\textsuperscript{b}" in found["latex"] and legend in found["latex"]
    assert "1.50<sup>b</sup>" in found["markdown"]
    printed = means_table(runs)
    assert "1.50 b" in printed and printed.endswith(legend)
    for n, run in enumerate(runs):
        store(tmp_path / "in" / str(n), run)
    page = build(tmp_path / "in", tmp_path / "out", drawn=False).pages[0].read_text(encoding="utf-8")
    assert f'<p data-metric="seconds" hidden>{legend}</p>' in page  # appears with the times
    assert legend not in Page(page).words() and "1.50<sup>b</sup>" in page
    assert "1.5 s per image on cpu, Ryzen, 16 threads; load of others not recorded" in page
    assert [axis.name for point in cost.measured(loaded(*runs)) for axis in point.costs if axis.timed] == [
        "seconds on cpu, Xeon, 2 threads", "seconds on cpu, Ryzen, 16 threads"
    ]  # fmt: skip


@pytest.mark.parametrize(("device", "load", "disturbed"), [("cpu", 0.6, True), ("cpu", 0.4, False), ("cuda", 3, False)])
def test_a_time_that_others_disturbed_is_marked(device, load, disturbed):
    result = on("a", Machine(device, {}, "Xeon", 2), load)
    timing = timing_of(result)
    assert (timing.disturbed, timing.load) == (disturbed, pytest.approx(load))
    assert f"load of others {load:.2f} cores" in timing.about
    assert ("1.50 *" in means_table([result])) == ("more than 0.5 cores busy" in means_table([result])) == disturbed
    (table,) = build_tables(loaded(result))
    assert table.rows[0].cells[0].scores["seconds"].note == ("*" if disturbed else "")
    assert frame(loaded(result)).load.tolist()[0] == pytest.approx(load)


def test_unknown_parameters_are_not_none_and_not_zero():
    def with_parameters(result, count):
        method = structs.replace(result.run.method, parameters=count)
        return structs.replace(result, run=structs.replace(result.run, method=method))

    counts = {"a": 9, "b": 8, "c": 7, "d": 0, "e": None}
    runs = loaded(*(with_parameters(make(name), count) for name, count in counts.items()))
    tables = build_tables(runs)
    (figure,) = cost.figures(tables)
    sizes = {row["method"]: row["parameters"] for row in csv.DictReader(io.StringIO(figure.csv))}
    assert sizes == {"a": "9", "b": "8", "c": "7", "d": "0", "e": ""}
    assert "Dashed: without parameters (d)." in figure.caption and "which nobody counted: e." in figure.caption
    rows = csv.DictReader(io.StringIO(export(tables[0], whole(tables[0]), "csv")))
    assert {row["Method"]: row["Parameters"] for row in rows} == sizes


def test_what_a_number_depends_on_is_listed():
    run = make("a").run
    text = identity_text(run)
    assert "(version 1), over kind, origin, method, weights, code, arithmetic, dataset, protocol, metrics" in text
    other = structs.replace(run, code=Code("theirs", "1", "0" * 64))
    assert identity_text(other).partition(" ")[0] != text.partition(" ")[0]
