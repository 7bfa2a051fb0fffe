"""A project's tables: CSV files with one frozen dataclass per row, so that any program reads them.

Whole tables are replaced at once or not at all; single rows are appended and on the disk before the call returns. A row
that a kill cut short is dropped when the table is read, and cut off before the next one is appended. White space inside
a cell becomes single spaces, so that a line is a row.
"""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import write_text

Row = TypeVar("Row")


def read(path: str | Path, row: type[Row]) -> list[Row]:
    """The rows of a table, [] where there is no such file. A torn last line is left out.

    Raises BenchError naming the line and the column of a value that does not fit. Columns that the dataclass does not
    have are refused; columns with a default may be missing.
    """
    path = Path(path)
    whole = _whole(path)
    if not whole:
        return []
    lines = csv.reader(io.StringIO(whole, newline=""), strict=True)
    try:
        head = next(lines, [])
        known = {f.name: f for f in dataclasses.fields(row)}
        if unknown := [name for name in head if name not in known]:
            raise BenchError(f"{path}: there is no column {unknown[0]!r}. Columns: {', '.join(known)}.")
        required = [name for name, f in known.items() if f.default is dataclasses.MISSING and name not in head]
        if required:
            raise BenchError(f"{path}: column {required[0]!r} is missing.")
        if len(set(head)) < len(head):
            raise BenchError(f"{path}: a column comes twice.")
        return [_row(path, lines.line_num, row, known, head, cells) for cells in lines if cells]
    except csv.Error as error:
        raise BenchError(f"{path}, line {lines.line_num}: not CSV ({error}).") from None


def write(path: str | Path, rows: Sequence[Any], row: type | None = None) -> None:
    """Replace the table by these rows, atomically. row: their type, needed where there are none.

    Raises BenchError when the disk refuses.
    """
    path = Path(path)
    kind = row or type(rows[0])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, _line([f.name for f in dataclasses.fields(kind)]) + _lines(rows))
    except OSError as error:
        raise _refused(path, error) from None


def append(path: str | Path, rows: Iterable[Any]) -> None:
    """Add rows at the end and return when they are on the disk; the head is written first where there is no table.

    A table with other columns (of an older version) is rewritten. Raises BenchError when the disk refuses.
    """
    path, rows = Path(path), list(rows)
    if not rows:
        return
    head = _line([f.name for f in dataclasses.fields(rows[0])]).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            first = file.readline()
            if first.endswith(b"\n") and first.removeprefix(codecs.BOM_UTF8).rstrip() != head.rstrip():
                return write(path, [*read(path, type(rows[0])), *rows])
            file.truncate(_end(file))
            file.seek(0, os.SEEK_END)
            file.write((b"" if file.tell() else head) + _lines(rows).encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _refused(path, error) from None
    return None


def _end(file: BinaryIO, block: int = 1 << 16) -> int:
    """Where the last whole line ends; cells hold no line feeds."""
    at = file.seek(0, os.SEEK_END)
    while at:
        start = max(0, at - block)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _whole(path: Path) -> str:
    try:
        data = path.read_bytes()
        return data[: data.rfind(b"\n") + 1].decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: cannot be read as a table ({error}).") from None


def _row(path: Path, number: int, row: type[Row], known: dict, head: list[str], cells: list[str]) -> Row:
    if len(cells) != len(head):
        raise BenchError(f"{path}, line {number}: {len(cells)} cells under {len(head)} columns.")
    values = {}
    for name, cell in zip(head, cells, strict=True):
        kind = known[name].type  # a word: annotations are not evaluated
        try:
            values[name] = _READ[kind](cell)
        except (ValueError, KeyError):
            raise BenchError(f"{path}, line {number}: {name} is {cell!r}, not {_WORDS[kind]}.") from None
    return row(**values)


_READ = {
    "str": str,
    "int": lambda cell: int(cell or 0),
    "float": lambda cell: float(cell or 0),
    "bool": {"1": True, "0": False}.__getitem__,
}
_WORDS = {"int": "a whole number", "float": "a number", "bool": "0 or 1", "str": "text"}


def _lines(rows: Iterable[Any]) -> str:
    return "".join(_line([_cell(getattr(row, f.name)) for f in dataclasses.fields(row)]) for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _refused(path: Path, error: OSError) -> BenchError:
    return BenchError(f"{path}: cannot be written ({error.strerror or error}). Make room, or move the project.")
