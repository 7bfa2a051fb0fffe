"""Reports of user studies on the site: checked strictly, shown completely, and never trusted."""

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import html5lib
import pytest

from leaderboard.pages import study
from leaderboard.pages.pages import Entry, Site
from leaderboard.reading.load import read_folder
from refsr_bench.core.errors import BenchError
from refsr_bench.study.report_format import parse_report

SITE = Site("Board", (Entry("table", "Table", "index.html"), Entry("study", "Study", "study.html")))


def report(**change: object) -> dict:
    """A sound report of three methods; one participant is excluded."""
    preferences = [
        {"a": "ours", "b": "srntt", "wins": 82, "losses": 16, "ties": 2, "share": 0.83, "wilson": [0.744, 0.891],
         "bootstrap": [0.71, 0.92], "shown": "bootstrap"},
        {"a": "ours", "b": "esrgan", "wins": 10, "losses": 0, "ties": 0, "share": 1.0, "wilson": [0.7225, 1.0],
         "bootstrap": None, "shown": "wilson"},
    ]  # fmt: skip
    ranked = [
        {"method": "ours", "group": 1, "rank": 1, "ability": 1.6, "low": 1.1, "high": 2.1},
        {"method": "srntt", "group": 1, "rank": 2, "ability": 0.1, "low": -0.4, "high": 0.6},
        {"method": "esrgan", "group": 1, "rank": 3, "ability": -1.7, "low": None, "high": None},
    ]
    return {
        "schema_version": 1,
        "generator": "refsr-bench study",
        "title": "Study of CUFED5",
        "question": "Which looks better?",
        "plan": "ab" * 32,
        "focus": "ours",
        "reference": "hr",
        "ties_allowed": True,
        "crop": 160,
        "dataset": "cufed5",
        "dataset_title": "CUFED5",
        "dataset_sha256": "0" * 64,
        "protocol": "c2",
        "protocol_digest": "1" * 64,
        "notes": ["3 images have no counterpart"],
        "methods": [{"name": n, "title": n.upper(), "weights": "none"} for n in ("ours", "srntt", "esrgan")],
        "people": 20,
        "images": 12,
        "votes": 110,
        "ties": 2,
        "left_share": 0.51,
        "median_seconds": 3.25,
        "checks": {"made_from": "HR images", "asked": 40, "right": 39},
        "exclusion": {
            "rule": "Participants count who answered at least 75% of their attention checks right.",
            "excluded": [{"person": 7, "asked": 4, "right": 1, "votes": 30}],
        },
        "preferences": preferences,
        "ranking": {"interval": "bootstrap", "prior": True, "groups": 1, "methods": ranked},
        "agreement": {"comparisons": 24, "same": 0.78, "alpha": 0.56, "repeats": 20, "repeats_same": 17},
        **change,
    }


def put(folder: Path, values: object, name: str = "a") -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "study.json").write_text(values if isinstance(values, str) else json.dumps(values))


def page_of(*values: dict) -> str:
    return study.page(SITE, tuple(parse_report(one, "x") for one in values))


def text_of(html: str) -> str:
    tree = html5lib.HTMLParser(strict=True).parse(html)
    return " ".join(" ".join(tree.itertext()).split())


def test_a_page_says_what_was_measured_and_how() -> None:
    text = text_of(page_of(report()))
    for words in (
        "Study of CUFED5", "“Which looks better?” 20 participants, 110 votes on 12 images of CUFED5",
        "protocol c2 (digest 111111111111 )", "83.0\u202f%", "71.0\u202f% to 92.0\u202f%", "bootstrap",
        "72.2\u202f% to 100.0\u202f%", "Wilson", "82 : 16, 2 tied", "+1.60", "−0.40 to +0.60", "20 counted, 1 excluded",
        "participant 7: 1 of 4 checks right, 30 votes left out", "39 of 40 answered right", "beside the original",
        "78.0\u202f% of pairs of judgements agree on 24 comparisons", "17 of 20 repeated",
        "3 images have no counterpart", "no upper bound", "Preferences as CSV",
    ):  # fmt: skip
        assert " ".join(words.split()) in text, words


def test_pages_are_sound_html() -> None:
    html = page_of(report(), report(title="Another", plan="cd" * 32))
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert all(table.find("caption") is not None for table in tree.iter("table"))
    for label in [e.get("aria-labelledby") for e in tree.iter() if e.get("aria-labelledby")]:
        assert label in ids
    assert not [e for e in tree.iter() if e.get("style")] and not list(tree.iter("script"))
    assert 'aria-current="page"' in html and html.count('class="study"') == 2


def test_bars_are_as_long_as_their_shares() -> None:
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page_of(report()))
    svg = "{http://www.w3.org/2000/svg}"
    assert [e.get("width") for e in tree.iter(f"{svg}rect") if e.get("class") == "won"] == ["83.0", "100.0"]
    whiskers = [e.get("d") for e in tree.iter(f"{svg}path") if e.get("class") == "whisker"]
    assert whiskers[0].startswith("M71.0 6H92.0") and whiskers[1].startswith("M72.25 6H100.0")


