"""A small study of three methods on real photographs, and what is needed to take part in it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from visitor import Visitor

from refsr_bench.pixels.images import write_png
from refsr_bench.study import plan as plans
from refsr_bench.study import prepare, sources, votes
from refsr_bench.study.options import Wish
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
        made = [sources.Source(Method(m, m.title()), sources.folder_images(folders[m])) for m in methods]
        origin = sources.Origin(hr=sources.folder_images(folders["hr"]))
        prepare.init(tmp_path / name, made, origin, Wish(**wish))
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
