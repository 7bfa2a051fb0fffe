"""Figures: the numbers in their CSV files, what is left out, and SVG that holds nothing but a drawing."""

import csv
import io
import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from figure_runs import HOSTILE, known, robust, under
from runs import make, store
from test_leaderboard_study import report

from leaderboard.figures import ablation, cost, levels, protocols, robustness, style
from leaderboard.figures import study as study_plot
from leaderboard.figures.figure import Figure
from leaderboard.figures.labels import place
from leaderboard.pages.figures import files, gather, page, sections
from leaderboard.pages.pages import Entry, Site
from leaderboard.reading.ablation import read_ablation
from leaderboard.reading.load import LoadedRun, read_folder
from leaderboard.reading.published import published
from leaderboard.statistics.robustness import studies
from leaderboard.tables.tables import build_tables
from refsr_bench.cli.leaderboard import leaderboard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import digest, dumps
from refsr_bench.core.schema import Result, Weights
from refsr_bench.study.report_format import parse_report

DRAWING = {"svg", "title", "desc", "style", "defs", "g", "path", "clipPath", "rect", "text", "tspan", "use", "pattern"}


def loaded(*results: Result) -> tuple[LoadedRun, ...]:
    return tuple(LoadedRun(f"{n}/result.json", result) for n, result in enumerate(results))


def rows(figure: Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figure.csv)))


# -- cost ----------------------------------------------------------------------------------------------------------


def test_cost_shows_the_means_of_complete_runs_beside_one_published_table():
    runs = loaded(
        known(make("a", (24, 26)), parameters=2_000_000),
        known(make("b", (27, 28)), parameters=500_000, group="SISR"),
        known(make("plain", (20, 21)), parameters=0, group="SISR"),
        known(make("part", (30, 31), limit=1), parameters=9),
        known(make("fake", (5, 6), weights="synthetic"), parameters=9),
    )
    found = cost.figures(build_tables(runs), published())
    own = [row for row in rows(found[0]) if row["source"] == "measured"]
    assert {row["method"]: float(row["psnr"]) for row in own} == {"a": 25.0, "b": 27.5, "plain": 20.5}
    assert {row["parameters"] for row in own} == {"2000000", "500000", "0"}
    assert {float(row["seconds_per_image"]) for row in own} == {1.0}
    beside = [row for row in rows(found[0]) if row["source"] != "measured"]
    assert {row["source"] for row in beside} == {"published: C²-Matching (2021), Table 4"}
    assert {(row["title"], row["parameters"]) for row in beside} >= {
        ("C²-Matching-rec", "8900000"),
        ("RCAN", "16000000"),
    }
    assert "Hollow: as published" in found[0].caption and "Dashed: without parameters (plain)" in found[0].caption
    assert [figure.title for figure in found if "as published" in figure.title] == []  # cufed5 has its own figure


def test_devices_are_not_mixed_and_overrides_do_not_repeat_a_figure():
    fast, slow = ([make(f"{device}{n}", (24, 25 + n), device=device) for n in range(3)] for device in ("gpu", "cpu"))
    points = cost.measured(loaded(*fast, *slow))
    axes = {axis.name for point in points for axis in point.costs}
    assert axes == {"parameters", "seconds on gpu", "seconds on cpu"}
    assert sum(cost.seconds_on("gpu") in point.costs for point in points) == 3
    again = [under(result, "c2+border=0", border=0) for result in fast]
    assert len(cost.figures(build_tables(loaded(*fast, *again)))) == 1
    assert cost.figures(build_tables(loaded(*fast[:2]))) == []  # two points make no picture


# -- levels --------------------------------------------------------------------------------------------------------


