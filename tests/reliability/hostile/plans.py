"""Hostile plans of user studies, and folders of images that a study is to be made from."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hostile.case import Case, canary
from hostile.projects import photo

FILES = [f"{n:032x}.png" for n in range(4)]
PLAN: dict[str, Any] = {
    "schema_version": 1,
    "title": "A study",
    "question": "Which one?",
    "methods": [{"name": name, "title": name.upper(), "weights": ""} for name in ("fine", "coarse")],
    "focus": "",
    "reference": "none",
    "ties": False,
    "crop": 0,
    "per_person": 1,
    "attention": 0.1,
    "repeats": 0.0,
    "pass_share": 0.75,
    "seed": 0,
    "checks_from": "HR images",
    "items": [
        {"id": "p00001", "kind": "pair", "image": "one", "a": "fine", "b": "coarse", "a_file": FILES[0],
         "b_file": FILES[1], "reference_file": ""},
        {"id": "c01", "kind": "check", "image": "one", "a": "sharp", "b": "blurred", "a_file": FILES[2],
         "b_file": FILES[3], "reference_file": ""},
    ],
}  # fmt: skip


def study(folder: Path) -> Path:
    """Make the study S, whose plan is sound and in which nobody has voted."""
    made = folder / "S"
    for seed, name in enumerate(FILES):
        photo(made / "images" / name, seed)
    (made / "plan.json").write_text(json.dumps(PLAN), encoding="utf-8")
    return made


def _bytes(data: bytes, command: str = "export") -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        (study(folder) / "plan.json").write_bytes(data)
        return ["study", command, "S", *(["--out", "report"] if command == "report" else [])]

    return make


def _changed(**values: Any) -> Callable[[Path], list[str]]:
    """Write a plan with other values; ``item_NAME`` is a field of its first item."""

    def make(folder: Path) -> list[str]:
        plan = copy.deepcopy(PLAN)
        for name, value in values.items():
            target = plan["items"][0] if name.startswith("item_") else plan
            target[name.removeprefix("item_")] = value
        (study(folder) / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
        return ["study", "export", "S", "--tasks"]

    return make


def _with(text: str, instead: str) -> Callable[[Path], list[str]]:
    return _bytes(json.dumps(PLAN).replace(text, instead).encode())


def _special(kind: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        path = study(folder) / "plan.json"
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"zero": "/dev/zero", "loop": "plan.json", "dangling": "nowhere"}[kind])
        return ["study", "export", "S"]

    return make


def _sparse(size: int) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        with (study(folder) / "plan.json").open("r+b") as file:
            file.truncate(size)
        return ["study", "export", "S"]

    return make


def _lists(folder: Path) -> list[str]:
    """Write empty lists, each of which takes twenty times its bytes when it is read."""
    made = study(folder)
    (made / "plan.json").write_bytes(b'{"schema_version":1,"items":[' + b"[]," * (40 << 20) + b"[]]}")
    return ["study", "export", "S"]


def _looping_study(folder: Path) -> list[str]:
    (folder / "S").symlink_to("S")
    return ["study", "report", "S", "--results", "results"]


def _served(folder: Path) -> list[str]:
    (study(folder) / "plan.json").write_text("{}", encoding="utf-8")
    return ["study", "serve", "S", "--no-browser"]


PLANS = (
    Case("plans: nothing", _bytes(b""), "plan.json"),
    Case("plans: a list", _bytes(b"[]"), "plan.json"),
    Case("plans: null", _bytes(b"null"), "plan.json"),
    Case("plans: nested 100,000 deep", _bytes(b"[" * 100_000), "plan.json"),
    Case("plans: nested in the title", _with('"A study"', "[" * 30 + "]" * 30), "plan.json"),
    Case("plans: no UTF-8", _bytes(b'{"title": "\xff"}'), "plan.json"),
    Case("plans: half a character", _with('"A study"', '"\\ud800"'), "plan.json"),
    Case("plans: a name twice", _with('"focus": ""', '"focus": "", "focus": "fine"'), "plan.json"),
    Case("plans: another version", _changed(schema_version=2), "plan.json"),
    Case("plans: an unknown field", _changed(run="rm"), "plan.json"),
    Case("plans: NaN as the share of checks", _with('"attention": 0.1', '"attention": NaN'), "plan.json"),
    Case("plans: NaN as text", _changed(attention="nan"), "plan.json"),
    Case("plans: more checks than questions", _changed(attention=1e300), "plan.json"),
    Case("plans: a negative share of repeats", _changed(repeats=-1), "plan.json"),
    Case("plans: a seed beyond 64 bits", _changed(seed=1 << 65), exits=(0, 1, 2)),
    Case("plans: a seed of 5000 digits", _with('"seed": 0', '"seed": ' + "9" * 5000), "plan.json"),
    Case("plans: a negative seed", _changed(seed=-1), "plan.json"),
    Case("plans: a window of 10^15 pixels", _changed(crop=10**15), exits=(0, 1, 2)),
    Case("plans: 10^15 questions a person", _changed(per_person=10**15), "plan.json"),
    Case("plans: no question", _changed(per_person=0), "plan.json"),
    Case("plans: no items", _changed(items=[]), "plan.json"),
    Case("plans: an item twice", _changed(items=PLAN["items"] * 2), "plan.json"),
    Case("plans: an image that leads out", _changed(item_a_file="../../canary.txt"), "plan.json"),
    Case("plans: an absolute image", _changed(item_b_file="/etc/hostname"), "plan.json"),
    Case("plans: an image and a line break", _changed(item_a_file=FILES[0] + "\n"), "plan.json"),
    Case("plans: a method nobody knows", _changed(item_a="other"), "plan.json"),
    Case("plans: a focus nobody knows", _changed(focus="other"), "plan.json"),
    Case("plans: a formula as a method's name", _changed(item_image="=cmd()"), exits=(0, 1, 2)),
    Case("plans: a title of 1 MB", _changed(title="x" * (1 << 20)), "plan.json"),
    Case("plans: a terminal's commands in a title", _changed(title="\x1b]0;x\x07"), exits=(0, 1, 2)),
    Case("plans: a FIFO", _special("fifo"), "plan.json"),
    Case("plans: an endless device", _special("zero"), "plan.json"),
    Case("plans: a folder", _special("folder"), "plan.json"),
    Case("plans: a link to itself", _special("loop"), "S"),
    Case("plans: a dangling link", _special("dangling"), "S"),
    Case("plans: 200 MB of nothing", _sparse(200 << 20), "plan.json"),
    Case("plans: 100 GB of nothing", _sparse(100 << 30), "plan.json"),
    Case("plans: forty million empty lists", _lists, "plan.json"),
    Case("plans: a study that is a link to itself", _looping_study, "S"),
    Case("plans: a plan that is to be served", _served, "plan.json"),
    Case("plans: a plan without votes", _bytes(json.dumps(PLAN).encode(), "report"), "nobody"),
)


# -- making a study ------------------------------------------------------------------------------------------------


def _init(change: Callable[[Path], object], *options: str) -> Callable[[Path], list[str]]:
    """Make a study of two folders of images; change the folder of the case first."""

    def make(folder: Path) -> list[str]:
        for seed, name in enumerate(("fine", "coarse")):
            photo(folder / name / "one.png", seed)
        change(folder)
        return ["study", "init", "S", "--images", "Fine=fine", "--images", "Coarse=coarse", *options]

    return make


def _as_it_is(folder: Path) -> None:
    """Change nothing."""


def _not_utf8(folder: Path) -> None:
    for name in ("fine", "coarse"):
        photo(folder / name / "x.png", 3).rename(os.fsdecode(bytes(folder / name) + b"/\xff\xfe.png"))


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "fine" / "two.png")
    photo(folder / "coarse" / "two.png")


def _loop(folder: Path) -> None:
    (folder / "fine" / "two.png").symlink_to("two.png")
    photo(folder / "coarse" / "two.png")


def _text(folder: Path) -> None:
    (folder / "fine" / "one.png").write_text("no image", encoding="utf-8")


def _target_is_a_link(folder: Path) -> None:
    (folder / "S").symlink_to(canary(folder).parent / "nowhere")


def _target_is_a_fifo(folder: Path) -> None:
    os.mkfifo(folder / "S")


MADE = (
    Case("plans: images whose names are no UTF-8", _init(_not_utf8), "udcff"),
    Case("plans: a FIFO among the images", _init(_fifo), exits=(0, 1, 2)),
    Case("plans: a link to itself among the images", _init(_loop), exits=(0, 1, 2)),
    Case("plans: text under an image's name", _init(_text), "one.png"),
    Case("plans: a study to be made at a dangling link", _init(_target_is_a_link), "S"),
    Case("plans: a study to be made at a FIFO", _init(_target_is_a_fifo), "S"),
    Case("plans: --attention nan", _init(_as_it_is, "--attention", "nan"), exits=(1, 2)),
    Case("plans: --repeats nan", _init(_as_it_is, "--repeats", "nan"), exits=(1, 2)),
    Case("plans: --seed beyond 64 bits", _init(_as_it_is, "--seed", str(1 << 80)), exits=(1, 2)),
    Case("plans: --seed of 5000 digits", _init(_as_it_is, "--seed", "9" * 5000), exits=(1, 2)),
    Case("plans: --crop of 30 digits", _init(_as_it_is, "--crop", "9" * 30), exits=(0, 1, 2)),
    Case("plans: --limit of 30 digits", _init(_as_it_is, "--limit", "9" * 30), exits=(0, 1, 2)),
    Case("plans: --per-person of 30 digits", _init(_as_it_is, "--per-person", "9" * 30), exits=(1, 2)),
    Case("plans: a title with half a character", _init(_as_it_is, "--title", "\udcff"), exits=(0, 1, 2)),
)


def cases() -> Iterator[Case]:
    yield from PLANS
    yield from MADE
