"""An append-only file of JSON lines that loses nothing: a line is on the disk before anybody is told of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, TypeVar

from refsr_bench.core.errors import BenchError

Line = TypeVar("Line")


class Journal(Generic[Line]):
    """The lines of one file, each a dataclass. Any number of processes may append; a line that a kill cut short is
    dropped.

    parse: a line from its JSON value; raises ValueError or TypeError for what is none. noun: what messages call a line.
    """

    def __init__(self, path: Path, parse: Callable[[Any], Line], noun: str) -> None:
        self.path = path
        self._parse, self._noun = parse, noun
        self._read: tuple[tuple[int, int], list[Line]] = ((-1, -1), [])

    def read(self) -> list[Line]:
        """All whole lines. Raises BenchError naming a line that is none of ours."""
        try:
            found = os.stat(self.path)
            if (found.st_size, found.st_mtime_ns) != self._read[0]:
                data = self.path.read_bytes()
                lines = data[: data.rfind(b"\n") + 1].splitlines()
                self._read = ((found.st_size, found.st_mtime_ns), [self._line(n, x) for n, x in enumerate(lines, 1)])
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BenchError(f"{self.path}: cannot be read ({error.strerror}).") from None
        return list(self._read[1])

    def extend(self, make: Callable[[list[Line]], Sequence[Line]]) -> list[Line]:
        """Append what ``make`` makes of the lines so far; returns all lines once they are on the disk.

        No other process appends in between. Raises BenchError when the disk refuses; the file is then as before.
        """
        from filelock import FileLock

        try:
            with FileLock(self.path.with_name(f".{self.path.name}.lock")):
                before = self.read()
                new = list(make(before))
                if new:
                    text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in new)
                    self._append(text.encode())
                    found = os.stat(self.path)  # nobody else writes now: no need to read all of it again
                    self._read = ((found.st_size, found.st_mtime_ns), [*before, *new])
                return [*before, *new]
        except OSError as error:
            raise BenchError(f"{self.path}: cannot be written ({error.strerror or error}). Make room.") from None

    def _append(self, lines: bytes) -> None:
        created = not self.path.exists()
        with self.path.open("a+b", buffering=0) as file:
            file.seek(0)
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.truncate(whole)
            try:
                if file.write(lines) != len(lines):
                    raise OSError("the disk is full")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise
        if created and os.name == "posix":  # the name of a new file is on the disk when its folder is
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _line(self, number: int, line: bytes) -> Line:
        try:
            return self._parse(json.loads(line))
        except (ValueError, TypeError, RecursionError):
            raise BenchError(
                f"{self.path}, line {number}: no {self._noun}. The file was changed by hand; mend or remove the line."
            ) from None
