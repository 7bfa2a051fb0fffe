"""Queries: filters, duplicates, licences, and going on where it stopped."""

import http.server
from pathlib import Path

import pytest
from album import SCENES, jpeg, save, scene, view

from refsr_bench.builder import queries
from refsr_bench.builder.project import Project
from refsr_bench.builder.queries import Wanted
from refsr_bench.builder.stated import Statements
from refsr_bench.core.errors import Misuse

SMALL = {"query_min_long_side": 100}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.create(tmp_path / "p", **SMALL)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """BSDS500's layout with what people have in such folders."""
    folder = tmp_path / "images"
    for n, which in enumerate(SCENES[:3]):
        save(view(which, 0), folder / ("train" if n else "test") / f"{n}.jpg")
    save(view(0, 0), folder / "train" / "again.png")
    save(view(0, 0).resize((200, 150)), folder / "val" / "smaller.jpg", 80)
    save(view(1, 0).resize((80, 60)), folder / "val" / "tiny.png")
    save(scene(4).resize((40, 30)).resize((320, 240)), folder / "val" / "soft.png")
    save(view(1, 2), folder / "val" / "crushed.jpg", 8)
    (folder / "val" / "broken.jpg").write_bytes(jpeg(view(1, 0), 90)[:1500])
    (folder / "val" / "Thumbs.db").write_bytes(b"not an image")
    return folder


def test_images_are_filtered_and_every_reason_is_kept(project: Project, photos: Path) -> None:
    tally = queries.add_folders(project, [photos])
    assert tally == {
        "kept": 3, "duplicate": 2, "too small": 1, "soft": 1, "over-compressed": 1, "unreadable": 1,
    }  # fmt: skip
    rows = project.queries
    assert [row.id for row in rows] == [f"{n:03d}" for n in range(1, 10)]
    kept = project.kept_queries
    assert all(project.file(row.file).is_file() and (row.width, row.height) == (240, 180) for row in kept)
    assert {row.source_url for row in kept} == {f"images/{name}.jpg" for name in ("test/0", "train/1", "train/2")}
    assert sorted(path.name for path in (project.path / "queries").iterdir()) == sorted(
        Path(row.file).name for row in kept
    )


def test_a_second_run_adds_only_what_is_new(project: Project, photos: Path) -> None:
    queries.add_folders(project, [photos])
    before = project.table("queries").read_bytes()
    assert not queries.add_folders(project, [photos])
    assert project.table("queries").read_bytes() == before
    save(view(7, 0), photos / "val" / "new.png")
    assert queries.add_folders(project, [photos]) == {"kept": 1}
    assert project.queries[-1].id == "010"


def test_what_is_known_of_images_is_kept(project: Project, photos: Path, tmp_path: Path) -> None:
    facts = tmp_path / "facts.csv"
    facts.write_text("file,category,creator,license_version,text\nimages/test/0.jpg,building,Ada,4.0,an old tower\n")
    stated = Statements.read({"license": "by", "category": "outdoor"}, facts, queries=True)
    queries.add_folders(project, [photos / "test"], stated)
    (row,) = project.queries
    assert (row.license, row.license_version, row.category, row.creator, row.text) == (
        "by", "4.0", "building", "Ada", "an old tower",
    )  # fmt: skip
    assert len(row.retrieved) == 10 and len(row.sha256) == 64


def test_categories_and_a_limit_choose(project: Project, photos: Path) -> None:
    plants = Statements({"category": "plant"})
    assert not queries.add_folders(project, [photos], plants, Wanted(["animal"]))
    assert queries.add_folders(project, [photos], plants, Wanted(["plant"], limit=1))["kept"] == 1
    with pytest.raises(Misuse, match="category 'dog'"):
        queries.add_folders(project, [photos], Statements({"category": "dog"}))
    with pytest.raises(Misuse, match="category dog"):
        Wanted(["dog"])


def test_mistakes_are_named(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Misuse, match="no images"):
        queries.add_folders(project, [tmp_path / "empty"])
    save(view(0, 0), tmp_path / "odd" / "caf\udce9.png")
    with pytest.raises(Misuse, match="no UTF-8"):
        queries.add_folders(project, [tmp_path / "odd"])
    with pytest.raises(Misuse, match="no such folder"):
        queries.add_folders(project, [tmp_path / "nowhere"])
    (tmp_path / "facts.csv").write_text("file,colour\na,b\n")
    with pytest.raises(Misuse, match="colour"):
        Statements.read({}, tmp_path / "facts.csv", queries=True)
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(Misuse, match="lists no addresses"):
        queries.add_urls(project, tmp_path / "list.txt")
    (tmp_path / "list.csv").write_text("address,license\nhttps://example.org/a.jpg,by\n")
    with pytest.raises(Misuse, match="CSV with a column url"):
        queries.add_urls(project, tmp_path / "list.csv")


def test_addresses_are_fetched_through_the_polite_client(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from refsr_bench.builder.fetching import fetch
    from refsr_bench.core.errors import BenchError

    asked = []

    def fake(self: fetch.Client, url: str) -> fetch.Fetched:
        asked.append(url)
        if url.endswith("gone.jpg"):
            raise BenchError(f"{url}: 404")
        data = jpeg(view(0, 0), 90)
        return fetch.Fetched("image/jpeg", ".jpg", 240, 180, url, "2024-01-01", data)

    monkeypatch.setattr(fetch.Client, "image", fake)
    monkeypatch.setenv("REFSR_CONTACT", "tests@example.org")
    listed = tmp_path / "list.csv"
    listed.write_text("url,license,creator\nhttps://example.org/a.jpg,by-sa,Ada\nhttps://example.org/gone.jpg,,\n")
    assert queries.add_urls(project, listed) == {"kept": 1, "unreadable": 1}
    row = project.kept_queries[0]
    assert (row.source_url, row.license, row.creator) == ("https://example.org/a.jpg", "by-sa", "Ada")
    assert asked == ["https://example.org/a.jpg", "https://example.org/gone.jpg"]


def test_a_private_address_is_refused(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSR_CONTACT", "tests@example.org")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        listed = tmp_path / "list.txt"
        listed.write_text(f"http://127.0.0.1:{server.server_address[1]}/a.jpg\n")
        assert queries.add_urls(project, listed) == {"unreadable": 1}
