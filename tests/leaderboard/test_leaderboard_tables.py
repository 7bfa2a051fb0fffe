"""Results share a table, a column and a ranking by rules, and in a fixed order."""

import csv
import io
import math
import random

import pytest
from msgspec import structs
from runs import make

from leaderboard.reading.load import LoadedRun, method_key
from leaderboard.tables.records import CSV_COLUMNS, to_csv
from leaderboard.tables.tables import build_tables
from refsr_bench.core.results import seal


def tables(*results):
    return build_tables(LoadedRun(f"{i:02d}/result.json", result) for i, result in enumerate(results))


def marks(table, column=0):
    """{method: (PSNR text, PSNR mark, SSIM text, SSIM mark)} of one column."""
    rows = [row for group in table.groups for row in group.rows]
    return {
        row.method.name: (cell.psnr.text, cell.psnr.mark, cell.ssim.text, cell.ssim.mark)
        for row in rows
        if (cell := row.cells[column])
    }


def order(table):
    return [(group.name, [row.method.title for row in group.rows]) for group in table.groups]


def test_best_and_second_are_ranked_per_metric():
    (table,) = tables(make("a", [20, 21], [0.9, 0.9]), make("b", [30, 31], [0.7, 0.7]), make("c", [25, 26], [0.8, 0.8]))
    assert marks(table) == {
        "a": ("20.50", "", ".9000", "best"),
        "b": ("30.50", "best", ".7000", ""),
        "c": ("25.50", "second", ".8000", "second"),
    }


def test_numbers_that_print_alike_rank_alike_and_two_firsts_leave_no_second():
    (table,) = tables(make("a", [25.001]), make("b", [24.999]), make("c", [24.9]), make("d", [24.9]))
    assert [cell.psnr.mark for cell in table.cells] == ["best", "best", "", ""]
    assert [cell.psnr.rank for cell in table.cells] == [1, 1, 3, 3]
    (table,) = tables(make("a", [25.0]), make("b", [24.9]), make("c", [24.9]))
    assert [cell.psnr.mark for cell in table.cells] == ["best", "second", "second"]


def test_a_single_result_is_not_called_the_best():
    (table,) = tables(make("a"), make("b", dataset="sun80"))
    assert [cell.psnr.mark for cell in table.cells] == ["", ""]
    assert [cell.psnr.rank for cell in table.cells] == [1, 1]


def test_of_two_results_the_worse_is_not_called_second_best():
    (table,) = tables(make("a", [20, 20]), make("b", [25, 25]), make("partial", [30, 30], limit=1))
    assert [marks(table)[name][1] for name in ("a", "b", "partial")] == ["", "best", ""]
    (table,) = tables(make("a", [20]), make("b", [25]), make("c", [24]))
    assert [marks(table)[name][1] for name in "abc"] == ["", "best", "second"]


def test_identical_images_rank_first_as_infinity():
    (table,) = tables(make("a", [math.inf, 20]), make("b", [50, 50]), make("c", [40, 40]))
    assert marks(table)["a"][:2] == ("∞", "best")
    assert marks(table)["b"][:2] == ("50.00", "second")


@pytest.mark.parametrize(
    ("odd", "status"),
    [({"limit": 1}, "partial"), ({"failures": {1: "out of memory"}}, "failed")],
)
def test_partial_and_failed_runs_are_shown_and_never_ranked(odd, status):
    (table,) = tables(make("top", [90, 90, 90], **odd), make("a"), make("b", [20, 20, 20]), make("c", [10, 10, 10]))
    assert marks(table)["top"][:2] == ("90.00", "")
    assert marks(table)["a"][1] == "best" and marks(table)["b"][1] == "second"
    cell = next(cell for cell in table.cells if cell.run.result.run.method.name == "top")
    assert (cell.status, cell.psnr.rank, cell.ssim.rank) == (status, None, None)
    assert (cell.measured, cell.total) == ((1, 3) if status == "partial" else (2, 3))


def test_a_run_that_measured_nothing_is_no_row():
    (table,) = tables(make("a", [1, 2], failures={0: "x", 1: "y"}), make("b", [1, 2]))
    assert list(marks(table)) == ["b"]
    assert tables(make("a", [1, 2], failures={0: "x", 1: "y"})) == ()


def test_seconds_are_the_mean_of_measured_images():
    (table,) = tables(make("a"))
    assert table.cells[0].seconds == pytest.approx(1.5)
    (table,) = tables(make("a", timing="not measurable"))  # they would be those of reading files
    assert table.cells[0].seconds is None and table.cells[0].scores["seconds"].text == "-"


