"""Grids, the published number beside a result, and what the exports make of it."""

import csv
import io
import json

import pytest
from click.testing import CliRunner
from msgspec import structs
from runs import make, store

from leaderboard.exports.export import FORMATS, all_json, export, script, whole
from leaderboard.exports.latex_markdown import latex, markdown
from leaderboard.exports.sheet import View
from leaderboard.reading.load import LoadedRun
from leaderboard.reading.published import published
from leaderboard.tables.published import as_published, single_reports, with_published
from leaderboard.tables.tables import build_tables
from refsr_bench.cli import main
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Weights

NASTY = "=1+1 \\input{/etc/passwd} $x_1$ 50% & #{~^} <b>|`*_[a](javascript:x)\n@all www.evil.example"


def grids(*results):
    runs = [LoadedRun(f"{i:02d}/result.json", result) for i, result in enumerate(results)]
    return tuple(with_published(table, published()) for table in build_tables(runs))


def cells(found, title):
    (row,) = [row for row in found.rows if row.title == title]
    return row.cells


def rec(psnr=28.0, ssim=0.84, **kind):
    """A run of C²-Matching-rec."""
    return make("c2matching", [psnr] * 3, [ssim], **{"title": "C²-Matching-rec", "weights": "nano.pth", **kind})


# -- published beside measured -------------------------------------------------------------------------------------


def test_the_difference_names_weights_and_source():
    (found,) = grids(rec(28.0, 0.8425))
    (cell,) = cells(found, "C²-Matching-rec")
    assert cell.beside.texts[:2] == ("28.24", ".841") and cell.beside.values[:2] == (28.24, 0.841)
    assert cell.beside.gaps[:2] == ("−0.24", "+.001")
    assert cell.beside.caveat == "weights nano.pth"
    assert found.sources[cell.beside.source - 1].name == "C²-Matching (2021), Table 1"


def test_a_partial_run_says_so_beside_its_difference():
    (found,) = grids(rec(limit=1))
    (cell,) = cells(found, "C²-Matching-rec")
    assert cell.beside.caveat == "weights nano.pth, 1 of 3 images" and cell.remark == "1 of 3 images"


def test_synthetic_weights_have_no_difference():
    result = rec(weights="synthetic")
    method = structs.replace(result.run.method, weights=Weights("synthetic", "synthetic", None))
    (found,) = grids(structs.replace(result, run=structs.replace(result.run, method=method)))
    (cell,) = cells(found, "C²-Matching-rec")
    assert cell.beside.texts[0] == "28.24" and set(cell.beside.gaps) == {""}


@pytest.mark.parametrize(
    "kind",
    [{"official": False, "manifest": "mine"}, {"dataset": "sample"}, {"title": "Other"}],
    ids=["not official", "other data", "other method"],
)
def test_nothing_stands_beside_what_nobody_published(kind):
    result = rec(**kind) if "title" not in kind else make("other", [28.0], title="Other")
    (found,) = grids(result)
    assert found.rows[0].cells[0].beside is None and found.sources == ()


def test_other_scales_and_channels_have_nothing_beside_them():
    for change in ({"scale": 8}, {"channel": "rgb"}):
        result = rec()
        fields = {**result.run.protocol.fields, **change}
        protocol = structs.replace(result.run.protocol, fields=fields)
        (found,) = grids(structs.replace(result, run=structs.replace(result.run, protocol=protocol)))
        assert found.rows[0].cells[0].beside is None


def test_the_authors_own_number_comes_before_what_others_quote():
    (found,) = grids(rec(), rec(title="C²-Matching-rec", dataset="lmr"), make("bicubic", [24] * 3, title="Bicubic"))
    first, second = cells(found, "C²-Matching-rec")
    assert found.sources[first.beside.source - 1].key == "c2matching-table1"
    assert found.sources[second.beside.source - 1].key == "georef"
    assert cells(found, "Bicubic")[0].beside.caveat == ""


def test_published_numbers_take_no_part_in_the_ranking():
    (found,) = grids(rec(20.0), make("a", [21] * 3), make("b", [19] * 3))
    marks = {row.title: row.cells[0].scores["psnr_y"].mark for row in found.rows}
    assert marks == {"C²-Matching-rec": "second", "a": "best", "b": ""}


