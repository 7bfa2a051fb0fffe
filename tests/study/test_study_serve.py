"""The study's server: nothing is lost, nobody else gets in, and nothing tells whose an image is."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from refsr_bench.core.errors import Misuse
from refsr_bench.study import plan as plans
from refsr_bench.study import votes
from refsr_bench.study.serve import StudyServer

ROOT = Path(__file__).resolve().parent.parent.parent
Visit = Callable[[Path], Callable]


def lines(folder: Path) -> list[dict]:
    path = folder / "votes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def vote(visitor: Callable, state: dict, choice: str = "left", milliseconds: int = 1200) -> dict:
    request = {"participant": state["participant"], "trial": state["trial"]["number"]}
    return visitor.json("/api/vote", {**request, "choice": choice, "milliseconds": milliseconds})


def test_a_choice_is_on_the_disk_when_the_page_is_told(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study(per_person=6)
    visitor = visit(folder)
    state = visitor.json("/api/join", {})
    joined = lines(folder)[0]
    assert joined["action"] == "join" and joined["participant"] == state["participant"]
    after = vote(visitor, state)
    assert (after["done"], after["last"], after["total"]) == (1, 0, 7)
    line = lines(folder)[1]
    first = joined["trials"][0]
    assert {key: line[key] for key in ("plan", "item", "kind", "left", "choice", "milliseconds", "trial")} == {
        "plan": plans.read(folder).digest, "item": first["item"], "kind": first["kind"], "left": first["left"],
        "choice": "left", "milliseconds": 1200, "trial": 0,
    }  # fmt: skip


def test_nothing_tells_whose_an_image_is(make_study: Callable[..., Path], visit: Visit, tmp_path: Path) -> None:
    folder = make_study(per_person=12, reference="hr", attention=0.3, repeats=0.2)
    plan = plans.read(folder)
    visitor = visit(folder)
    state = visitor.json("/api/join", {})
    seen: list[str] = []
    trials = lines(folder)[0]["trials"]
    shapes = set()
    while state["trial"]:
        shapes.add(json.dumps(sorted(state["trial"])))
        names = [state["trial"][side]["image"] for side in ("left", "right", "reference")]
        seen += names
        text = json.dumps(state)
        secret = [m.name for m in plan.methods] + [f'"{i.id}"' for i in plan.items]
        secret += ["img", "check", "repeat", "sharp"]
        assert not [word for word in secret if word in text]
        assert not [item.a_file for item in plan.items if item.a_file[:-4] in text]
        status, data, headers = visitor(f"/image/{names[0]}")
        item = plan.by_id[trials[state["trial"]["number"]]["item"]]
        wanted = item.file(trials[state["trial"]["number"]]["left"])
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert data == (folder / "images" / wanted).read_bytes()
        state = vote(visitor, state)
    assert len(set(seen)) == len(seen) == 3 * plan.length, "each image of each trial has a name of its own"
    assert len(shapes) == 1, "checks and repeats look like all others"
    for path in ("/image/x", "/image/..%2Fplan.json", "/plan.json", "/votes.jsonl", "/api/nothing"):
        assert visitor(path)[0] == 404


def test_requests_sent_twice_count_once(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study(per_person=6)
    visitor = visit(folder)
    state = visitor.json("/api/join", {})
    once, again = vote(visitor, state), vote(visitor, state)
    assert once == again and len(lines(folder)) == 2
    taken = {"participant": state["participant"], "trial": 0}
    assert visitor.json("/api/undo", taken)["done"] == visitor.json("/api/undo", taken)["done"] == 0
    assert [line["action"] for line in lines(folder)] == ["join", "vote", "undo"], "undo adds a line"
    assert vote(visitor, state, "right")["done"] == 1
    person = votes.people(votes.journal(folder).read())[state["participant"]]
    assert [v.choice for v in person.votes.values()] == ["right"]


@pytest.mark.parametrize(
    "change",
    [{"choice": "tie"}, {"choice": "fine"}, {"trial": 1}, {"trial": -1}, {"trial": "0"}, {"trial": None},
     {"participant": "AAAA-BBBB"}, {"participant": None}, {"milliseconds": -1}, {"milliseconds": 1.5},
     {"milliseconds": True}],
)  # fmt: skip
def test_nonsense_is_refused_and_not_written(make_study: Callable[..., Path], visit: Visit, change: dict) -> None:
    folder = make_study(per_person=6)
    visitor = visit(folder)
    state = visitor.json("/api/join", {})
    request = {"participant": state["participant"], "trial": 0, "choice": "left", "milliseconds": 5}
    assert visitor("/api/vote", request | change)[0] == 409
    assert visitor("/api/undo", {"participant": state["participant"], "trial": 3})[0] == 409
    assert len(lines(folder)) == 1


def test_ties_where_they_are_allowed(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study(ties=True)
    visitor = visit(folder)
    assert visitor.json("/api/study")["ties"] is True
    vote(visitor, visitor.json("/api/join", {}), "tie")
    assert lines(folder)[1]["choice"] == "tie"


def test_people_go_on_by_their_code_after_a_restart(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study(per_person=6)
    visitor = visit(folder)
    states = [visitor.json("/api/join", {}) for _ in range(2)]
    assert states[0]["participant"] != states[1]["participant"]
    vote(visitor, vote(visitor, states[0]))
    vote(visitor, states[1], "right")
    later = visit(folder)
    typed = states[0]["participant"].lower().replace("-", " ")
    resumed = later.json("/api/resume", {"participant": typed})
    assert (resumed["participant"], resumed["done"]) == (states[0]["participant"], 2)
    assert later.json("/api/resume", {"participant": states[1]["participant"]})["done"] == 1
    assert later("/api/resume", {"participant": "QQQQ-QQQQ"})[0] == 409
    assert later(f"/image/{states[0]['trial']['left']['image']}")[0] == 404, "names are of one run"


def test_a_kill_loses_nothing_that_was_acknowledged(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study(per_person=6)
    code = (
        "import sys; from pathlib import Path; from refsr_bench.study.serve import serve\n"
        "serve(Path(sys.argv[1]), open_browser=False, announce=lambda text: print(text, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().split()[-1]
    visitor = type(visit(folder))(SimpleNamespace(server_port=urlsplit(address).port, url=address)).open()
    state = vote(visitor, visitor.json("/api/join", {}))
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with (folder / "votes.jsonl").open("a") as file:
        file.write('{"time": "2026')
    assert visit(folder).json("/api/resume", {"participant": state["participant"]})["done"] == 1


def test_a_full_disk_is_said(
    make_study: Callable[..., Path], visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_study(per_person=6)
    visitor = visit(folder)
    state = visitor.json("/api/join", {})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    request = {"participant": state["participant"], "trial": 0, "choice": "left", "milliseconds": 5}
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        status, reason, _ = visitor("/api/vote", request)
    assert status == 500 and b"No space left" in reason and len(lines(folder)) == 1
    assert visitor.json("/api/vote", request)["done"] == 1


def test_only_those_with_the_address_get_in(make_study: Callable[..., Path], visit: Visit) -> None:
    folder = make_study()
    visitor = visit(folder)
    stranger = type(visitor)(visitor.server)
    for path in ("/", "/app.js", "/api/study", "/?token=guess"):
        assert stranger(path)[0] == 403
    assert stranger("/api/join", {})[0] == 403
    port = visitor.server.server_port
    assert visitor.server.server_address[0] == "127.0.0.1"
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1"):
        assert visitor("/api/study", Host=host)[0] == 421
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}", None):
        assert visitor("/api/join", {}, Origin=origin)[0] == 403
    assert visitor("/api/join", {}, Content_Type="text/plain")[0] == 400
    assert lines(folder) == []
    for path in ("/", "/app.js", "/base.css", "/base.js", "/style.css", "/icon.svg", "/api/study"):
        status, _, headers = visitor(path)
        assert status == 200 and headers["Content-Security-Policy"].startswith("default-src 'self';")
    for name in ("index.html", "app.js", "style.css"):
        text = (ROOT / "refsr_bench/study/page" / name).read_text()
        assert "://" not in text and " style=" not in text and " onclick" not in text


def test_a_log_of_something_else_stops_the_server(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    (folder / "votes.jsonl").write_text('{"time": "x"}\n')
    with pytest.raises(Exception, match=r"line 1: .*lacks the required field.*Mend or remove the line"):
        StudyServer(folder)
    with pytest.raises(Misuse, match="no study"):
        StudyServer(folder / "images")
