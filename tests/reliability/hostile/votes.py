"""Hostile votes: the journal of a study, CSV files of platforms, and reports that a site is built from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile.case import Case, canary
from hostile.plans import PLAN, study
from refsr_bench.study import plan as plans

CODE = "ABCD-EFGH"
HEAD = "participant,left,right,choice,milliseconds,time\n"


def _lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of one participant who answered both questions."""
    common = {"time": "2026-01-01", "plan": plans.read(folder / "S").digest, "participant": CODE}
    shown = [("p00001", "pair", "fine"), ("c01", "check", "sharp")]
    trials = [{"item": item, "kind": kind, "left": left} for item, kind, left in shown]
    votes = [
        {**common, "action": "vote", "trial": n, "item": item, "kind": kind, "left": left, "choice": "left",
         "milliseconds": 900}
        for n, (item, kind, left) in enumerate(shown)
    ]  # fmt: skip
    return [{**common, "action": "join", "trials": trials}, *votes]


def _journal(change: Callable[[list[dict[str, Any]]], list[Any]], *command: str) -> Callable[[Path], list[str]]:
    """Write votes.jsonl with the lines that ``change`` returns; by default the command is the report."""

    def make(folder: Path) -> list[str]:
        made = study(folder)
        text = "".join(json.dumps(line) + "\n" for line in change(_lines(folder)))
        (made / "votes.jsonl").write_text(text, encoding="utf-8")
        return list(command) or ["study", "report", "S", "--out", "report"]

    return make


def sound(folder: Path) -> list[str]:
    """Make the study S with the votes of one participant; return the words of its report."""
    return _journal(list)(folder)


def _bytes(data: bytes) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (study(folder) / "votes.jsonl").write_bytes(data)
        return ["study", "report", "S", "--out", "report"]

    return make


def _field(number: int, **values: Any) -> Callable[[Path], list[str]]:
    def change(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines[number] |= values
        return lines

    return _journal(change)


def _special(kind: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        path = study(folder) / "votes.jsonl"
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"zero": "/dev/zero", "loop": path.name}[kind])
        return ["study", "report", "S", "--out", "report"]

    return make


def _sparse(size: int) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        with (study(folder) / "votes.jsonl").open("wb") as file:
            file.truncate(size)
        return ["study", "report", "S", "--out", "report"]

    return make


def _written_through_a_link(folder: Path) -> list[str]:
    made = study(folder)
    (made / "votes.jsonl").symlink_to(canary(folder).parent / "new")
    (folder / "votes.csv").write_text(f"{HEAD}x,{_file(0)},{_file(1)},left,9,\n", encoding="utf-8")
    return ["study", "import", "S", "votes.csv"]


def _report_over_a_link(folder: Path) -> list[str]:
    words = _journal(list)(folder)
    (folder / "report").mkdir()
    for name in ("study.json", "votes.csv", "preferences.csv", "preferences.svg"):
        (folder / "report" / name).symlink_to(canary(folder))
    return words


# -- CSV of a platform ---------------------------------------------------------------------------------------------


def _file(side: int) -> str:
    item = PLAN["items"][0]
    return item[("a_file", "b_file")[side]]


def _csv(text: str | bytes, name: str = "votes.csv") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        study(folder)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["study", "import", "S", name]

    return make


def _row(participant: str = "x", choice: str = "left", milliseconds: str = "9", time: str = "") -> str:
    return f"{HEAD}{participant},{_file(0)},{_file(1)},{choice},{milliseconds},{time}\n"