def test_as_published_every_number_of_a_table_once():
    tables = as_published(published())
    assert [table.title for table in tables][:2] == ["C²-Matching (2021), Table 1", "WTRN (2022), main table, x4"]
    counts = {t.sources[0].key: sum(cell is not None for row in t.rows for cell in row.cells) for t in tables}
    assert counts["c2matching-table1"] == 81 and counts["georef"] == 244
    rest = single_reports(published())
    assert sum(counts.values()) + len(rest) == len(published())


def test_reports_with_lower_as_better_rank_so():
    wtrn = next(table for table in as_published(published()) if table.key == "published-wtrn-x4")
    scores = [row.cells[0].scores["lpips"] for row in wtrn.rows if row.cells[0]]
    column = [score for score in scores if score.value]
    best = [score for score in column if score.mark == "best"]
    assert best and best[0].value == min(score.value for score in column)


# -- exports -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed():
    """Two data sets, a partial run, a GAN, an infinite PSNR and a published number."""
    (found,) = grids(
        rec(),
        make("a", [float("inf")] * 3, [0.9], title="A"),
        make("gan", [27] * 3, [0.8], title="G", gan=True, limit=2),
        make("a", [30] * 3, [0.9], title="A", dataset="sun80"),
    )
    return found


def test_csv(mixed):
    rows = list(csv.DictReader(io.StringIO(export(mixed, whole(mixed), "csv"))))
    found = {row["Method"]: row for row in rows}
    assert (found["A"]["CUFED5 PSNR-Y"], found["A"]["SUN80 SSIM-Y"]) == ("inf", "0.9000")
    assert found["G"]["CUFED5 status"] == "partial: 2 of 3 images" and found["G"]["GAN"] == "true"
    assert found["C²-Matching-rec"]["CUFED5 PSNR-Y published"] == "28.24"
    assert found["C²-Matching-rec"]["CUFED5 PSNR-Y difference"] == "-0.24"
    assert found["C²-Matching-rec"]["CUFED5 published in"] == "C²-Matching (2021), Table 1"
    assert found["C²-Matching-rec"]["Weights"] == "nano.pth" and found["C²-Matching-rec"]["SUN80 PSNR-Y"] == ""
    assert "published" not in export(mixed, whole(mixed, published=False), "csv")


def test_json(mixed):
    found = json.loads(export(mixed, View((0, 2), (0,)), "json"))
    assert found["protocol_digest"] == mixed.digest and len(found["rows"]) == 3
    (result,) = found["rows"][0]["results"]
    assert result["metrics"][0] == {"metric": "psnr_y", "value": "inf", "rank": 1}
    assert result["metrics"][1] == {"metric": "lpips", "value": None, "rank": None}
    named = next(row for row in found["rows"] if row["method"] == "C²-Matching-rec")["results"][0]["published"]
    assert named["measured_with"] == "weights nano.pth" and named["metrics"][0]["value"] == 28.24


def test_latex(mixed):
    lines = export(mixed, whole(mixed), "latex").splitlines()
    assert lines[2] == r"\begin{tabular}{lcc}" and lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    assert r"A & \textbf{$\infty$} / \textbf{.9000} & 30.00 / .9000 \\" in lines
    assert r"C\textsuperscript{2}-Matching-rec & 28.00 / .8400 (published 28.24 / .841) & - \\" in lines
    assert r"\rowcolor[gray]{0.92} G & \textit{27.00 / .8000 (2 of 3 images)} & - \\" in lines


def test_the_second_best_of_three_is_underlined_as_in_papers():
    (found,) = grids(rec(), make("a", [30.0] * 3), make("b", [20.0] * 3))
    assert r"\underline{28.00}" in export(found, whole(found), "latex")
    assert "<ins>28.00</ins>" in export(found, whole(found), "markdown")


def test_markdown(mixed):
    lines = export(mixed, whole(mixed), "markdown").splitlines()
    assert lines[0] == "| Method | CUFED5 PSNR-Y / SSIM-Y | SUN80 PSNR-Y / SSIM-Y |"
    assert "| A | **∞** / **.9000** | 30.00 / .9000 |" in lines
    assert "| G (GAN) | *27.00 / .8000 (2 of 3 images)* | - |" in lines
    assert {line.count("|") for line in lines} == {4}


def test_columns_about_the_method(mixed):
    view = View((0,), (0,), fields=("year", "parameters", "weights"), published=False)
    assert "| A | 2021 | 1.2 M | no weights | **∞** |" in export(mixed, view, "markdown")
    assert r"\begin{tabular}{lcccc}" in export(mixed, view, "latex")