def test_a_protocol_digest_is_a_table_of_its_own_plain_protocols_first():
    found = tables(make("a", protocol="c2+border=0"), make("b", protocol="srntt"), make("a"), make("b"))
    assert [len(table.cells) for table in found] == [2, 1, 1]
    assert [table.protocol.label for table in found] == ["c2", "srntt", "c2+border=0"]
    assert len({table.key for table in found}) == 3


def test_other_images_never_share_the_official_column():
    (table,) = tables(
        make("a", [20, 20]),
        make("b", [30, 30], official=False, manifest="mine", notes=["2 pairs, not 80."]),
        make("c", [40, 40], official=False),
    )
    assert [column.dataset.official for column in table.columns] == [True, False, False]
    assert [column.note for column in table.columns] == [None, 1, 2]
    assert all(sum(cell is not None for cell in row.cells) == 1 for group in table.groups for row in group.rows)
    assert not any(cell.psnr.mark for cell in table.cells)


def test_two_official_editions_of_a_set_are_told_apart():
    (table,) = tables(make("a"), make("a", manifest="second edition"))
    assert [column.note for column in table.columns] == [1, 2]


def test_columns_come_in_the_order_of_table_1_then_by_title():
    (table,) = tables(*(make("a", dataset=name) for name in ("wrsr", "zoo", "sun80", "sample", "manga109", "cufed5")))
    names = [column.dataset.name for column in table.columns]
    assert names == ["cufed5", "sun80", "manga109", "wrsr", "sample", "zoo"]


def test_rows_by_group_and_year_with_the_two_trainings_of_a_method_adjacent():
    results = [
        make("mine", group="Own", year=2020),
        make("c2matching.rec", title="C²-Matching-rec", year=2021, paper="Jiang et al."),
        make("c2matching.gan", title="C²-Matching", gan=True, year=2021, paper="Jiang et al."),
        make("srntt-rec", title="SRNTT-rec", year=2020, paper="Zhang et al."),  # described later than the other
        make("amsa", title="AMSA", year=2020, paper="Xia et al."),
        make("srntt", title="SRNTT", gan=True, year=2019, paper="Zhang et al."),
        make("edsr", title="EDSR", group="SISR", year=2017),
        make("bicubic", title="Bicubic", group="SISR", year=1981),
    ]
    expected = [
        ("SISR", ["Bicubic", "EDSR"]),
        ("Ref-SR", ["SRNTT", "SRNTT-rec", "AMSA", "C²-Matching", "C²-Matching-rec"]),
        ("Own", ["mine"]),
    ]
    for seed in range(5):
        random.Random(seed).shuffle(results)
        (table,) = tables(*results)
        assert order(table) == expected


def test_other_weights_are_another_row_and_one_file_under_two_names_is_not():
    (table,) = tables(
        make("a", weights="x.pth", sha256="1" * 64),
        make("a", weights="y.pth"),
        make("a", weights="renamed.pth", sha256="1" * 64, dataset="sun80", started="2024"),
    )
    rows = table.groups[0].rows
    assert [(row.weights, [cell is not None for cell in row.cells]) for row in rows] == [
        ("x.pth", [True, True]),
        ("y.pth", [True, False]),
    ]
    assert tables(make("a"))[0].groups[0].rows[0].weights == "no weights"


def test_namesake_weights_show_their_digest():
    (table,) = tables(make("a", weights="x.pth", sha256="1" * 64), make("a", weights="x.pth", sha256="2" * 64))
    assert [row.weights for row in table.groups[0].rows] == ["x.pth (111111111)", "x.pth (222222222)"]


def test_a_method_is_described_as_its_latest_run_does():
    (table,) = tables(
        make("a", title="New", started="2025-06-01"), make("a", title="Old", dataset="sun80", started="2025-01-01")
    )
    assert order(table) == [("Ref-SR", ["New"])]


def test_csv_has_every_run_unrounded_and_no_formulas():
    found = tables(make("a", [20, 21.5]), make("b", [30, 31], title="=1+1", limit=1), make("a", protocol="srntt"))
    rows = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert list(rows[0]) == [*CSV_COLUMNS, "psnr_y", "ssim_y"]
    assert [(row["protocol"], row["method"], row["status"]) for row in rows] == [
        ("c2", "a", "complete"),
        ("c2", "b", "partial"),
        ("srntt", "a", "complete"),
    ]
    assert float(rows[0]["psnr_y"]) == 20.75 and rows[0]["psnr_rank"] == "1"
    assert rows[1]["psnr_rank"] == "" and rows[1]["title"] == "'=1+1"


def test_a_metric_some_images_lack_is_not_ranked_the_other_is():
    result = make("a", [90, 90])
    bare = structs.replace(result.images[1], metrics={"ssim_y": 0.7})
    gap = seal(result.run, {"p0": result.images[0], "p1": bare})
    (table,) = tables(gap, make("b", [20, 20], [0.6]), make("c", [21, 21], [0.5]))
    assert gap.complete and marks(table)["a"] == ("90.00", "", ".7000", "best")