def test_levels_follow_the_reference_rule_and_a_blind_method_is_flat():
    runs = [
        under(make("a", (28, 30))),
        under(make("a", (27, 28)), "c2+refs=level:3", refs="level:3"),
        under(make("a", (20, 21)), "c2+border=0+refs=level:2", refs="level:2", border=0),  # another protocol
        under(make("a", (25, 26)), "c2+refs=lr", refs="lr"),
        under(make("a", (29, 31)), "c2+refs=all", refs="all"),
        under(make("b", (10, 11), limit=1), "c2+refs=level:2", refs="level:2"),  # not complete
        known(under(make("bicubic", (24, 25))), references="none", group="SISR"),
    ]
    (figure,) = levels.figures(loaded(*runs), {})
    found = {(row["method"], row["references"]): float(row["psnr"]) for row in rows(figure)}
    assert found == {("a", "L1"): 29.0, ("a", "L3"): 27.5, ("a", "lr"): 25.5, ("bicubic", "none"): 24.5}
    assert "29.00 dB at L1" in figure.alt and "27.50 dB at L3" in figure.alt
    assert levels.figures(loaded(runs[0], runs[3], runs[6]), {}) == []


# -- protocols -----------------------------------------------------------------------------------------------------


def test_one_changed_field_is_named_by_it_and_several_by_the_protocol():
    base = under(make("a", (24, 25), (0.7, 0.8)))
    runs = [
        base,
        under(make("a", (24.2, 25.22), (0.71, 0.79)), "c2+border=0", border=0),
        under(make("a", (24, 24), (0.7, 0.7)), "c2+refs=level:2", refs="level:2"),
        under(make("a", (23, 25), (0.7, 0.8)), "other", border=0, luma="bt709"),
        under(make("a", (24.5, 25.5), (0.7, 0.8)), "wide", hr_multiple=32),
        under(make("b", (1, 2))),  # nothing to compare it with
    ]
    (figure,) = protocols.figures(loaded(*runs), {})
    found = {row["change"]: row for row in rows(figure)}
    assert found.keys() == {"border 4 → 0", "references L1 → L2", "other", "hr multiple - → 32 (wide)"}
    assert float(found["border 4 → 0"]["psnr_change"]) == pytest.approx(0.21)
    assert float(found["border 4 → 0"]["psnr_change_low"]) == pytest.approx(0.2)
    assert float(found["border 4 → 0"]["ssim_change"]) == pytest.approx(0)
    assert (found["other"]["fields_changed"], float(found["other"]["psnr_change"])) == ("2", -0.5)
    assert {row["base_digest"] for row in found.values()} == {base.run.protocol.digest}
    assert ("border 4 → 0", "+0.21 [+0.20, +0.22]") in {(row[0], row[3]) for row in figure.table.rows}
    assert protocols.figures(loaded(base, runs[-1]), {}) == []


# -- robustness ----------------------------------------------------------------------------------------------------


def test_robustness_has_error_psnr_and_gain_of_the_same_images(tmp_path):
    for level, psnr, aee in (("large", (26, 27), (40, 60)), ("small", (28, 30), (1, 2)), ("20", (27, 27), (3, 5))):
        store(tmp_path / level, robust("a", f"rotation {level}", psnr, aee))
    store(tmp_path / "none", robust("a", "unrelated", (25, 26), None))
    store(tmp_path / "others", robust("a", "rotation medium", (1, 2), (3, 4), ids="q"))
    store(tmp_path / "bench", make("b"))
    damaged = store(tmp_path / "damaged", robust("c", "rotation small", (26, 27), (40, 60)))
    damaged.write_text(damaged.read_text().replace('"psnr_y": 26.0', '"psnr_y": 99.0'))
    results = read_folder(tmp_path)
    (problem,) = results.problems
    assert problem.path == "damaged/result.json" and "the mean of psnr_y" in problem.reason
    found, _ = gather(results, ())
    assert len(studies(results.of_kind("robustness"))) == 2 and [figure.kind for figure in found] == ["robustness"] * 3
    bars = next(f for f in found if "by group" in f.title and "small" in f.csv)
    by_level = {row["level"]: row for row in rows(bars)}
    assert list(by_level) == ["small", "large", "unrelated"]
    assert float(by_level["small"]["aee"]) == 1.5 and float(by_level["small"]["psnr"]) == 29
    assert (float(by_level["large"]["gain"]), float(by_level["small"]["gain_high"])) == (1.0, 4.0)
    assert by_level["unrelated"]["aee"] == by_level["unrelated"]["gain"] == ""
    curve = next(f for f in found if "sweep" in f.title)
    assert [(row["level"], float(row["psnr"])) for row in rows(curve)] == [("20", 27.0), ("unrelated", 25.5)]