def _csv_special(kind: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        study(folder)
        if kind == "fifo":
            os.mkfifo(folder / "votes.csv")
        else:
            (folder / "votes.csv").symlink_to({"zero": "/dev/zero", "loop": "votes.csv"}[kind])
        return ["study", "import", "S", "votes.csv"]

    return make


def _csv_of(size: int) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        study(folder)
        with (folder / "votes.csv").open("wb") as file:
            file.write(HEAD.encode())
            file.truncate(size)
        return ["study", "import", "S", "votes.csv"]

    return make


def _many_rows(folder: Path) -> list[str]:
    study(folder)
    row = f"x,{_file(0)},{_file(1)},left,9,\n".encode()
    (folder / "votes.csv").write_bytes(HEAD.encode() + row * 1_500_000)
    return ["study", "import", "S", "votes.csv"]


# -- the report that a site is built from --------------------------------------------------------------------------


def _site(put: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        place = folder / "results" / "studies" / "one"
        place.mkdir(parents=True)
        put(place / "study.json")
        return ["leaderboard", "build", "--results", "results", "--out", "site"]

    return make


def _undone(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [lines[0], {**lines[1], "action": "undo", "choice": ""}]


def _long_join(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**lines[0], "trials": lines[0]["trials"] * 100_000}]


CASES = (
    Case("votes: sound ones", _journal(list), exits=(0,)),
    Case("votes: a line that is a list", _bytes(b"[]\n"), "votes.jsonl"),
    Case("votes: a line that is a number", _bytes(b"1\n"), "votes.jsonl"),
    Case("votes: a line that is null", _bytes(b"null\n"), "votes.jsonl"),
    Case("votes: an empty line", _bytes(b"\n"), "votes.jsonl"),
    Case("votes: nested 100,000 deep", _bytes(b"[" * 100_000 + b"\n"), "votes.jsonl"),
    Case("votes: objects in objects", _bytes(b'{"a":' * 50_000 + b"\n"), "votes.jsonl"),
    Case("votes: no UTF-8", _bytes(b"\xff\xfe\n"), "votes.jsonl"),
    Case("votes: NUL bytes", _bytes(b"\0\0\0\n"), "votes.jsonl"),
    Case("votes: a nested item", _field(1, item=["p00001"]), "votes.jsonl"),
    Case("votes: a nested participant", _field(1, participant={"a": 1}), "votes.jsonl"),
    Case("votes: a participant of 1 MB", _field(1, participant="A" * (1 << 20)), "votes.jsonl"),
    Case("votes: a choice nobody offers", _field(1, choice="both"), "votes.jsonl"),
    Case("votes: NaN milliseconds", _field(1, milliseconds=float("nan")), "votes.jsonl"),
    Case("votes: negative milliseconds", _field(1, milliseconds=-1), "votes.jsonl"),
    Case("votes: a trial beyond 64 bits", _field(1, trial=1 << 66), exits=(0, 1, 2)),
    Case("votes: a trial of 10^15", _field(1, trial=10**15), exits=(0, 1, 2)),
    Case("votes: an unknown item", _field(1, item="p99999"), "another plan"),
    Case("votes: another plan", _field(1, plan="0" * 64), "another plan"),
    Case("votes: a join that is no list", _field(0, trials={"a": 1}), "votes.jsonl"),
    Case("votes: a join of 200,000 trials", _journal(_long_join), exits=(0, 1, 2)),
    Case("votes: a line of 30 MB", _field(1, time="x" * (30 << 20)), "votes.jsonl"),
    Case("votes: a vote without a join", _journal(lambda lines: lines[1:]), exits=(0, 1, 2)),
    Case("votes: an undo without a vote", _journal(_undone), "nobody"),
    Case("votes: 300 MB of nothing", _sparse(300 << 20), exits=(1, 2)),
    Case("votes: 100 GB of nothing", _sparse(100 << 30), "votes.jsonl"),
    Case("votes: sixty million empty lines", _bytes(b"\n" * (60 << 20)), "votes.jsonl"),
    Case("votes: a FIFO", _special("fifo"), "votes.jsonl"),
    Case("votes: an endless device", _special("zero"), "votes.jsonl"),
    Case("votes: a folder", _special("folder"), "votes.jsonl"),
    Case("votes: a link to itself", _special("loop"), "votes.jsonl"),
    Case("votes: written through a dangling link", _written_through_a_link, "votes.jsonl"),
    Case("votes: a report over links", _report_over_a_link, exits=(0,)),
    Case("votes: a CSV with a field of 1 MB", _csv(_row("x" * (1 << 20))), "votes.csv"),
    Case("votes: a CSV with NUL bytes", _csv(_row("x\0y")), exits=(0, 1, 2)),
    Case("votes: a CSV of NUL bytes", _csv(b"\0" * 100_000), "votes.csv"),
    Case("votes: a CSV with an open quote", _csv(HEAD + '"x,a,b\n' * 50_000), "votes.csv"),
    Case("votes: a CSV with too few cells", _csv(HEAD + "x\n"), "votes.csv"),
    Case("votes: a CSV with too many cells", _csv(HEAD + "x,a,b,left,1,2,3,4\n"), "votes.csv"),
    Case("votes: a CSV with a column twice", _csv("participant," + HEAD), exits=(0, 1, 2)),
    Case("votes: a CSV without its columns", _csv("a,b\n1,2\n"), "votes.csv"),
    Case("votes: a CSV with a bare carriage return", _csv(HEAD + "x\ry,a,b,left\n"), "votes.csv"),
    Case("votes: a CSV that is no UTF-8", _csv(b"participant,left\n\xff,a\n"), "votes.csv"),
    Case("votes: a CSV with 5000 digits of time", _csv(_row(milliseconds="9" * 5000)), "votes.csv"),
    Case("votes: a CSV with digits of another script", _csv(_row(milliseconds="\u0663")), exits=(0, 1, 2)),
    Case("votes: a CSV with a formula as participant", _csv(_row("=cmd()")), exits=(0,)),
    Case("votes: a CSV with a link for an image", _csv(HEAD + "x,../../canary.txt,b,left\n"), "votes.csv"),
    Case("votes: a CSV in a FIFO", _csv_special("fifo"), "votes.csv"),
    Case("votes: a CSV in an endless device", _csv_special("zero"), "votes.csv"),
    Case("votes: a CSV that is a link to itself", _csv_special("loop"), "votes.csv"),
    Case("votes: a CSV of 200 MB of nothing", _csv_of(200 << 20), "votes.csv"),
    Case("votes: a CSV of 100 GB of nothing", _csv_of(100 << 30), "votes.csv"),
    Case("votes: a CSV of 1,500,000 rows", _many_rows, exits=(0, 1, 2)),
    Case("votes: a journal of nested lists to import", _csv(b"[" * 100_000 + b"\n", "votes.jsonl"), "votes.jsonl"),
    Case("votes: a site from a report in a FIFO", _site(os.mkfifo), exits=(0, 1, 2)),
    Case("votes: a site from a report in an endless device", _site(lambda path: path.symlink_to("/dev/zero")),
         exits=(0, 1, 2)),
    Case("votes: a site from a nested report", _site(lambda path: path.write_bytes(b"[" * 100_000)), exits=(0, 1, 2)),
)  # fmt: skip
