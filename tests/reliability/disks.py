"""Commands on a disk that is full or read-only, and again when it is not: mains for the sandbox.

The words are the name of a preparation below, and the command. Each main works in the empty folder that the sandbox
gives it, and fails with an AssertionError, which the sandbox reports as a traceback.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import resource
from collections.abc import Callable
from pathlib import Path

from hostile import plans, projects, sources, votes

from refsr_bench.builder import tables
from refsr_bench.builder.rows import Candidate, Query

CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 1, 32, 4096, 16384, 1 << 18  # sys/mount.h
NO_MOUNT = "no read-only folder can be made here"


def _photos(folder: Path) -> None:
    projects.project(folder)
    (folder / "P" / "build.toml").write_text(
        "query_min_long_side = 16\nref_min_long_side = 16\nquery_sharpness = 0\nref_sharpness = 0\n", encoding="utf-8"
    )
    for name, row in (("queries", Query), ("pool", Candidate)):  # with all columns, so that rows are only appended
        tables.write(folder / "P" / f"{name}.csv", tables.read(folder / "P" / f"{name}.csv", row))
    for seed in range(8):
        projects.photo(folder / "photos" / f"{seed}.png", seed)


def _undone(stage: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        _photos(folder)
        projects.undone(folder, stage)

    return make


def _images(folder: Path) -> None:
    for seed, name in enumerate(("fine", "coarse")):
        projects.photo(folder / name / "one.png", seed)


def _voted(folder: Path) -> None:
    votes._journal(list)(folder)
    row = votes._row("somebody")
    (folder / "votes.csv").write_text(row, encoding="utf-8")


def _download(folder: Path) -> None:
    sources._folder(lambda down: None)(folder)


PREPARATIONS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "project": _photos,
    "uncleaned": _undone("clean"),
    "unscaled": _undone("rescale"),
    "images": _images,
    "study": plans.study,
    "voted": _voted,
    "download": _download,
}


def full(args: list[str], prog_name: str) -> None:
    """Run the command with room for ``args[1]`` bytes in a file, then with room for all."""
    prepared, most, *words = args
    PREPARATIONS[prepared](Path.cwd())
    before = _files()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), hard))
    try:
        exit, said = _run(words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print("refused:", said)
    _check(exit, said, before)
    exit, said = _run(words)
    assert exit == 0, f"with room again, exit code {exit}: {said}"


def small(args: list[str], prog_name: str) -> None:
    """Run the command on a disk of its own with ``args[1]`` KiB left, then with room for all."""
    prepared, left, *words = args
    here = Path.cwd()
    if not _mounts(here, [(b"tmpfs", b"tmpfs", 0, b"size=64m")]):
        print(NO_MOUNT)
        return
    PREPARATIONS[prepared](Path.cwd())
    before = _files()
    ballast = Path("ballast")
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    os.truncate(ballast, ballast.stat().st_size - int(left) * 1024)
    exit, said = _run(words)
    ballast.unlink()
    print("refused:", said)
    _check(exit, said, before)
    exit, said = _run(words)
    assert exit == 0, f"with room again, exit code {exit}: {said}"


def read_only(args: list[str], prog_name: str) -> None:
    """Run the command in a folder that nobody can write to, not even root."""
    prepared, *words = args
    here = Path.cwd()
    PREPARATIONS[prepared](here)
    before = _files()
    bound = (os.fsencode(here), None, MS_BIND, None)
    if not _mounts(here, [bound, (b"none", None, MS_REMOUNT | MS_BIND | MS_RDONLY, None)]):
        print(NO_MOUNT)
        return
    exit, said = _run(words)
    print("refused:", said)
    _check(exit, said, before)


def _mounts(place: Path, wanted: list[tuple[bytes, bytes | None, int, bytes | None]]) -> bool:
    """Mount (source, kind, flags, options) at the working folder, for this process alone; False if forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.unshare(CLONE_NEWNS) == 0 and libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    for source, kind, flags, options in wanted:
        done = done and libc.mount(source, os.fsencode(place), kind, flags, options) == 0
    os.chdir(place)
    return done


def _run(words: list[str]) -> tuple[int, str]:
    from refsr_bench.cli import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(args=words, prog_name="refsr-bench")
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


def _check(exit: int, said: str, before: dict[str, bytes]) -> None:
    assert exit == 1, f"exit code {exit}: {said}"
    assert said.startswith("Error: ") and "Traceback" not in said, said
    after = _files()
    changed = [name for name, data in before.items() if not after.get(name, b"").startswith(data)]  # tables grow
    assert not changed, f"{changed} changed: {said}"
    left = [name for name in after if ".partial" in name]
    assert not left, f"{left} stayed: {said}"


def _files() -> dict[str, bytes]:
    return {
        path.relative_to(Path.cwd()).as_posix(): path.read_bytes()
        for path in sorted(Path.cwd().rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
