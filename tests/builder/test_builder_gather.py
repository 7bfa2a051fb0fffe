"""The pool from the web, end to end: questions, downloads, rows, and going on after anything."""

import dataclasses
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from refsr_bench.builder import tables
from refsr_bench.builder.fetching.fetch import Client
from refsr_bench.builder.pool.providers import open_provider
from refsr_bench.builder.pool.providers.base import Place, Search
from refsr_bench.builder.pool.providers.openverse import Openverse
from refsr_bench.builder.pool.web import CACHE, Caption, from_web, gather, policy_of, searches
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import DROPPED, Query
from refsr_bench.core.errors import Misuse

BY = "https://creativecommons.org/licenses/by/2.0/"


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "P", contact="tests@example.org", top=3)
    queries = [
        Query("001", "queries/001.png", text="tower bridge"),
        Query("002", "queries/002.png", text="lighthouse"),
        Query("003", "queries/003.png"),
        Query("004", "queries/004.png", text="dropped", state=DROPPED),
    ]
    tables.write(project.table("queries"), queries)
    return project


@pytest.fixture
def world(web, photo):
    """Openverse and its images: ``world(word, [names])`` says what is found for a word; files are ``/img/<name>``."""

    def encoded(name, kind="JPEG"):
        file = io.BytesIO()
        Image.fromarray(np.roll(photo(48, 64), sum(name.encode()), axis=1)).save(file, kind)
        return file.getvalue()

    def search(request):
        names = found.get(request.query["q"], [])
        results = [{"url": f"{web.url}/img/{name}", "license": "by", "license_url": BY} for name in names]
        results = [entry | {"creator": f"c {n}", "foreign_landing_url": BY} for n, entry in enumerate(results)]
        return {"result_count": len(names), "page_count": 1, "page_size": 20, "page": 1, "results": results}

    found: dict[str, list[str]] = {}
    web.pages["/v1/images/"] = search

    def finds(word, names):
        found[word] = names
        for name in names:
            web.pages.setdefault(f"/img/{name}", encoded(name))

    finds.encoded = encoded
    return finds


@pytest.fixture
def run(project, web, monkeypatch):
    """``run()``: one run with Openverse, as a new process would do it."""
    for name in ("OPENVERSE_CLIENT_ID", "OPENVERSE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def go(asked=None, n=3, retries=0, **changes):
        policy = policy_of(project)
        policy = type(policy)(**{**vars(policy), "allow_loopback": True, "interval": 0, "retries": retries, **changes})
        client = Client(policy, sleep=lambda seconds: None)
        provider = open_provider("openverse", client)
        provider.endpoint = f"{web.url}/v1/"
        return gather(project, [provider], asked or searches(project.kept_queries, []), n)

    return go


def test_hits_become_rows_and_files(project, web, world, run):
    world("tower bridge", ["a", "b", "c", "d"])
    world("lighthouse", ["b", "e"])
    result = run()
    assert result.added == {"openverse": 5}
    assert result.notes == ("1 queries have no words to search for: fill their 'text', or give captions.",)
    rows = project.pool
    assert [(row.query, row.source_url[-1], row.rank) for row in rows] == [
        *(("001", "a", 1), ("001", "b", 2), ("001", "c", 3)),
        *(("002", "b", 1), ("002", "e", 2)),
    ]
    first = rows[0]
    assert (first.provider, first.license, first.license_version, first.license_url) == ("openverse", "by", "2.0", BY)
    assert (first.creator, first.landing_url, first.width, first.height) == ("c 0", BY, 64, 48)
    assert len(first.retrieved) == 10
    assert project.file(first.file).read_bytes() == web.pages["/img/a"]
    assert rows[1].file == rows[3].file, "one file, two queries"
    assert web.paths().count("/img/b") == 1


def test_a_second_run_asks_nobody(project, web, world, run):
    world("tower bridge", ["a", "b", "c"])
    world("lighthouse", ["d"])
    run()
    before, asked = project.pool, len(web.asked)
    assert run().added == {}
    assert project.pool == before
    assert len(web.asked) == asked


def test_files_lie_on_the_disk_once(project, world, run):
    world("tower bridge", ["a"])
    run()
    (body,) = [path for path in (project.path / CACHE).rglob("*.body") if path.stat().st_nlink > 1]
    assert body.samefile(project.file(project.pool[0].file))


@pytest.mark.parametrize("at", ["b", "c", "d"])
def test_a_kill_loses_nothing_and_repeats_nothing(project, web, world, run, monkeypatch, at):
    world("tower bridge", ["a", "b", "c"])
    world("lighthouse", ["d", "e"])
    append = tables.append

    def killed(path, rows):
        if rows[0].source_url.endswith(at):
            raise KeyboardInterrupt
        append(path, rows)

    monkeypatch.setattr(tables, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(tables, "append", append)
    run()
    assert [row.source_url[-1] for row in project.pool] == ["a", "b", "c", "d", "e"]
    images = [path for path in web.paths() if path.startswith("/img")]
    assert sorted(images) == [f"/img/{name}" for name in "abcde"]


def test_what_cannot_be_had_is_noted_and_made_up_for(project, web, world, run):
    world("tower bridge", ["page", "gone", "cmyk", "busy", "twin", "a", "b", "c", "d"])
    web.pages["/img/page"] = b"<html>buy this photo</html>"
    web.pages["/img/gone"] = (404, {}, b"")
    cmyk = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 4), np.uint8), "CMYK").save(cmyk, "JPEG")
    web.pages["/img/cmyk"] = cmyk.getvalue()
    web.pages["/img/busy"] = (503, {}, b"")
    web.pages["/img/a"] = world.encoded("a", "PNG")
    web.pages["/img/twin"] = world.encoded("a", "BMP")  # other bytes, the same pixels
    result = run()
    assert [row.source_url.rpartition("/")[2] for row in project.pool] == ["twin", "b", "c"]
    assert [row.file[-4:] for row in project.pool] == [".bmp", ".jpg", ".jpg"]
    text = "\n".join(result.notes)
    assert "3 images refused" in text
    assert "a web page" in text
    assert "1 images not yet fetched" in text
    assert len(list((project.path / "pool/files").iterdir())) == 3, "files without a row"
    web.pages["/img/busy"] = world.encoded("busy")
    run(n=4)
    assert [row.source_url.rpartition("/")[2] for row in project.pool][3:] == ["busy"]
    assert Counter(web.paths())["/img/page"] == 1
    assert Counter(web.paths())["/img/gone"] == 1


