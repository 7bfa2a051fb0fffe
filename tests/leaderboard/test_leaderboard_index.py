"""The first page without its script: what it says, that it is inert, accessible, valid, and small."""

import json
import re

import html5lib
import pytest
from msgspec import structs
from runs import make, store, store_several
from site_pages import HOSTILE, Page, index_text

from leaderboard.pages import index
from leaderboard.pages.pages import ASSETS
from leaderboard.reading.load import read_folder
from leaderboard.reading.published import Source
from leaderboard.tables.model import method_path
from leaderboard.tables.tables import build_tables

BIDI = "\u202eevil\u2066"


@pytest.fixture
def results(tmp_path):
    return store_several(tmp_path / "results")


def by_title(board):
    return {re.split(r"\d{4}(?: · |$)", row["cells"][0]["text"])[0]: row for row in board["rows"]}


def test_tables_as_published(results):
    first, second = Page(index_text(results)).boards
    rows = by_title(first)
    assert [cell["text"] for cell in first["rows"][0]["cells"]] == [
        "Method",
        "CUFED5PSNR-Y / SSIM-Y",
        "WRSRPSNR-Y / SSIM-Y",
        "WRSR1not officialPSNR-Y / SSIM-Y",
    ]
    assert list(rows) == [
        "Method",
        "SISR",
        "Bicubic",
        "Ref-SR",
        "Broken",
        "C²-Matching (GAN-trained)",
        "C²-Matching-rec",
        "Limited",
    ]
    assert rows["C²-Matching-rec"]["cells"][1]["marks"] == [("b", "28.00"), ("b", ".9000")]
    gan = rows["C²-Matching (GAN-trained)"]
    assert gan["cells"][1]["marks"] == [("mark", "27.00"), ("mark", ".8000")]
    assert rows["Bicubic"]["cells"][1]["marks"] == []
    assert gan["class"] == "gan" and rows["C²-Matching-rec"]["class"] == ""
    assert "gan.pth" in gan["cells"][0]["text"]
    assert rows["C²-Matching-rec"]["cells"][2]["text"] == "-"
    for name, covered in (("Limited", "1 of 3 images"), ("Broken", "2 of 3 images")):
        cell = rows[name]["cells"][1]
        assert "unranked" in cell["class"] and not cell["marks"] and covered in cell["text"]
    assert "protocol srntt" in second["caption"]
    assert by_title(second)["C²-Matching-rec"]["cells"][1]["marks"][0] == ("b", "∞")


def test_published_numbers_stand_below_measured_ones(results):
    page = Page(index_text(results))
    rows = by_title(page.boards[0])
    rec = rows["C²-Matching-rec"]["cells"]
    assert rec[1]["text"].endswith("publ. 28.24 / .8412diff. −0.24 / +.059")
    assert "rec.pth" in rec[0]["text"] and "1.2 M parameters, published with 8.9 M" in rec[0]["text"]
    source = next(a for a in rec[1]["links"] if a["href"].startswith("#source-"))
    assert source["href"].removeprefix("#") in {a.get("id") for _, a in page.tags}
    assert "publ. 24.22 / .6843" in rows["Bicubic"]["cells"][1]["text"]
    assert "publ." not in rows["Bicubic"]["cells"][3]["text"]  # not the official data set
    assert "Robust Reference-based Super-Resolution via C2-Matching (2021), Table 1" in page.words()


def test_published_tables_are_ranked_in_themselves(results):
    page = Page(index_text(results))
    table = next(t for t in page.tables if "C²-Matching (2021), Table 1" in t["caption"])
    rows = by_title(table)
    assert rows["C²-Matching-rec"]["cells"][1]["marks"] == [("b", "28.24"), ("b", ".841")]
    assert [cell["text"] for cell in rows["SSEN-rec"]["cells"][1:]] == ["26.78 / .791", "-", "-", "-", "-"]
    assert [row["class"] for row in table["rows"]].count("gan") == 10
    order = list(rows)
    assert order[order.index("SRNTT (GAN-trained)") + 1] == "SRNTT-rec"
    assert not any(cell["links"] for row in table["rows"] for cell in row["cells"])


def test_differences_between_protocols_are_said(results):
    words = Page(index_text(results)).words()
    assert "Against srntt: 1 choice differs Pixels left out on every side before measuring: c2, 4; srntt, 0." in words
    assert "Against c2: 1 choice differs" in words


def test_the_page_is_accessible_and_valid(results):
    text = index_text(results)
    page = Page(text)
    for table in page.tables:
        assert table["caption"].strip()
        heads = [cell for row in table["rows"] for cell in row["cells"] if cell["tag"] == "th"]
        assert heads and all(cell["scope"] in ("col", "row", "rowgroup") for cell in heads)
        assert all(row["cells"][0]["tag"] == "th" for row in table["rows"])
        widths = {sum(int(cell.get("colspan", 1)) for cell in row["cells"]) for row in table["rows"]}
        assert len(widths) == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in ("aria-labelledby", "for"):
        named = {attributes[name] for _, attributes in page.tags if name in attributes}
        assert named <= set(ids)
    anchors = {a["href"][1:] for t, a in page.tags if t == "a" and a["href"].startswith("#")}
    assert anchors and anchors <= set(ids)
    html5lib.HTMLParser(strict=True).parse(text)