def test_namesakes_with_other_weights_are_other_series():
    weights = [Weights("own", name, digest(name)) for name in ("a.pth", "b.pth")]
    runs = [known(robust("a", "blur small", (26, 27 + n), (4, 6)), weights=w) for n, w in enumerate(weights)]
    (study,) = studies(loaded(*runs))
    assert [(row.method, row.title) for row in study.rows] == [("a", "a, a.pth"), ("a", "a, b.pth")]
    (figure,) = robustness.figures([study], {"a": 3})
    assert [(row["psnr"], row["weights_sha256"]) for row in rows(figure)] == [
        ("26.5", weights[0].sha256), ("27.0", weights[1].sha256)
    ]  # fmt: skip
    assert "a, a.pth" in figure.svg and "a, b.pth" in figure.svg


# -- ablation ------------------------------------------------------------------------------------------------------


def study(**changes: Any) -> dict[str, Any]:
    run = make("x").run
    scores = [{"p": 24.0, "q": 26.0}, {"p": 24.1, "q": 26.3}, {"p": 24.2, "q": 26.2}, {"p": 24.2, "q": 26.5}]
    names = ("baseline", "dyn-agg", "contrastive", "distilled")
    return {
        "schema_version": 1, "kind": "ablation", "dataset": run.dataset, "protocol": run.protocol,
        "metric": run.metrics[0], "texture_subset": ["q"], "texture_rule": "the half",
        "variants": [{"name": n, "title": f"+ {n}", "weights_sha256": digest(n), "result": f"{n}.json", "scores": s}
                     for n, s in zip(names, scores, strict=True)],
        "budget": {"teacher": None, "student": 5, "restoration": 7, "photos": 3},
        "config": {}, "device": "cpu", "command": "", "versions": {},
    } | changes  # fmt: skip


def plain(name: str, **scores: Any) -> dict[str, Any]:
    return {"name": name, "title": name, "weights_sha256": None, "result": "", "scores": scores}


def test_the_ablation_has_our_steps_and_the_paper_s(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ablation.json").write_text(dumps(study()))
    results = read_folder(tmp_path)
    assert results.problems == ()
    (figure,) = ablation.figures(results.ablations, published())
    steps = {(row["variant"], row["images"]): row for row in rows(figure)}
    assert float(steps["dyn-agg", "full set"]["gain"]) == pytest.approx(0.2)
    assert float(steps["contrastive", "texture subset"]["gain"]) == pytest.approx(-0.1)
    paper = {place: float(row["paper_gain"]) for place, row in steps.items() if row["paper_gain"]}
    assert paper == {("dyn-agg", "full set"): 0.08, ("contrastive", "full set"): 0.2, ("distilled", "full set"): 0.09,
                     ("distilled", "texture subset"): 0.16}  # fmt: skip
    assert steps["contrastive", "full set"]["paper_says_about"] == "yes"
    assert "a given teacher, 5 iterations of student" in figure.caption


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "benchmark"}, "kind: 'benchmark' is not among the values"),
        ({"variants": []}, "variants: expected array of length >= 2"),
        ({"texture_subset": ["z"]}, "texture_subset"),
        ({"dataset": {"name": "x"}}, "dataset: lacks the required field 'title'"),
        ({"metric": {"name": "psnr_y"}}, "metric: lacks the required field 'title'"),
        ({"variants": [plain("a", a=1.0), plain("b", b=1.0)]}, "same images"),
        ({"variants": [plain("a", p=1.0), plain("a", p=1.0)]}, "one name"),
        ({"variants": [plain("a", p="nan"), plain("b", p=1.0)]}, r"variants\[0\].scores: expected float, got str"),
        ({"variants": [plain("a", p=1.0), plain("b", p=1000.0)]}, r"variants\[1\].scores: expected float < 1000"),
    ],
)
def test_an_ablation_that_does_not_fit_is_refused(tmp_path, changes, reason):
    (tmp_path / "ablation.json").write_text(dumps(study(texture_subset=[]) | changes))
    with pytest.raises(BenchError, match=reason):
        read_ablation(tmp_path / "ablation.json")


