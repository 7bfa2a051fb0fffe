"""The built folder: what the page says, that it is inert, and that building loses nothing."""

import csv
import os
import shutil
from html.parser import HTMLParser

import pytest
from runs import make, store

from leaderboard.site import build
from refsr_bench.results import ResultError

VOID = {"meta", "link", "br", "img", "input", "hr", "base"}
HOSTILE = "\"><script>alert(1)</script>'<img src=x onerror=alert(2)>{{ 7*7 }}javascript:alert(3)"


class Page(HTMLParser):
    """A page as tags with their attributes, and its tables as rows of cells. Refuses unbalanced tags."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.tables, self.text = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"repeated attribute in {tag}"
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag in VOID:
            return
        self.open.append(tag)
        if tag == "table":
            self.tables.append({"class": attributes["class"], "caption": "", "rows": []})
        elif tag == "tr":
            self.tables[-1]["rows"].append({"class": attributes.get("class", ""), "cells": []})
        elif tag in ("td", "th"):
            self.tables[-1]["rows"][-1]["cells"].append({"tag": tag, "text": "", "marks": [], "link": {}, **attributes})
        elif self.cell is not None and tag == "a":
            self.cell["link"] = attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    @property
    def cell(self):
        return self.tables[-1]["rows"][-1]["cells"][-1] if {"td", "th"} & set(self.open) else None

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if self.cell is not None:
            self.cell["text"] += data
            if self.open[-1] in ("b", "u"):
                self.cell["marks"].append((self.open[-1], data))
        elif "caption" in self.open:
            self.tables[-1]["caption"] += data

    @property
    def boards(self):
        return [table for table in self.tables if table["class"] == "board"]

    def words(self):
        return " ".join("".join(self.text).split())


@pytest.fixture
def results(tmp_path):
    """Five methods, two protocols, three data sets (one not official), a partial and a failed run."""
    for number, result in enumerate(
        [
            make("bicubic", [24, 24, 24], [0.6], title="Bicubic", group="SISR", year=1981),
            make("c2.gan", [27, 27, 27], [0.8], title="C²", gan=True, weights="gan.pth"),
            make("c2.rec", [28, 28, 28], [0.9], title="C²-rec", weights="rec.pth"),
            make("limited", [40, 40, 40], title="Limited", limit=1),
            make("broken", [50, 50, 50], title="Broken", failures={2: "CUDA out of memory"}),
            make("bicubic", dataset="wrsr", title="Bicubic", group="SISR", year=1981),
            make(
                "bicubic",
                dataset="wrsr",
                title="Bicubic",
                group="SISR",
                manifest="mine",
                official=False,
                notes=["12 pairs, not the 80 published."],
            ),
            make("bicubic", protocol="srntt", title="Bicubic", group="SISR"),
            make("c2.rec", [float("inf")] * 3, protocol="srntt", title="C²-rec"),
        ]
    ):
        store(tmp_path / "results" / f"{number}", result)
    return tmp_path / "results"


def page_of(results, out):
    return Page((build(results, out).pages[0]).read_text(encoding="utf-8"))


def test_tables_as_published(results, tmp_path):
    first, second = page_of(results, tmp_path / "site").boards
    rows = {row["cells"][0]["text"].split("2021")[0].split("1981")[0]: row for row in first["rows"]}
    assert [cell["text"] for cell in first["rows"][0]["cells"]] == [
        "Method",
        "CUFED5PSNR / SSIM",
        "WRSRPSNR / SSIM",
        "WRSR1PSNR / SSIMnot official",
    ]
    assert "PSNR-Y (dB) / SSIM-Y" in first["caption"] and "Protocol c2" in first["caption"]
    assert list(rows) == ["Method", "SISR", "Bicubic", "Ref-SR", "Broken", "C² (GAN-trained)", "C²-rec", "Limited"]
    assert rows["C²-rec"]["cells"][1]["marks"] == [("b", "28.00"), ("b", ".9000")]
    assert rows["C² (GAN-trained)"]["cells"][1]["marks"] == [("u", "27.00"), ("u", ".8000")]
    assert rows["Bicubic"]["cells"][1]["marks"] == []
    assert rows["C² (GAN-trained)"]["class"] == "gan" and rows["C²-rec"]["class"] == ""
    assert "gan.pth" in rows["C² (GAN-trained)"]["cells"][0]["text"]
    assert rows["C²-rec"]["cells"][2]["text"] == "-"
    for name, covered in (("Limited", "1 of 3 images"), ("Broken", "2 of 3 images")):
        cell = rows[name]["cells"][1]
        assert "unranked" in cell["class"] and not cell["marks"] and covered in cell["text"]
    assert "Protocol srntt" in second["caption"]
    assert second["rows"][-1]["cells"][1]["marks"][0] == ("b", "∞")


def test_tables_are_accessible(results, tmp_path):
    page = page_of(results, tmp_path / "site")
    for table in page.tables:
        assert table["caption"].strip()
        heads = [cell for row in table["rows"] for cell in row["cells"] if cell["tag"] == "th"]
        assert heads and all(cell["scope"] in ("col", "row", "rowgroup") for cell in heads)
        assert all(row["cells"][0]["tag"] == "th" for row in table["rows"])
        widths = {sum(int(cell.get("colspan", 1)) for cell in row["cells"]) for row in table["rows"]}
        assert len(widths) == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    assert named and set(named) <= set(ids)


def test_every_number_leads_to_its_evidence(results, tmp_path):
    report = build(results, tmp_path / "site")
    page = Page(report.pages[0].read_text(encoding="utf-8"))
    cells = [cell for board in page.boards for row in board["rows"] for cell in row["cells"] if cell["tag"] == "td"]
    links = [cell["link"] for cell in cells if cell["text"] != "-"]
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert len(links) == 9 and {link["href"].removeprefix("#") for link in links} <= ids
    digest = report.tables[0].protocol.digest[:12]
    assert links[0]["title"] == f"3 of 3 images · 1.5 s per image · protocol {digest}"
    words = page.words()
    for fact in (
        "failed: CUDA out of memory",
        "torch 2.11.0",
        "12 pairs, not the 80 published.",
        "1.2 M",
        "2025-01-01T00:00:00Z",
        "4/result.json",
        report.tables[0].protocol.digest,
        "partial, not ranked",
    ):
        assert fact in words


def test_same_input_same_bytes_wherever_it_lies(results, tmp_path):
    one = build(results, tmp_path / "one")
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(results, moved)
    for path in moved.rglob("result.json"):
        os.utime(path, (1, 1))
    two = build(moved, tmp_path / "two")
    assert sorted(os.listdir(tmp_path / "one")) == sorted(os.listdir(tmp_path / "two"))
    for a, b in zip(one.pages + one.exports, two.pages + two.exports, strict=True):
        assert a.read_bytes() == b.read_bytes()
    again = build(results, tmp_path / "one")
    assert again.pages[0].read_bytes() == two.pages[0].read_bytes()


def test_the_page_needs_nothing_and_runs_nothing(results, tmp_path):
    report = build(results, tmp_path / "site")
    text = report.pages[0].read_text(encoding="utf-8")
    page = Page(text)
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "embed", "base", "form"}
    files = {path.name for path in report.exports}
    for _, attributes in page.tags:
        assert not {"src", "srcset", "action", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert attributes["href"].startswith("#") or attributes["href"] in files
    policy = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy[0]


def test_hostile_text_stays_text(tmp_path):
    result = make(
        HOSTILE,
        title=HOSTILE,
        group=HOSTILE,
        weights=HOSTILE,
        dataset=HOSTILE,
        official=False,
        notes=[HOSTILE],
        protocol=HOSTILE,
        failures={1: HOSTILE},
        started=HOSTILE,
        device=HOSTILE,
        command="\x00\u202e" + HOSTILE,
    )
    store(tmp_path / "results" / "1", result)
    path = store(tmp_path / "results" / "2", make("surrogate"))
    path.write_text(path.read_text().replace('"surrogate"', '"lone \\ud800 half"'))
    store(tmp_path / "results" / "3", make("../../up", protocol="../../up"))
    (tmp_path / "results" / "4").mkdir()
    (tmp_path / "results" / "4" / "result.json").write_text('{"<script>alert(4)</script>": 1}')
    report = build(tmp_path / "results", tmp_path / "site", title=HOSTILE)
    text = report.pages[0].read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    hrefs = [attributes["href"] for _, attributes in page.tags if "href" in attributes]
    assert hrefs and all(href.startswith(("#", "leaderboard")) and "/" not in href for href in hrefs)
    assert page.words().count(HOSTILE) > 10 and "lone \ufffd half" in page.words()
    assert "\x00" not in text and "\u202e" not in text
    assert {path.parent for path in report.pages + report.exports} == {tmp_path / "site"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "site"]
    assert [problem.path for problem in report.problems] == ["4/result.json"]


def test_what_was_left_out_is_on_the_page(results, tmp_path):
    (results / "damaged").mkdir()
    (results / "damaged" / "result.json").write_text('{"run": ')
    report = build(results, tmp_path / "site")
    words = Page(report.pages[0].read_text(encoding="utf-8")).words()
    assert "1 run file left out damaged/result.json : not JSON" in words.replace("json:", "json :")
    assert report.problems[0].path == "damaged/result.json" and str(tmp_path) not in words


def test_csv_files_beside_the_page(results, tmp_path):
    report = build(results, tmp_path / "site")
    whole, *single = [list(csv.DictReader(path.open(encoding="utf-8", newline=""))) for path in report.exports]
    assert report.exports[0] == tmp_path / "site" / "leaderboard.csv"
    assert [len(rows) for rows in single] == [7, 2] and len(whole) == 9
    assert all(len({row["protocol_digest"] for row in rows}) == 1 for rows in single)
    best = [row for row in single[0] if row["psnr_rank"] == "1" and row["dataset"] == "cufed5"]
    assert [(row["method"], float(row["psnr_y"])) for row in best] == [("c2.rec", 28.0)]
    assert [row["psnr_y"] for row in single[1] if row["method"] == "c2.rec"] == ["inf"]


def test_foreign_files_stay(results, tmp_path):
    out = tmp_path / "site"
    out.mkdir()
    (out / "CNAME").write_text("example.org")
    build(results, out)
    build(results, out)
    assert (out / "CNAME").read_text() == "example.org"
    assert not [path for path in out.iterdir() if path.name.endswith(".partial")]


@pytest.mark.parametrize("name", ["index.html", "leaderboard.csv"])
def test_a_file_of_another_origin_is_not_overwritten(results, tmp_path, name):
    out = tmp_path / "site"
    out.mkdir()
    (out / name).write_text("<h1>My home page</h1>")
    with pytest.raises(ResultError, match="not written by refsr-bench"):
        build(results, out)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "<h1>My home page</h1>"


def test_an_out_folder_that_cannot_be_written_is_said_so(results, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ResultError, match="cannot write the site there"):
            build(results, out)


def test_nothing_to_show_writes_nothing(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(ResultError, match=r"no result\.json below this folder"):
        build(tmp_path / "results", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_duplicates_leave_the_old_site(results, tmp_path):
    page = build(results, tmp_path / "site").pages[0]
    before = page.read_bytes()
    shutil.copytree(results / "0", results / "copy")
    with pytest.raises(ResultError, match="both hold bicubic"):
        build(results, tmp_path / "site")
    assert page.read_bytes() == before