def test_a_provider_that_asks_for_a_pause_is_left_alone(project, web, world, run):
    world("tower bridge", ["a"])
    world("lighthouse", ["b"])
    search = web.pages["/v1/images/"]
    web.pages["/v1/images/"] = (429, {"Retry-After": "4000"}, b"")
    result = run()
    assert result.added == {}
    assert any("openverse was not asked further: " in note and "wait 4000 s" in note for note in result.notes)
    assert web.paths() == ["/v1/images/"]
    web.pages["/v1/images/"] = search
    assert run().added == {"openverse": 2}


def test_one_failing_search_is_not_the_end(project, web, world, run):
    world("lighthouse", ["b"])
    search = web.pages["/v1/images/"]
    web.pages["/v1/images/"] = lambda request: (
        (400, {}, b'{"detail": "bad words"}') if request.query["q"] == "tower bridge" else search(request)
    )
    result = run()
    assert [row.query for row in project.pool] == ["002"]
    assert any("1 searches of openverse failed; the first" in note and "bad words" in note for note in result.notes)
    asked = {query.id: Search(query.id) for query in project.kept_queries}
    web.pages["/v1/images/"] = (400, {}, b"")
    assert any("not asked further" in note for note in run(asked).notes)
    assert len([path for path in web.paths() if path == "/v1/images/"]) == 2 + 3


def test_a_private_address_from_a_provider_is_not_visited(project, web, world, run):
    def search(request):
        results = [{"url": "http://169.254.169.254/latest/meta-data", "license": "by", "license_url": BY}]
        return {"result_count": 1, "page_count": 1, "page_size": 20, "page": 1, "results": results}

    web.pages["/v1/images/"] = search
    result = run(asked={"001": Search("x")})
    assert result.added == {}
    assert any("no public address" in note for note in result.notes)


def test_only_one_process_gathers(project, world, run):
    with project.lock("pool"), pytest.raises(Misuse, match="another process"):
        run()


def test_captions(project, tmp_path):
    table = tmp_path / "captions.csv"
    table.write_text(
        'query,text,category,place\n001.png,,Tower Bridge,\n003,,,"51.5, -0.07"\nqueries/002.png,a lighthouse,,\n'
    )
    found = searches(project.kept_queries, tables.read(table, Caption), table)
    assert found == {
        "001": Search(category="Tower Bridge"),
        "002": Search("a lighthouse"),
        "003": Search(place=Place(51.5, -0.07)),
    }
    assert found["001"].words == "Tower Bridge"
    with pytest.raises(Misuse, match="no kept query '004'"):
        searches(project.kept_queries, [Caption("004", "x")])


def test_settings_are_checked_before_anybody_is_asked(project, tmp_path, monkeypatch):
    monkeypatch.delenv("REFSR_CONTACT", raising=False)
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    with pytest.raises(Misuse, match="FLICKR_API_KEY"):
        from_web(project, ["openverse", "flickr"])
    with pytest.raises(Misuse, match="contact"):
        from_web(Project.create(tmp_path / "Q"), ["openverse"])
    with pytest.raises(Misuse, match="retired"):
        from_web(project, ["bing"])


def test_from_web_under_the_projects_settings(project, web, world, tmp_path, monkeypatch):
    world("a lighthouse", ["a", "b", "c", "d", "e"])
    captions = tmp_path / "captions.csv"
    captions.write_text("query,text\n001,a lighthouse\n002,nothing\n")
    monkeypatch.setattr(Openverse, "endpoint", f"{web.url}/v1/")
    policy = dataclasses.replace(policy_of(project), allow_loopback=True, interval=0)
    monkeypatch.setattr("refsr_bench.builder.pool.web.policy_of", lambda project: policy)
    seen = []
    result = from_web(project, ["openverse"], captions, lambda done, total: seen.append((done, total)))
    assert [row.query for row in project.pool] == ["001"] * 3, "top = 3"
    assert result.added == {"openverse": 3}
    assert seen == [(1, 2), (2, 2)]
    assert web.asked[0][1]["license"] == "cc0,pdm,by,by-sa"