def test_text_is_never_markup() -> None:
    evil = "<script>alert(1)</script>\u202e\x07"
    methods = [{"name": "ours", "title": evil, "weights": evil}, *report()["methods"][1:]]
    html = page_of(report(title=evil, question=evil, dataset_title=evil, protocol=evil, protocol_digest='"><img src=x>',
                          notes=[evil], methods=methods, plan="../../etc"))  # fmt: skip
    assert "<script" not in html and "<img" not in html and "\u202e" not in html and "\x07" not in html
    html5lib.HTMLParser(strict=True).parse(html)
    assert "&lt;script&gt;alert(1)" in html
    (found,) = (parse_report(report(title="../../x", methods=methods), "x"),)
    assert "/" not in found.csv_name and found.csv_name.startswith("study-")


def test_two_methods_with_one_title_are_told_apart() -> None:
    methods = [{"name": n, "title": "Same", "weights": ""} for n in ("ours", "srntt", "esrgan")]
    assert "Same (srntt)" in text_of(page_of(report(methods=methods)))


def test_groups_and_ties_are_said_only_where_there_are_some() -> None:
    plain = report(ties_allowed=False, median_seconds=None, ranking=report()["ranking"] | {"prior": False})
    text = text_of(page_of(plain))
    assert "no upper bound" not in text and "not offered" in text and "s per answer" not in text
    ranked = [row | {"group": 2 if row["method"] == "esrgan" else 1} for row in report()["ranking"]["methods"]]
    split = report(ranking=report()["ranking"] | {"groups": 2, "methods": ranked})
    assert "connects the 2 groups" in text_of(page_of(split))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version 2"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"people": "many"}, "people: expected int, got str"),
        ({"people": True}, "people: expected int, got bool"),
        ({"votes": 111}, "votes is not the sum"),
        ({"focus": "x"}, "'x' is not among the methods"),
        ({"left_share": 1.5}, "left_share: expected float <= 1"),
        ({"methods": []}, "methods: expected array of length >= 1"),
        ({"preferences": {}}, "preferences: expected array, got object"),
        ({"reference": "other"}, "reference: 'other' is not among the values"),
        ({"images": -1}, "images: expected int >= 0"),
        ({"checks": {"made_from": "", "asked": 1}}, "checks: lacks the required field 'right'"),
        ({"preferences": [report()["preferences"][0] | {"share": 0.99}]}, "votes is not the sum"),
        ({"preferences": [report()["preferences"][0] | {"share": 0.99}], "votes": 100}, "is not that of its votes"),
        ({"preferences": [report()["preferences"][0] | {"wilson": [0.9]}], "votes": 100},
         "preferences[0].wilson: expected array of length 2"),
        ({"preferences": [report()["preferences"][1] | {"shown": "bootstrap"}], "votes": 10}, "the interval shown"),
        ({"ranking": report()["ranking"] | {"methods": [report()["ranking"]["methods"][0] | {"ability": "inf"}]}},
         "ranking.methods[0].ability: expected float, got str"),
        ({"ranking": report()["ranking"] | {"methods": [1]}}, "ranking.methods[0]: expected object, got int"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_left_out(tmp_path: Path, change: dict, message: str) -> None:
    put(tmp_path, report(**change))
    results = read_folder(tmp_path)
    (problem,) = results.problems
    assert results.studies == () and problem.path == "a/study.json" and message in problem.reason
    assert str(tmp_path) not in problem.reason


def test_infinite_numbers_are_refused() -> None:
    ranking = report()["ranking"] | {"methods": [report()["ranking"]["methods"][0] | {"ability": float("inf")}]}
    with pytest.raises(BenchError, match="ability: expected float <="):
        parse_report(report(ranking=ranking), "x")
    with pytest.raises(BenchError, match="share"):
        parse_report(report(left_share=float("nan")), "x")


def test_reports_are_found_and_damaged_ones_named(tmp_path: Path) -> None:
    put(tmp_path, report(), "studies/b")
    put(tmp_path, report(title="First", plan="ef" * 32), "studies/a")
    put(tmp_path, report(), "studies/c")
    put(tmp_path, "{", "studies/d")
    put(tmp_path, "[" * 100_000, "studies/e")
    results = read_folder(tmp_path)
    assert [one.title for one in results.studies] == ["First", "Study of CUFED5"]
    assert [(p.path, p.reason.split("(")[0]) for p in results.problems] == [
        ("studies/c/study.json", "a report of a study that another file reports already."),
        ("studies/d/study.json", "not JSON "),
        ("studies/e/study.json", "not JSON "),
    ]
    assert read_folder(tmp_path / "studies/b").problems == ()


def test_the_csv_has_every_number_and_no_formula() -> None:
    found = parse_report(report(title="=1+1"), "x")
    (name, text), *_ = study.files([found]).items()
    assert name == found.csv_name
    rows = list(csv.DictReader(io.StringIO(text)))
    assert (rows[0]["share"], rows[0]["bootstrap_low"], rows[1]["bootstrap_low"]) == ("0.83", "0.71", "")
    assert not rows[0]["study"].startswith("=") and 'download>' in page_of(report()) and name.endswith(".csv")


def test_the_figure_is_the_same_every_time_and_says_its_numbers() -> None:
    found = parse_report(report(), "x")
    text = study.svg(found)
    assert text == study.svg(found)
    tree = ElementTree.fromstring(text)
    words = " ".join(tree.itertext())
    votes = found.preferences[0].votes
    assert f"OURS over SRNTT: 83 % of {votes} votes" in words
    assert "OURS over ESRGAN" in words and words.count("83 %") == 2