def test_every_number_leads_to_its_evidence(results):
    tables = build_tables(read_folder(results).benchmarks())
    page = Page(index_text(results))
    expected = {f"{method_path(c.run.result.run.method)}#{c.anchor}" for t in tables for c in t.cells}
    cells = [cell for board in page.boards for row in board["rows"] for cell in row["cells"] if cell["tag"] == "td"]
    links = [cell["links"][0]["href"] for cell in cells if cell["text"] != "-"]
    assert len(links) == 9 and set(links) == expected


def test_the_page_needs_no_one_and_its_script_is_a_file(results):
    text = index_text(results)
    page = Page(text)
    assert "url(" not in text and "@import" not in text and "http:" not in text
    assert not {tag for tag, _ in page.tags} & {"img", "iframe", "object", "embed", "base", "form", "style"}
    scripts = [a for t, a in page.tags if t == "script"]
    assert scripts == [
        {"type": "application/json", "id": "grids"},
        {"src": "assets/page.js", "defer": None},
        {"src": "assets/exports.js", "defer": None},
        {"src": "assets/rows.js", "defer": None},
        {"src": "assets/table.js", "defer": None},
    ]
    for tag, attributes in page.tags:
        assert not {"srcset", "action", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "a" and "https:" in attributes["href"]:
            assert attributes["href"].startswith(("https://arxiv.org/", "https://doi.org/", "https://github.com/"))
    policy = [a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"]
    assert "default-src 'none'" in policy[0] and "unsafe" not in policy[0]


def test_hostile_text_stays_text(tmp_path):
    result = make(
        HOSTILE,
        title=HOSTILE + BIDI,
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
    method = structs.replace(result.run.method, paper="javascript:alert(5)")
    metrics = tuple(structs.replace(m, title=HOSTILE, unit="</script>") for m in result.run.metrics)
    run = structs.replace(result.run, method=method, metrics=metrics)
    store(tmp_path / "1", structs.replace(result, run=run))
    path = store(tmp_path / "2", make("surrogate"))
    path.write_text(path.read_text().replace('"surrogate"', '"lone \\ud800 half"'))
    store(tmp_path / "3", make("../../up", protocol="../../up"))
    (tmp_path / "4").mkdir()
    (tmp_path / "4" / "result.json").write_text('{"<script>alert(4)</script>": 1}')
    text = index_text(tmp_path, title=HOSTILE)
    page = Page(text)
    assert [a.get("src") for t, a in page.tags if t == "script"] == [
        None,
        "assets/page.js",
        "assets/exports.js",
        "assets/rows.js",
        "assets/table.js",
    ]
    assert not {"img", "iframe"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    hrefs = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    assert all(href.startswith(("#", "leaderboard", "methods/", "https://", "index.html")) for href in hrefs)
    assert not any(".." in href or "javascript" in href.split("#")[0].split(":")[0] for href in hrefs)
    assert page.words().count(HOSTILE) > 10
    assert not any("\ud800" <= character <= "\udfff" for character in text)
    assert not {"\x00", "\u202e", "\u2066"} & set(text)
    block = re.search(r'id="grids">(.*?)</script>', text, re.DOTALL)[1]
    found = json.loads(block)
    assert any(HOSTILE in row["group"] for item in found for row in item["rows"])
    assert "\u202e" not in json.dumps(found, ensure_ascii=False)
    html5lib.HTMLParser(strict=True).parse(text)


def test_what_was_left_out_is_on_the_page(results):
    (results / "damaged").mkdir()
    (results / "damaged" / "result.json").write_text('{"run": ')
    words = Page(index_text(results)).words()
    assert "1 run file left out damaged/result.json: not JSON" in words and str(results) not in words


def test_a_data_block_cannot_be_left():
    block = str(index.data_block(["</script><!--", "\u2028&"]))
    assert not {"<", ">", "&", "\u2028"} & set(block)
    assert json.loads(block) == ["</script><!--", "\u2028&"]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("arXiv:2106.01863", "https://arxiv.org/abs/2106.01863"),
        ("doi:10.1/x", "https://doi.org/10.1/x"),
        ("https://github.com/a/b", "https://github.com/a/b"),
        ("OpenReview x", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_addresses_of_sources(text, link):
    assert index.source_link(Source("k", "t", "s", 2021, text, "Table 1")) == link


def test_the_first_page_of_twenty_methods_is_small(tmp_path):
    names = ("cufed5", "sun80", "urban100", "manga109", "wrsr")
    runs = [
        make(f"method-{n}", [25 + n] * 3, [0.7], dataset=name, protocol=protocol, weights=f"method-{n}.pth")
        for n in range(20)
        for name in names
        for protocol in ("c2", "srntt")
    ]
    for n, run in enumerate(runs):
        store(tmp_path / str(n), run)
    assets = [ASSETS / name for name in ("style.css", "page.js", "exports.js", "rows.js", "table.js")]
    assert len(index_text(tmp_path).encode()) + sum(path.stat().st_size for path in assets) < 300_000