def with_lpips(result, values):
    images = {
        image.id: structs.replace(image, metrics={**image.metrics, "lpips": value})
        for image, value in zip(result.images, values, strict=True)
    }
    return seal(result.run, images)


def test_every_metric_is_ranked_in_its_own_direction():
    (table,) = tables(
        with_lpips(make("a", [20, 20]), [0.1, 0.3]),
        with_lpips(make("b", [30, 30]), [0.4, 0.4]),
        make("c", [25, 25]),
        with_lpips(make("e", [10, 10]), [0.5, 0.5]),
        with_lpips(make("d", [90, 90, 90], limit=2), [0.0, 0.0]),
    )
    assert [metric.name for metric in table.metrics] == ["psnr_y", "ssim_y", "lpips", "seconds"]
    scores = {cell.run.result.run.method.name: cell.scores["lpips"] for cell in table.cells}
    assert {name: (score.text, score.rank, score.mark) for name, score in scores.items()} == {
        "a": (".2000", 1, "best"),
        "b": (".4000", 2, "second"),
        "c": ("-", None, ""),
        "e": (".5000", 3, ""),
        "d": (".0000", None, ""),
    }
    assert all(cell.scores["psnr_y"] == cell.psnr and cell.scores["ssim_y"] == cell.ssim for cell in table.cells)


def test_seconds_are_shown_and_never_ranked():
    (table,) = tables(make("a"), make("b", [1, 2, 3]))
    assert [cell.scores["seconds"].text for cell in table.cells] == ["1.50", "1.50"]
    assert not any(cell.scores["seconds"].rank for cell in table.cells)


@pytest.mark.parametrize("origin", ["folder", "command"])
def test_what_outside_code_made_is_a_group_of_its_own(origin):
    (table,) = tables(make("mine", origin=origin), make("a", group="SISR"), make("b"))
    assert order(table) == [("SISR", ["a"]), ("Ref-SR", ["b"]), ("Own", ["mine"])]


def test_reference_gain_is_measured_minus_unrelated_under_one_protocol():
    result, other = make("a", [30, 31, 32]), make("b", [25, 25, 25])
    place = (result.run.protocol.digest, "cufed5", *method_key(result.run.method))
    runs = [LoadedRun("a/result.json", result), LoadedRun("b/result.json", other)]
    (table,) = build_tables(runs, {place: {"p0": 28.0, "p1": 29.5, "p2": 30.0}})
    assert [metric.name for metric in table.metrics] == ["psnr_y", "ssim_y", "lpips", "reference_gain", "seconds"]
    found = {cell.run.result.run.method.name: cell.scores["reference_gain"] for cell in table.cells}
    assert found["a"].value == pytest.approx((2 + 1.5 + 2) / 3) and found["a"].text == "1.83" and found["a"].rank == 1
    assert found["b"].text == "-" and found["b"].rank is None
    (partly,) = build_tables(runs, {place: {"p0": 28.0}})
    cell = next(cell for cell in partly.cells if cell.run.result.run.method.name == "a")
    assert cell.scores["reference_gain"].text == "2.00" and cell.scores["reference_gain"].rank is None
    (without,) = build_tables(runs, {("0" * 64, *place[1:]): {"p0": 1.0}})
    assert "reference_gain" not in [metric.name for metric in without.metrics]


def test_a_metric_called_like_ours_does_no_harm():
    result = make("a")
    odd = structs.replace(result.run.metrics[2], name="seconds")
    run = structs.replace(result.run, metrics=(*result.run.metrics[:2], odd))
    (table,) = tables(seal(run, {image.id: image for image in result.images}))
    assert [metric.name for metric in table.metrics] == ["psnr_y", "ssim_y", "seconds"]


def test_no_name_and_no_label_decides_where_a_row_or_a_table_stands():
    """A name that ends in -rec is a name; a label that looks plain is one if the protocol has no overrides."""
    (table,) = tables(
        make("b-rec", gan=True, paper="P"), make("b-gan", paper="P"), make("a-gan", year=2022), make("a-rec", year=2020)
    )
    assert order(table) == [("Ref-SR", ["a-rec", "b-rec", "b-gan", "a-gan"])]
    plain, changed = make("a", protocol="c2"), make("a", protocol="srntt")
    odd = structs.replace(changed.run.protocol, overrides=("border",))
    found = tables(plain, structs.replace(changed, run=structs.replace(changed.run, protocol=odd)), *(
        make(name, protocol=odd.label) for name in "bc"
    ))  # fmt: skip
    assert [table.protocol.label for table in found] == ["c2", "srntt"]  # although srntt has more runs
