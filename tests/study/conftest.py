"""A small study of three methods on real photographs, and what is needed to take part in it."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from refsr_bench.images import write_png
from refsr_bench.study import plan as plans
from refsr_bench.study import prepare, votes
from refsr_bench.study.plan import Method, Plan
from refsr_bench.study.schedule import schedule
from refsr_bench.study.serve import StudyServer
from refsr_bench.study.votes import JOIN, VOTE, Line

SIDE = 64


@pytest.fixture
def folders(tmp_path: Path, photo: Callable[..., np.ndarray]) -> dict[str, Path]:
    """Folders hr, fine, middle, coarse of six images img0 .. img5, from best to worst."""
    for n in range(6):
        hr = photo(SIDE, SIDE, n)
        for name, factor in (("hr", 1), ("fine", 2), ("middle", 3), ("coarse", 6)):
            small = Image.fromarray(hr).resize((SIDE // factor,) * 2, Image.Resampling.BICUBIC)
            large = np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
            write_png(tmp_path / name / f"img{n}.png", large)
    return {name: tmp_path / name for name in ("hr", "fine", "middle", "coarse")}


@pytest.fixture
def make_study(tmp_path: Path, folders: dict[str, Path]) -> Callable[..., Path]:
    """``make_study(name, methods, **wish)``: a study folder of fine, middle and coarse, or of those named."""

    def make(name: str = "S", methods: tuple[str, ...] = ("fine", "middle", "coarse"), **wish: object) -> Path:
        sources = [prepare.Source(Method(m, m.title()), prepare.folder_images(folders[m])) for m in methods]
        origin = prepare.Origin(hr=prepare.folder_images(folders["hr"]))
        prepare.init(tmp_path / name, sources, origin, prepare.Wish(**wish))
        return tmp_path / name

    return make


Judge = Callable[[Plan, votes.Trial, int], str]


def best(plan: Plan, trial: votes.Trial, _: int) -> str:
    """The finer image, always."""
    order = ["sharp", "fine", "middle", "coarse", "blurred"]
    item = plan.by_id[trial.item]
    return "left" if order.index(trial.left) < order.index(item.other(trial.left)) else "right"


@pytest.fixture
def take_part() -> Callable[..., str]:
    """``take_part(folder, code, judge, most)``: a participant who answers without a page."""

    def answer(folder: Path, code: str, judge: Judge = best, most: int | None = None) -> str:
        plan, journal = plans.read(folder), votes.journal(folder)
        trials = schedule(plan, code, votes.people(journal.read()).values())
        lines = [Line("2026-01-01T00:00:00.000+00:00", plan.digest, code, JOIN, trials=trials)]
        for n, trial in enumerate(trials[:most]):
            facts = (n, trial.item, trial.kind, trial.left, judge(plan, trial, n), 1500 + n)
            lines.append(Line("2026-01-01T00:00:01.000+00:00", plan.digest, code, VOTE, *facts))
        journal.extend(lambda _: lines)
        return code

    return answer


class Visitor:
    """Requests as a browser makes them: it keeps cookies and says where a request comes from."""

    def __init__(self, server: StudyServer) -> None:
        self.server, self.cookies = server, {}
        self.host = f"127.0.0.1:{server.server_port}"

    def __call__(self, path: str, body: object = None, **headers: str | None) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        sent = {"Host": self.host, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if body is not None:
            sent |= {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else json.dumps(body).encode()
        kept = {name: value for name, value in sent.items() if value is not None}
        connection.request("GET" if body is None else "POST", path, data, kept)
        answer = connection.getresponse()
        content = answer.read()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        connection.close()
        return answer.status, content, dict(answer.headers)

    def open(self) -> "Visitor":
        parts = urlsplit(self.server.url)
        assert self(f"{parts.path}?{parts.query}")[0] == 303
        return self

    def json(self, path: str, body: object = None) -> dict:
        status, content, _ = self(path, body)
        assert status == 200, content
        return json.loads(content)


@pytest.fixture
def visit() -> Iterator[Callable[[Path], Visitor]]:
    """``visit(folder)``: somebody who opened the page of a server of its own."""
    servers = []

    def start(folder: Path) -> Visitor:
        servers.append(StudyServer(folder))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return Visitor(servers[-1]).open()

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