def test_preferences_are_percentages_with_their_votes():
    methods = [{"name": name, "title": title, "weights": ""} for name, title in (("a", HOSTILE), ("b", "b"))]
    row = {"a": "a", "b": "b", "wins": 52, "losses": 12, "ties": 0, "share": 0.8125, "wilson": [0.7, 0.9],
           "bootstrap": None, "shown": "wilson"}  # fmt: skip
    ranking = {"interval": "wald", "prior": False, "groups": 1, "methods": []}
    values = report(methods=methods, preferences=[row], votes=64, focus="", ranking=ranking)
    found = study_plot.of(parse_report(values, "x"))
    assert [(row["preferred_percent"], row["low_percent"], row["votes"]) for row in rows(found)] == [
        ("81.25", "70.0", "64")
    ]
    assert "b: 81 % of 64 votes" in found.alt and found.table.rows[0][2:] == ("81.2", "70.0", "90.0", "64")
    assert "81 %" in found.svg and "<script" not in found.svg


# -- drawings and the page -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> tuple[Path, tuple[Figure, ...]]:
    """A results folder with something for every kind of figure, hostile names in all of them."""
    folder = tmp_path_factory.mktemp("results")
    results = [
        known(under(make("a", (28, 30), title=HOSTILE)), parameters=10**6),
        known(under(make("b", (27, 28), title="_b")), parameters=10**5),
        known(under(make("c", (26, 26), weights="=1+1")), parameters=10**4),
        under(make("a", (27, 28), title=HOSTILE), f"c2+{HOSTILE}", refs="level:3"),
        under(make("a", (27, 28), title=HOSTILE), "c2+border=0", border=0),
        *(robust("a", f"scale {level}", (26, 27), (4, 6)) for level in ("small", "0.5", "2")),
    ]
    for n, result in enumerate(results):
        store(folder / str(n), result)
    variants = study()["variants"]
    variants[1]["title"] = HOSTILE
    (folder / "ablation.json").write_text(dumps(study(variants=variants, texture_rule=HOSTILE)))
    return folder, gather(read_folder(folder))[0]


def test_there_is_a_figure_of_every_kind(everything):
    kinds = [kind.key for kind in sections(everything[1])]
    assert kinds == ["robustness", "cost", "ablation", "levels", "protocols"]
    assert len({figure.name for figure in everything[1]}) == len(everything[1])


def test_svg_is_a_drawing_and_nothing_else(everything):
    for name, text in files(everything[1]).items():
        if not name.endswith(".svg"):
            continue
        root = ElementTree.fromstring(text)
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= DRAWING
        for element in root.iter():
            for attribute, value in element.attrib.items():
                assert not attribute.startswith("on")
                assert not attribute.endswith("href") or value.startswith("#")
        assert "\u202e" not in text and "\x00" not in text
        assert len(text) < 120_000 and ".." not in name
    shown = "".join(files(everything[1]).values())
    assert "&lt;script&gt;" in shown  # the name is there, as text