@pytest.mark.parametrize("form", FORMATS)
def test_hostile_text_stays_text(form):
    result = make("x", [20.0], title=NASTY, weights=NASTY, group=NASTY, dataset="d", protocol=NASTY)
    dataset = structs.replace(result.run.dataset, title=NASTY, official=False)
    metrics = tuple(structs.replace(metric, title=NASTY) for metric in result.run.metrics)
    (found,) = grids(structs.replace(result, run=structs.replace(result.run, dataset=dataset, metrics=metrics)))
    text = export(found, whole(found), form)
    if form == "csv":
        row = list(csv.reader(io.StringIO(text)))[1]
        assert row[0] == f"'{NASTY}" and row[1] == f"'{NASTY}"
    elif form == "json":
        assert json.loads(text)["rows"][0]["method"] == NASTY
    elif form == "latex":
        assert r"\input" not in text and " $x" not in text and r"\textbackslash{}input\{/etc/passwd\}" in text
        assert len(text.splitlines()) == 11
    else:
        assert "<b>" not in text and "](javascript:" not in text and "@all" not in text and "www." not in text
        assert len(text.splitlines()) == 4


@pytest.mark.parametrize("title", ["A", NASTY + "</script>\u2028"])
def test_the_script_of_a_table_holds_its_sheets_and_nothing_else(title):
    (found,) = grids(make("a", title=title))
    text = script(found)
    assert text.isascii() and text.count("\n") == 1 and text.endswith(");\n")
    key, _, sheets = text.removeprefix("sheets(").removesuffix(");\n").partition(", ")
    assert json.loads(key) == found.key and list(json.loads(sheets)) == list(FORMATS)
    row = json.loads(sheets)["latex"]["rows"][0]
    assert row["first"] == latex(title) and row["cells"][0]["numbers"][:2] == ["25.00", ".7500"]


def test_latex_and_markdown_escapes():
    assert latex('a_b 50% "x" C²') == r"a\_b 50\% \textquotedbl{}x\textquotedbl{} C\textsuperscript{2}"
    assert latex("a\nb\u2028\u202ec") == "a b \ufffdc"
    assert markdown("*a*|[b](https://x)") == r"\*a\*\|\[b\](https&#58;//x)"
    assert markdown("WWW.x") == "WWW&#46;x"


def test_an_unknown_metric_is_refused(mixed):
    with pytest.raises(Misuse, match=r"No run has a metric lpip\. There is psnr_y, ssim_y, lpips, seconds"):
        whole(mixed, ["lpip"])
    assert whole(mixed, ["lpips", "psnr_y"]).metrics == (2, 0)


def test_all_json_holds_every_metric(mixed):
    found = json.loads(all_json([mixed]))
    assert found["generator"] == "refsr-bench leaderboard"
    names = [metric["metric"] for metric in found["tables"][0]["rows"][0]["results"][0]["metrics"]]
    assert names == ["psnr_y", "ssim_y", "lpips", "seconds"]


# -- the command ---------------------------------------------------------------------------------------------------


def command(*words):
    return CliRunner().invoke(main, ["leaderboard", "export", *map(str, words)])


def test_the_command_prints_one_table(tmp_path):
    store(tmp_path / "a", rec())
    done = command("--results", tmp_path)
    assert done.exit_code == 0 and "| C²-Matching-rec | 28.00 / .8400 (published 28.24 / .841) |" in done.output
    for form in FORMATS:
        done = command("--results", tmp_path, "--format", form, "--no-published")
        assert done.exit_code == 0 and "28.24" not in done.output and done.output.count("\n") > 1
    done = command("--results", tmp_path, "--metric", "seconds")
    assert "| C²-Matching-rec | 1.50 |" in done.output


def test_the_command_asks_which_protocol(tmp_path):
    store(tmp_path / "a", rec())
    store(tmp_path / "b", rec(protocol="srntt"))
    for words, reason in (
        ((), "Which protocol? Name one with --protocol: c2 ("),
        (("--protocol", "ttsr"), "Nothing below"),
        (("--protocol", "c2", "--metric", "fid"), "No run has a metric fid. There is psnr_y"),
        (("--results", tmp_path / "absent"), "There is no results folder"),
    ):
        done = command("--results", tmp_path, *words)
        assert done.exit_code == 2 and reason in " ".join(done.output.split())
    assert command("--results", tmp_path, "--protocol", "srntt").exit_code == 0
