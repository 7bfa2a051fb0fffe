"""Hostile downloads for ``data prepare``: what a folder may hold, and what may stand in the place of an archive."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from hostile.case import Case, canary
from hostile.projects import photo


def _folder(change: Callable[[Path], object]) -> Callable[[Path], list[str]]:
    """Make a sound download in WR-SR's layout, change it, and prepare it below ``root``."""

    def make(folder: Path) -> list[str]:
        photo(folder / "down" / "input" / "001.png", 1)
        photo(folder / "down" / "ref" / "001_ref.png", 2)
        change(folder / "down")
        return ["data", "prepare", "wrsr", "--from", "down", "--data-root", "root"]

    return make


def _not_utf8(folder: Path) -> None:
    photo(folder / "input" / "x.png", 3).rename(os.fsdecode(bytes(folder) + b"/input/\xff\xfe.png"))


def _folder_not_utf8(folder: Path) -> None:
    (folder / os.fsdecode(b"\xff")).mkdir()
    photo(folder / os.fsdecode(b"\xff") / "a.png", 3)


def _line_break(folder: Path) -> None:
    photo(folder / "input" / "a\nb\x1b[2J.png", 3)


def _loop(folder: Path) -> None:
    (folder / "input" / "loop.png").symlink_to("loop.png")


def _loop_of_folders(folder: Path) -> None:
    (folder / "input" / "again").symlink_to("..")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "input" / "002.png")


def _pairs(data: bytes) -> Callable[[Path], list[str]]:
    return _folder(lambda folder: (folder / "pairs.txt").write_bytes(data))


def _source(kind: str) -> Callable[[Path], list[str]]:
    def make(folder: Path) -> list[str]:
        if kind == "fifo":
            os.mkfifo(folder / "down")
        else:
            (folder / "down").symlink_to({"zero": "/dev/zero", "loop": "down", "dangling": "nowhere"}[kind])
        return ["data", "prepare", "wrsr", "--from", "down", "--data-root", "root"]

    return make


def _target_is_a_link(folder: Path) -> list[str]:
    words = _folder(lambda down: None)(folder)
    (folder / "root").mkdir()
    (folder / "root" / "WR-SR").symlink_to(canary(folder).parent / "nowhere")
    return words


def _rest_is_a_link(folder: Path) -> list[str]:
    words = _folder(lambda down: None)(folder)
    (folder / "root").mkdir()
    (folder / "root" / ".WR-SR.partial").symlink_to(canary(folder).parent)
    return words


def _source_not_utf8(folder: Path) -> list[str]:
    words = _folder(lambda down: None)(folder)
    (folder / "down").rename(folder / os.fsdecode(b"\xff"))
    words[words.index("down")] = os.fsdecode(b"\xff")
    return words


CASES = (
    Case("sources: a name that is no UTF-8", _folder(_not_utf8), "udcff"),
    Case("sources: a folder's name that is no UTF-8", _folder(_folder_not_utf8), "udcff"),
    Case("sources: a name with a line break and an escape", _folder(_line_break), exits=(0, 1, 2)),
    Case("sources: a link to itself", _folder(_loop), "loop.png"),
    Case("sources: a folder that holds itself", _folder(_loop_of_folders), "again"),
    Case("sources: a FIFO", _folder(_fifo), exits=(0, 1, 2)),
    Case("sources: pairs that lead out", _pairs(b"../../canary.txt 001_ref.png\n"), exits=(0, 1, 2)),
    Case("sources: pairs of NUL bytes", _pairs(b"\0" * 100_000), exits=(0, 1, 2)),
    Case("sources: pairs that are no UTF-8", _pairs(b"\xff\xfe \xff\n"), exits=(0, 1, 2)),
    Case("sources: a FIFO for an archive", _source("fifo"), "down"),
    Case("sources: an endless device for an archive", _source("zero"), "down"),
    Case("sources: a link to itself for an archive", _source("loop"), "down"),
    Case("sources: a dangling link for an archive", _source("dangling"), "down"),
    Case("sources: the set's folder is a dangling link", _target_is_a_link, "WR-SR"),
    Case("sources: the rest of an earlier attempt is a link", _rest_is_a_link, exits=(0, 1, 2)),
    Case("sources: a source whose name is no UTF-8", _source_not_utf8, exits=(0, 1, 2)),
)