def test_the_same_runs_make_the_same_bytes(everything):
    folder, found = everything
    again = gather(read_folder(folder))[0]
    assert [f.name for f in again] == [f.name for f in found]
    assert [(f.csv, f.caption, f.alt, f.table) for f in again] == [(f.csv, f.caption, f.alt, f.table) for f in found]
    for kind in {figure.kind: n for n, figure in enumerate(found)}.values():
        assert found[kind].svg == again[kind].svg
    assert all(found[0].file(kind) == again[0].file(kind) for kind in ("png", "pdf"))


def test_the_page_validates_and_formulas_are_defused(everything):
    html5lib = pytest.importorskip("html5lib")
    entries = (Entry("table", "Table", "index.html"), Entry("figures", "Figures", "figures.html"))
    html = page(Site("T", entries), everything[1])
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) and len(list(tree.iter("figure"))) == len(everything[1])
    assert not list(tree.iter("script")) and not any(element.get("style") for element in tree.iter())
    for image in tree.iter("img"):
        assert image.get("alt") and image.get("src") in files(everything[1])
    assert "'=1+1" in "".join(figure.csv for figure in everything[1])


def test_names_beside_points_do_not_cover_each_other():
    with style.look():
        figure, (axis,) = style.panels(1, False)
        axis.set_xlim(0, 10)
        axis.set_ylim(0, 10)
        points = [(5 + 0.1 * n, 5 + 0.1 * (n % 3), f"method number {n}") for n in range(8)]
        place(figure, axis, points)
        boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) == 8
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:n])
        assert axis.get_window_extent().containsx(box.x0) and axis.get_window_extent().containsx(box.x1)


def test_a_method_looks_alike_everywhere_unless_colours_clash():
    order: Mapping[str, int] = {"a": 3, "b": 4, "c": 10}
    assert style.marks(["b", "a"], order) == [style.mark(4), style.mark(3)]
    assert style.marks(["a", "c"], order) == [style.mark(3), style.mark(0)]  # 10 has the colour of 3
    many = style.marks([f"m{n}" for n in range(20)], {f"m{n}": n for n in range(20)})
    assert len({(mark.colour, mark.marker) for mark in many}) == 20


def test_labels_are_one_line_and_shown():
    assert style.label("a\n b\x00") == "a b\ufffd"
    assert len(style.label("x" * 100)) <= 34 and not style.label("_x").startswith("_")


def test_without_data_there_is_no_figure_but_a_reason(tmp_path):
    store(tmp_path / "a", make("a", dataset="sample"))
    found, missing = gather(read_folder(tmp_path), ())
    assert found == ()
    assert [item.key for item in missing] == ["robustness", "cost", "ablation", "levels", "protocols", "study"]
    assert all(item.command(tmp_path).startswith("refsr-bench ") for item in missing)


def test_the_command_writes_figures_and_says_what_is_missing(tmp_path):
    for level in ("small", "large"):
        store(tmp_path / "in" / level, robust("a", f"blur {level}", (26, 27), (4, 6)))
    command = ["figures", "--results", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--format", "pdf"]
    result = CliRunner().invoke(leaderboard, command)
    assert result.exit_code == 0, result.output
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    stems = {name.rpartition(".")[0] for name in written}
    assert {name.rpartition(".")[2] for name in written} == {"csv", "pdf"} and len(written) == 2 * len(stems)
    assert any(stem.startswith("robustness-sample-blur-bars-") for stem in stems)
    assert "no ablation figure" in result.output and f"--out {tmp_path / 'in'}/ablation" in result.output
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match=r"no result\.json"):
        CliRunner().invoke(leaderboard, ["figures", "--results", str(tmp_path / "empty")], catch_exceptions=False)


def test_infinite_psnr_is_no_point():
    exact = known(make("a", (math.inf, 30.0)), parameters=5)
    assert cost.measured(loaded(exact)) == []
    assert protocols.figures(loaded(under(exact), under(exact, "c2+border=0", border=0)), {}) == []
