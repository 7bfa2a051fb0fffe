"""Files that are appended to: JSON-lines journals, which lose nothing, and files written in several goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import MOST_BYTES, OWN_FILE, alone, cannot_write, move, read_bytes, synchronise

Line = TypeVar("Line")


class Journal(Generic[Line]):
    r"""An append-only file of JSON lines that loses nothing: a line is on the disk before anybody is told of it.

    Lines end only in the byte ``\n``, because text may hold U+2028, U+0085 and the like. Any number of processes may
    append. Readers skip a line that a kill cut short, and the next writer removes it.

    decode: turns JSON bytes into a line; it also gets the position of the line, and raises BenchError for an invalid
    one. encode: the reverse, without a newline. most: the limit of the whole file, in bytes.
    """

    def __init__(
        self,
        path: Path,
        decode: Callable[[bytes, str], Line],
        encode: Callable[[Line], bytes],
        most: int = 1 << 30,
    ) -> None:
        self.path = path
        self._decode, self._encode, self._most = decode, encode, most
        self._read: tuple[tuple[int, int], list[Line]] = ((-1, -1), [])

    def read(self) -> list[Line]:
        """Return all whole lines, none if there is no file. Raises BenchError naming an invalid line."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise BenchError(f"{self.path}: cannot be read ({error.strerror}).") from None
        if (found.st_size, found.st_mtime_ns) != self._read[0]:
            data = read_bytes(self.path, self._most)
            lines = [self._decoded(line, number) for number, line in enumerate(_whole_lines(data), 1)]
            self._read = ((found.st_size, found.st_mtime_ns), lines)
        return list(self._read[1])

    def _decoded(self, line: bytes, number: int) -> Line:
        where = f"{self.path}, line {number}"
        if len(line) > MOST_BYTES:  # parsed JSON takes up to twenty times its bytes
            raise BenchError(f"{where}: {len(line) >> 20} MiB; at most {MOST_BYTES >> 20} MiB are read.")
        return self._decode(line, where)

    def append(self, line: Line) -> None:
        """Put one line on the disk. Raises BenchError when the disk refuses; the file is then as before."""
        self.extend(lambda before: (line,))

    def extend(self, make: Callable[[list[Line]], Sequence[Line]]) -> list[Line]:
        """Append what ``make`` returns for the lines so far; return all lines once they are on the disk.

        No other process appends in between. Raises BenchError when the disk refuses; the file is then as before.
        """
        try:
            with alone(self.path.with_name(f".{self.path.name}.lock")):
                before = self.read()
                new = list(make(before))
                if new:
                    append_lines(self.path, b"".join(self._encode(line) + b"\n" for line in new))
                    found = os.stat(self.path)  # nobody else writes now, so the whole file need not be read again
                    self._read = ((found.st_size, found.st_mtime_ns), [*before, *new])
                return [*before, *new]
        except OSError as error:
            raise cannot_write(self.path, error) from None


def append_lines(path: Path, data: bytes) -> None:
    """Append whole lines and return when they are on the disk; a last line that a kill cut short is removed first.

    The caller holds a lock. Raises OSError when the disk refuses; the file is then as before.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    created = not path.exists()
    with open(os.open(path, flags, 0o666), "r+b", buffering=0) as file:
        whole = _end_of_last_line(file)
        file.truncate(whole)
        file.seek(whole)
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(whole)
            raise
    if created:
        synchronise(path.parent)


def _whole_lines(data: bytes) -> Iterator[bytes]:
    """Yield the lines that end; one by one, because a list of a gigabyte of empty lines takes nine."""
    start = 0
    while (end := data.find(b"\n", start)) >= 0:
        yield data[start:end]
        start = end + 1


def _end_of_last_line(file: BinaryIO) -> int:
    """Return the offset after the last newline, read backwards in blocks because journals may be long."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - (1 << 16))
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


class Unfinished:
    """A file that is written in several goes: ``.NAME.part`` beside it until it is whole. One writer at a time.

    path: the unfinished file.
    """

    def __init__(self, whole: Path) -> None:
        self.whole, self.path = whole, whole.with_name(f".{whole.name}.part")

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Give the block the file behind its last byte. What it wrote stays, also when it fails.

        Raises BenchError when the disk refuses.
        """
        try:
            handle = os.open(self.path, OWN_FILE, 0o666)
            with open(handle, "r+b") as file:
                file.seek(0, os.SEEK_END)
                yield file
        except OSError as error:
            raise cannot_write(self.path, error) from None

    def finish(self) -> None:
        """Give the whole file its name. Raises BenchError when the disk refuses."""
        try:
            synchronise(self.path)
        except OSError as error:
            raise cannot_write(self.whole, error) from None
        move(self.path, self.whole)

    def drop(self) -> None:
        """Remove the file, which is not worth going on with."""
        with suppress(OSError):
            self.path.unlink()
