"""The selection page's server and its log: nothing is lost, nobody else gets in, and votes come to what they should."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from selection import lines, write_project
from visitor import Visitor

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Cleaned
from refsr_bench.builder.selection import decisions
from refsr_bench.builder.selection.agreement import agreement, cohen_kappa, mean_kappa
from refsr_bench.builder.selection.decisions import Decision, Log, auto, resolve
from refsr_bench.builder.selection.server import SelectionServer
from refsr_bench.core.errors import BenchError, Misuse

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, photo: Callable[..., np.ndarray]) -> Project:
    made = tmp_path_factory.getbasetemp() / "selection-project"
    if not made.exists():
        write_project(made, photo)
    shutil.copytree(made, tmp_path / "P")
    return Project.open(tmp_path / "P")


class Annotator(Visitor):
    def decide(self, action: str, query: str = "", nth: int | None = None, category: str = "", **more: object) -> dict:
        detail = self.json(f"/api/query/{query}") if nth else {}
        choice = detail["candidates"][nth - 1]["image"] if nth else None
        request = {"action": action, "query": query, "choice": choice, "category": category, **more}
        return self.json("/api/decide", request)


@pytest.fixture
def serving() -> Iterator[Callable[..., SelectionServer]]:
    servers = []

    def start(project: Project, annotator: str | None = "Rater1") -> SelectionServer:
        servers.append(SelectionServer(project, annotator))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# ---- decisions


def test_a_click_is_in_the_log_when_the_page_is_told(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    answer = browser.decide("select", "001", nth=1, category="building")
    assert (answer["category"], answer["lines"]) == ("building", 1)
    (line,) = lines(project)
    assert line.pop("time").startswith("20")
    assert line == {
        "annotator": "Rater1",
        "query": "001",
        "choice": "pool/files/001_1.png",
        "category": "building",
        "action": "select",
    }
    browser.decide("reject", "002")
    assert lines(project)[1]["action"] == "reject" and lines(project)[1]["choice"] is None
    assert resolve(project)[:2] == [
        decisions.Selected("001", "pool/files/001_1.png", "building", "Rater1", 1.0),
        decisions.Selected("002", "", "", "Rater1", 1.0),
    ]


def test_a_repeated_request_writes_nothing(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    first = browser.decide("select", "001", nth=2, category="plant")
    assert browser.decide("select", "001", nth=2, category="plant") == first
    assert len(lines(project)) == 1


def test_undo_goes_back_click_by_click(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    browser.decide("select", "001", nth=1)
    browser.decide("category", "001", category="landmark")
    browser.decide("select", "001", nth=3)
    browser.decide("reject", "002")
    first, _, third = (one["image"] for one in browser.json("/api/query/001")["candidates"])
    undone = [browser.decide("undo", lines=n) for n in (4, 3, 2, 1)]
    assert [one["id"] for one in undone] == ["002", "001", "001", "001"]
    assert [(one["choice"], one["category"], one["rejected"]) for one in undone] == [
        (None, "", False),
        (first, "landmark", False),
        (first, "", False),
        (None, "", False),
    ]
    assert third not in {one["choice"] for one in undone}
    assert browser("/api/decide", {"action": "undo", "lines": 0})[0] == 409
    assert len(lines(project)) == 8, "undo adds a line, it removes none"
    assert [row.query for row in resolve(project)] == ["004"]


def test_undo_asks_for_what_the_page_knew(project: Project, serving: Callable[..., SelectionServer]) -> None:
    server = serving(project)
    here, there = Annotator(server).open(), Annotator(server).open()
    here.decide("reject", "001")
    there.decide("reject", "002")
    status, reason, _ = here("/api/decide", {"action": "undo", "lines": 1})
    assert status == 409 and b"elsewhere" in reason
    assert len(lines(project)) == 2


def test_annotators_do_not_see_each_other(project: Project, serving: Callable[..., SelectionServer]) -> None:
    first, second = (Annotator(serving(project, name)).open() for name in ("Rater1", "Rater2"))
    first.decide("select", "001", nth=1, category="building")
    overview = second.json("/api/project")
    assert overview["lines"] == 0
    assert all(query["choice"] is None and not query["category"] for query in overview["queries"])
    assert "Rater1" not in json.dumps(overview)
    second.decide("select", "001", nth=2, category="building")
    assert first.json("/api/project")["lines"] == 1
    assert {line["annotator"] for line in lines(project)} == {"Rater1", "Rater2"}


def test_the_name_is_asked_once(project: Project, serving: Callable[..., SelectionServer]) -> None:
    server = serving(project, None)
    browser = Annotator(server).open()
    assert browser.json("/api/project")["annotator"] is None
    assert browser("/api/decide", {"action": "reject", "query": "001"})[0] == 409
    for bad in ("", "  ", "a,b", "auto", "x" * 41, "a\x00b"):
        assert browser("/api/name", {"name": bad})[0] == 409
    assert browser.json("/api/name", {"name": " Zoë  Ä "})["annotator"] == "Zoë Ä"
    browser.decide("reject", "001")
    assert lines(project)[0]["annotator"] == "Zoë Ä"
    later = Annotator(serving(project, None))
    later.cookies["refsr_annotator"] = browser.cookies["refsr_annotator"]
    assert later.open().json("/api/project")["annotator"] == "Zoë Ä"
    assert decisions.person("zoë ä", ["Zoë Ä"]) == "Zoë Ä"


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "select", "query": "001", "choice": "../../etc/passwd"},
        {"action": "select", "query": "001", "choice": None},
        {"action": "select", "query": "001", "choice": ["x"]},
        {"action": "reject", "query": "nowhere"},
        {"action": "reject", "query": "004"},
        {"action": "reject", "query": "001", "category": "weather"},
        {"action": "category", "query": "001"},
        {"action": "reject", "query": ["001"]},
        {"action": ["reject"], "query": "001"},
        {"action": "reject", "query": "001", "category": {}},
        {"action": "reject", "query": "001", "unknown": 1},
        {"action": "undo", "lines": "1"},
        {"action": "drop", "query": "001"},
        {},
    ],
)
def test_nonsense_is_refused_and_not_written(
    project: Project, serving: Callable[..., SelectionServer], request_: dict
) -> None:
    browser = Annotator(serving(project)).open()
    assert browser("/api/decide", request_)[0] == 409
    other = browser.json("/api/query/002")["candidates"][0]["image"]
    assert browser("/api/decide", {"action": "select", "query": "001", "choice": other})[0] == 409
    assert not project.selection_log.exists()


def test_a_torn_line_is_dropped_and_mended(project: Project) -> None:
    log = Log(project.selection_log)
    decision = Decision("2026-01-01", "Rater1", "001", None, "", "reject")
    log.add(lambda _: decision)
    with project.selection_log.open("ab") as file:
        file.write(b'{"time": "2026", "annot')
    assert log.read() == [decision]
    log.add(lambda _: decision)
    assert Log(project.selection_log).read() == [decision, decision]
    project.selection_log.write_bytes(b'{"time": "x"}\n' + project.selection_log.read_bytes())
    with pytest.raises(BenchError, match="line 1"):
        log.read()


def test_a_full_disk_is_said_and_leaves_the_log_whole(
    project: Project, serving: Callable[..., SelectionServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Annotator(serving(project)).open()
    browser.decide("reject", "001")
    before = project.selection_log.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, reason, _ = browser("/api/decide", {"action": "reject", "query": "002"})
    assert status == 500 and b"No space left" in reason
    assert project.selection_log.read_bytes() == before
    browser.decide("reject", "002")
    assert len(lines(project)) == 2


def test_two_processes_append_at_once(project: Project) -> None:
    code = (
        "import sys; from pathlib import Path; from refsr_bench.builder.selection.decisions import Decision, Log\n"
        "log = Log(Path(sys.argv[1]))\n"
        "for n in range(20): log.add(lambda _: Decision('t', sys.argv[2], str(n), None, '', 'reject'))"
    )
    command = [sys.executable, "-c", code, str(project.selection_log)]
    started = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("Rater1", "Rater2")]
    assert [process.wait(20) for process in started] == [0, 0]
    found = Log(project.selection_log).read()
    assert [sum(line.annotator == name for line in found) for name in ("Rater1", "Rater2")] == [20, 20]


def test_a_kill_loses_nothing_that_was_acknowledged(project: Project) -> None:
    code = (
        "import sys; from refsr_bench.builder.project import Project\n"
        "from refsr_bench.builder.selection.server import serve\n"
        "serve(Project.open(sys.argv[1]), 'Rater1', open_browser=False, announce=lambda text: print(text, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(project.path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    address = process.stdout.readline().split()[-1]
    port = urlsplit(address).port
    browser = Annotator(type("Elsewhere", (), {"server_port": port, "url": address})()).open()
    browser.decide("select", "002", nth=2, category="plant")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    assert [line["query"] for line in lines(project)] == ["002"]


# ---- who gets in


def test_without_the_token_there_is_nothing(project: Project, serving: Callable[..., SelectionServer]) -> None:
    stranger = Annotator(serving(project))
    for path in ("/", "/app.js", "/api/project", "/?token=", "/?token=guess", "/api/query/001"):
        assert stranger(path)[0] == 403, path
    stranger.cookies[stranger.server.cookie] = "guess"
    assert stranger("/api/project")[0] == 403
    assert stranger("/api/decide", {"action": "reject", "query": "001"})[0] == 403
    assert not project.selection_log.exists()


def test_a_one_time_address_opens_once(project: Project, serving: Callable[..., SelectionServer]) -> None:
    server = serving(project)
    url = server.one_time_url()
    assert Annotator(server).open(url)("/api/project")[0] == 200
    parts = urlsplit(url)
    assert Annotator(server)(f"{parts.path}?{parts.query}")[0] == 403


def test_foreign_hosts_and_origins_are_refused(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    port = browser.server.server_port
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
        assert browser("/api/project", Host=host)[0] == 421, host
    assert browser("/api/project", Host=f"localhost:{port}")[0] == 200
    reject = {"action": "reject", "query": "001"}
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}", None):
        assert browser("/api/decide", reject, Origin=origin)[0] == 403, origin
    assert browser("/api/decide", reject, Content_Type="text/plain")[0] == 400
    assert not project.selection_log.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 4000, b"{" + b" " * 5000 + b"}", b"\xff"])
def test_bodies_that_are_none(project: Project, serving: Callable[..., SelectionServer], body: bytes) -> None:
    browser = Annotator(serving(project)).open()
    assert browser("/api/decide", body)[0] == 400
    assert browser.json("/api/project")["lines"] == 0


def test_every_answer_forbids_what_is_foreign(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    for path in ("/", "/app.js", "/style.css", "/icon.svg", "/api/project", "/nothing"):
        status, content, headers = browser(path)
        assert status == (404 if path == "/nothing" else 200), content
        assert headers["Content-Security-Policy"].startswith("default-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    for name in ("index.html", "app.js", "style.css"):
        text = (ROOT / "refsr_bench/builder/selection/page" / name).read_text()
        assert not [word for word in text.replace("http://www.w3.org/2000/svg", "").split() if "://" in word]
    assert "SameSite=Strict" in Annotator(browser.server)(f"/?{urlsplit(browser.server.url).query}")[2]["Set-Cookie"]
    assert browser.server.server_address[0] == "127.0.0.1"


# ---- what is shown


def test_images_are_those_of_the_tables(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    detail = browser.json("/api/query/001")
    assert [one["inliers"] for one in detail["candidates"]] == [90, 5, 0], "in rank order"
    assert [one["link"] for one in detail["candidates"]][:2] == ["https://example.org/photo", ""], "no scripts as links"
    status, data, headers = browser(f"/image/{detail['image']}")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert data == (project.path / "queries/001.png").read_bytes()
    status, data, headers = browser(f"/thumbnail/{detail['candidates'][0]['image']}")
    assert (status, headers["Content-Type"], data[:3]) == (200, "image/jpeg", b"\xff\xd8\xff")
    for path in ("/image/../build.toml", "/image/queries%2F001.png", "/image/", "/build.toml", "/api/query/004"):
        assert browser(path)[0] == 404, path


def test_tables_cannot_lead_out_of_the_project(project: Project, serving: Callable[..., SelectionServer]) -> None:
    rows = project.cleaned
    (project.path.parent / "secret.png").write_bytes((project.path / "queries/001.png").read_bytes())
    tables.write(project.table("clean"), [*rows, Cleaned("001", "../secret.png", True, rank=9)])
    with pytest.raises(BenchError, match=r"clean\.csv, line 14: file is '\.\./secret\.png', no path inside"):
        serving(project)
    tables.write(project.table("clean"), rows)
    browser = Annotator(serving(project)).open()
    (project.path / "queries/002.png").unlink()
    (project.path / "pool/files/002_1.png").write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    detail = browser.json("/api/query/002")
    assert browser(f"/image/{detail['image']}")[0] == 500
    assert browser(f"/image/{detail['candidates'][0]['image']}")[0] == 500, "whatever its name says"


def test_matches_lie_where_the_cut_was(project: Project, serving: Callable[..., SelectionServer]) -> None:
    browser = Annotator(serving(project)).open()
    first, _, third = browser.json("/api/query/001")["candidates"]
    found = browser.json(f"/api/matches/001/{first['image']}")
    assert found["inliers"] >= 20 and 0 < len(found["lines"]) <= 150
    drawn = np.array(found["lines"])
    assert np.median(np.abs(drawn[:, :2] - drawn[:, 2:] - (30, 14))) < 0.3
    matrix = np.array(found["matrix"])
    x, y, w = matrix @ (40.0, 50.0, 1.0)
    assert (x / w, y / w) == pytest.approx((70, 64), abs=1)
    assert browser.json(f"/api/matches/001/{third['image']}")["inliers"] < 15
    other = browser.json("/api/query/002")["candidates"][0]["image"]
    assert browser(f"/api/matches/001/{other}")[0] == 404


def test_nothing_to_choose_from_is_said(project: Project) -> None:
    tables.write(project.table("clean"), [], Cleaned)
    with pytest.raises(Misuse, match="no candidate"):
        SelectionServer(project)


def test_a_taken_port_and_a_bad_name_are_said(project: Project, serving: Callable[..., SelectionServer]) -> None:
    with pytest.raises(Misuse, match="Port"):
        SelectionServer(project, "Rater2", serving(project).server_port)
    with pytest.raises(Misuse, match="name"):
        SelectionServer(project, "a,b")


# ---- what it comes to


def decide(project: Project, *votes: tuple[str, str, int | None, str]) -> None:
    """votes: annotator, query, rank of the candidate or None for no proper reference, category."""
    for annotator, query, rank, category in votes:
        file = f"pool/files/{query}_{rank}.png" if rank else None
        action = "select" if rank else "reject"
        made = Decision(decisions.now(), annotator, query, file, category, action)
        Log(project.selection_log).add(lambda _, made=made: made)


def test_most_voices_win(project: Project) -> None:
    decide(project, ("A", "001", 2, "plant"), ("B", "001", 2, "animal"), ("C", "001", 1, "animal"))
    decide(project, ("A", "002", 3, ""), ("B", "002", 2, ""), ("A", "003", 1, "plant"), ("B", "003", None, ""))
    rows = {row.query: row for row in resolve(project)}
    assert rows["001"] == decisions.Selected("001", "pool/files/001_2.png", "animal", "A,B,C", pytest.approx(2 / 3))
    assert rows["002"].file == "pool/files/002_2.png", "the more similar of equals"
    assert (rows["003"].file, rows["003"].agreement) == ("", 0.5), "in doubt, no pair"
    assert (rows["004"].file, rows["004"].annotators) == ("", ""), "no candidate"


def test_a_choice_that_cleaning_removed_does_not_count(
    project: Project, serving: Callable[..., SelectionServer]
) -> None:
    decide(project, ("Rater1", "001", 1, "plant"), ("Rater1", "002", 1, ""))
    rows = [
        row if row.file != "pool/files/001_1.png" else Cleaned("001", row.file, False, "is a copy of the query")
        for row in project.cleaned
    ]
    tables.write(project.table("clean"), rows)
    assert [row.query for row in resolve(project)] == ["002", "004"]
    queries = Annotator(serving(project)).open().json("/api/project")["queries"]
    assert queries[0] == {
        "id": "001",
        "choice": None,
        "rejected": False,
        "category": "plant",
        "gone": "is a copy of the query",
    }


def test_auto_takes_the_best_that_matches(project: Project) -> None:
    rows = [row if row.query != "002" else Cleaned("002", row.file, True, rank=row.rank) for row in project.cleaned]
    tables.write(project.table("clean"), rows)
    assert auto(project) == [
        decisions.Selected("001", "pool/files/001_1.png", "", "auto"),
        decisions.Selected("002", "", "", "auto"),
        decisions.Selected("003", "pool/files/003_1.png", "animal", "auto"),
        decisions.Selected("004", "", "", "auto"),
    ]


def test_cohen_kappa() -> None:
    # Two readers of 50 proposals: both yes 20, only the first 5, only the second 10, both no 15.
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    assert cohen_kappa(first, first) == 1
    assert cohen_kappa("ab" * 10, "ba" * 10) == -1
    assert math.isnan(cohen_kappa([], [])) and math.isnan(cohen_kappa("aaa", "aaa"))
    with pytest.raises(ValueError):
        cohen_kappa("a", "ab")


def test_more_than_two_annotators_are_compared_in_pairs() -> None:
    a = dict(enumerate(["yes"] * 25 + ["no"] * 25))
    b = dict(enumerate(["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15))
    assert mean_kappa({"a": a, "b": b, "c": a}) == pytest.approx((0.4 + 1 + 0.4) / 3)
    assert mean_kappa({"a": a, "b": b, "idle": {}}) == pytest.approx(0.4)
    assert math.isnan(mean_kappa({"a": a}))


def test_agreement_of_a_project(project: Project) -> None:
    for query, ours, theirs in (("001", 1, 1), ("002", 1, 2), ("003", None, None)):
        decide(project, ("A", query, ours, "plant"), ("B", query, theirs, "animal" if query == "001" else "plant"))
    decide(project, ("C", "004", None, ""))
    found = agreement(project)
    assert (found.annotators, found.queries) == (("A", "B", "C"), 3)
    assert found.same == pytest.approx(2 / 3)
    assert found.reference == 1
    assert found.choice == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))  # labels 1 1 0 and 1 2 0
    assert found.category == pytest.approx(0)
    assert "of 3 queries decided by several, 67% of the decisions agree; Cohen's kappa: 0.50 which" in str(found)
