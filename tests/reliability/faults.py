"""Hinders commands as disks, people and clocks do; the same command then goes on, and gives the twin's bytes.

FAULTS: a disk that is full, a limit on the size of files, a folder that may only be read, a clock set back between two
halves, two processes at once, and a folder that vanishes. After each but the clock, the command must have ended with
exit code 1 and words, without a traceback.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import commands
from commands import OUT, Command
from kills import Bench, Damage, Twin
from processes import Child

DAYS = 3 * 86400.0
SMALL = 32 << 10  # bytes of the full disk; every command needs more


class Unavailable(Exception):
    """Raised when this machine does not allow a fault to be made."""


def _refused(child: Child, words: tuple[str, ...], codes: tuple[int, ...] = (1,)) -> None:
    """Raise Damage unless a command ended as one does whose work failed for a reason outside it."""
    code, output = child.wait(), child.output
    if code not in codes or "Traceback" in output or "Error" not in output:
        raise Damage(f"{' '.join(words)}: exit code {code}, and:\n{output}")


def _finish(place: Bench, command: Command, twin: Twin, first: int = 0) -> None:
    """Give the command again from a line on, undisturbed; raise Damage unless the twin's bytes come out."""
    for line in command.lines[first:]:
        words = (*line, *command.resumed(place.work))
        child = place.start(words)
        if child.wait():
            raise Damage(f"{' '.join(words)}: still fails:\n{child.output}")
    place.check_pages(command.name)
    wrong = commands.differences(commands.results(place.work / OUT), twin.files)
    if wrong:
        raise Damage(f"{command.name}:\n  " + "\n  ".join(wrong))


@contextmanager
def _disk(folder: Path, size: int) -> Iterator[Callable[[str], None]]:
    """Mount a disk of some bytes as a folder; yield a function that mounts it anew with other options."""

    def mount(options: str) -> None:
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if made.returncode:
            raise Unavailable(f"no disk can be mounted here ({made.stderr.strip()})")

    folder.mkdir()
    mount(f"size={size}")
    try:
        yield lambda options: mount(f"remount,{options}")
    finally:
        subprocess.run(["umount", "-l", folder], check=False, capture_output=True)


def full_disk(place: Bench, command: Command) -> None:
    """The disk is full before the work is done; then there is room."""
    twin = place.twin(command)
    place.begin(command.name, command.make)
    with _disk(place.work / OUT, SMALL) as remount:
        for number, line in enumerate(command.lines):
            child = place.start(line)
            if child.wait():
                _refused(child, line)
                remount("size=1g")
                return _finish(place, command, twin, number)
    raise Damage(f"{command.name}: a disk of {SMALL} bytes was enough")


def file_limit(place: Bench, command: Command) -> None:
    """No file may be longer than a few kilobytes, as ``ulimit -f`` says; then it may."""
    twin = place.twin(command)
    largest = max(map(len, twin.files.values()))
    place.begin(command.name, command.make)
    for number, line in enumerate(command.lines):
        child = place.start(line, file_limit=largest // 2)
        if child.wait():
            _refused(child, line)
            return _finish(place, command, twin, number)
    raise Damage(f"{command.name}: no file was longer than {largest // 2} bytes")


def read_only(place: Bench, command: Command) -> None:
    """The folder may only be read; then it may be written."""
    twin = place.twin(command)
    place.begin(command.name, command.make)
    with _disk(place.work / OUT, 1 << 30) as remount:
        remount("ro")
        _refused(place.start(command.lines[0]), command.lines[0], (1, 2))
        remount("rw")
        _finish(place, command, twin)


def clock_back(place: Bench, command: Command) -> None:
    """The clock is set back by days between two halves of the work. The day that it shows is the twin's at the end."""
    twin = place.twin(command)
    place.begin(command.name, command.make)
    later, place.shift = place.shift, place.shift + DAYS
    if len(command.lines) > 1:  # files hold the day on which each line was carried out
        place.shift = later
    half = len(command.lines) // 2
    for number, line in enumerate(command.lines[: half + 1]):
        middle = twin.events[number] // 2 if number == half else 0
        place.start(line, middle, signal.SIGKILL if middle else 0, clock=DAYS if middle else 0.0).wait()
    place.shift = later
    _finish(place, command, twin, half)


def vanishing(place: Bench, command: Command, away: bool = False, share: float = 0.5) -> None:
    """The results vanish in the middle of the work, removed or, if ``away``, with all that is in them for a while.

    share: the part of the work after which it happens.
    """
    twin = place.twin(command)
    place.begin(command.name, command.make)
    number = max(range(len(command.lines)), key=lambda n: twin.events[n])
    for line in command.lines[:number]:
        if place.start(line).wait():
            raise Damage(f"{line} fails undisturbed")
    out, line = place.work / OUT, command.lines[number]
    event = max(3, round(share * twin.events[number]))
    child = place.start(line, event, gone=str(out), away=away)
    if not child.wait() and not away and commands.results(out) == twin.files:
        return  # it vanished before anything was written, and all of it was made
    _refused(child, line)
    if out.exists():
        left = [path.relative_to(out).as_posix() for path in out.rglob("*")]
        raise Damage(f"{' '.join(line)}: made {OUT} again, with {', '.join(left) or 'nothing in it'}")
    if away:
        out.with_name(OUT + ".away").rename(out)
    _finish(place, command, twin, number if away else 0)


def renamed(place: Bench, command: Command) -> None:
    """A network share is lost in the middle of the work, and comes back."""
    vanishing(place, command, away=True)


def at_once(place: Bench, command: Command) -> None:
    """Two processes begin at the same time: one is refused and told of the other, or both finish; nothing is mixed."""
    twin = place.twin(command)
    place.begin(command.name, command.make)
    for line in command.lines:
        words = (*line, *command.resumed(place.work))
        both = [place.start(words) for _ in range(2)]
        codes = [child.wait() for child in both]
        for code, child in zip(codes, both, strict=True):
            told = any(word in child.output for word in ("Another", "another", "already"))
            if code and (code not in (1, 2) or "Traceback" in child.output or not told):
                raise Damage(f"{' '.join(words)}: exit code {code} beside another:\n{child.output}")
        if all(codes):
            raise Damage(f"{' '.join(words)}: both were refused:\n{both[0].output}")
    place.check_pages(command.name)
    wrong = commands.differences(commands.results(place.work / OUT), twin.files)
    if wrong:
        raise Damage(f"{command.name}, two at once:\n  " + "\n  ".join(wrong))


FAULTS: dict[str, Callable[[Bench, Command], None]] = {
    "full disk": full_disk,
    "file limit": file_limit,
    "read only": read_only,
    "clock back": clock_back,
    "removed": vanishing,
    "renamed": renamed,
    "two at once": at_once,
}


def run(place: Bench, names: tuple[str, ...] = tuple(commands.COMMANDS)) -> dict[str, int]:
    """Hinder each command in every way; return the number of commands by fault. Raises Damage like the faults."""
    done = dict.fromkeys(FAULTS, 0)
    for fault, hinder in FAULTS.items():
        for name in names:
            try:
                hinder(place, commands.COMMANDS[name])
            except Unavailable:
                continue
            done[fault] += 1
            shutil.rmtree(place.work, ignore_errors=True)
    return done
