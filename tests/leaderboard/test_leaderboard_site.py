"""The built folder: what the page says, that it is inert, and that building loses nothing."""

import csv
import json
import os
import shutil
import threading
from functools import partial

import pytest
from runs import store_several
from site_pages import Page

from leaderboard.pages import site
from refsr_bench.core.errors import BenchError

build = partial(site.build, images="none", drawn=False)  # tables, methods and statistics


@pytest.fixture
def results(tmp_path):
    return store_several(tmp_path / "results")


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


def test_csv_and_json_beside_the_page(results, tmp_path):
    report = build(results, tmp_path / "site")
    names = [path.name for path in report.exports if path.name.startswith("leaderboard")]
    read = {name: list(csv.DictReader((tmp_path / "site" / name).open(encoding="utf-8", newline=""))) for name in names}
    whole, *single = read.values()
    assert names[0] == "leaderboard.csv"
    assert [len(rows) for rows in single] == [7, 2] and len(whole) == 9
    assert all(len({row["protocol_digest"] for row in rows}) == 1 for rows in single)
    best = [row for row in single[0] if row["psnr_rank"] == "1" and row["dataset"] == "cufed5"]
    assert [(row["method"], float(row["psnr_y"])) for row in best] == [("c2matching", 28.0)]
    assert [row["psnr_y"] for row in single[1] if row["method"] == "c2matching"] == ["inf"]
    tables = json.loads((tmp_path / "site" / "leaderboard.json").read_text(encoding="utf-8"))["tables"]
    assert [len(table["rows"]) for table in tables] == [5, 2]


def test_the_first_page_leads_to_pages_that_are_there(results, tmp_path):
    report = build(results, tmp_path / "site")
    assert report.pages[0] == tmp_path / "site" / "index.html"
    page = Page(report.pages[0].read_text(encoding="utf-8"))
    hrefs = {a["href"] for tag, a in page.tags if tag == "a" and not a["href"].startswith(("#", "https:"))}
    assert len(hrefs) > 10
    for href in hrefs:
        name, _, anchor = href.partition("#")
        text = (tmp_path / "site" / name).read_text(encoding="utf-8")
        assert not anchor or f'id="{anchor}"' in text


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
    with pytest.raises(BenchError, match="not written by refsr-bench"):
        build(results, out)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "<h1>My home page</h1>"


def test_an_out_folder_that_cannot_be_written_is_said_so(results, tmp_path):
    (tmp_path / "file").write_text("x")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(BenchError, match=r"The folder .*file.* cannot be made: "):
            build(results, out)


def test_nothing_to_show_writes_nothing(tmp_path):
    (tmp_path / "results").mkdir()
    with pytest.raises(BenchError, match=r"no result\.json below this folder"):
        build(tmp_path / "results", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_duplicates_leave_the_old_site(results, tmp_path):
    page = build(results, tmp_path / "site").pages[0]
    before = page.read_bytes()
    shutil.copytree(results / "0", results / "copy")
    with pytest.raises(BenchError, match="both hold bicubic"):
        build(results, tmp_path / "site")
    assert page.read_bytes() == before


def test_a_site_that_vanishes_while_it_is_built_is_no_success(results, tmp_path, monkeypatch):
    out, write = tmp_path / "site", site.files.write_text

    def vanish(path, text):
        write(path, text)
        if path.name == "leaderboard.csv":
            shutil.rmtree(out)

    monkeypatch.setattr(site.files, "write_text", vanish)
    with pytest.raises(BenchError):
        build(results, out)
    assert not out.exists()


def test_a_build_that_waited_for_another_shows_the_results_of_then(results, tmp_path, monkeypatch):
    out, begun, read = tmp_path / "site", threading.Event(), site.read_folder
    run_file = next(results.rglob("result.json"))
    late = run_file.rename(tmp_path / "late.json")

    def seen(folder):
        found = read(folder)
        begun.set()
        return found

    monkeypatch.setattr(site, "read_folder", seen)
    out.mkdir()
    with site.files.locked(out, "Another build"):
        second = threading.Thread(target=build, args=(results, out))
        second.start()
        assert begun.wait(60)
        late.rename(run_file)
    second.join()
    build(results, tmp_path / "whole")
    names = ("index.html", "leaderboard.csv", "leaderboard.json")
    assert [(out / name).read_bytes() for name in names] == [(tmp_path / "whole" / name).read_bytes() for name in names]
