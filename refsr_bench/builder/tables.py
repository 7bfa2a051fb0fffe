"""A project's tables: CSV files with one struct per row, so any program can read them.

Whole tables are replaced at once or not at all. Single rows are appended and are on the disk before the call returns. A
row that a kill cut short is dropped when the table is read, and cut off before the next one is appended. White space
inside a cell becomes single spaces, so a line is a row.

Tables may come from strangers. Bytes, rows and the length of a line are bounded while they are read, and a cell that
becomes a path (``rows.Inside``) cannot lead out of the table's folder.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from refsr_bench.builder.rows import Inside
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.journals import append_lines

Row = TypeVar("Row", bound=msgspec.Struct)
MOST_BYTES = 200 << 20  # limit of one table; 50 candidates for each of 8,000 queries take as much
MOST_ROWS = 1_000_000  # limit of one table; short rows take more memory than bytes on the disk
MOST_LINE = 1 << 20  # bytes of a line; 13 cells of the longest text (reader.Text, 20,000 characters) fit
_WORDS = {int: "a whole number from 0", float: "a number", bool: "0 or 1", str: "text"}


def read(path: str | Path, row: type[Row]) -> list[Row]:
    """Read the rows of a table, [] if there is no such file. A torn last line is left out.

    Raises BenchError naming the line and the column of a value that does not fit. Columns that the struct does not have
    are refused. Columns with a default may be missing, and an empty cell of numbers means the default.
    """
    path = Path(path)
    if not os.path.lexists(path):  # a dangling link is damage, not an empty table
        return []
    return _parsed(_lines(path, torn=True), row, path)


def given(path: Path, row: type[Row]) -> list[Row]:
    """Read the rows of a table that a person wrote; its last line may lack a newline.

    Raises Misuse for what ``read`` refuses, and when there is no such file.
    """
    try:
        return _parsed(_lines(path), row, path)
    except BenchError as error:
        raise Misuse(str(error)) from None


def write(path: str | Path, rows: Sequence[Row], row: type[Row] | None = None) -> None:
    """Replace the table by these rows, atomically. row: their type, needed when there are none.

    Raises BenchError when the disk refuses.
    """
    path = Path(path)
    files.write_bytes(path, b"".join(line + b"\n" for line in (_head(row or type(rows[0])), *map(_line, rows))))


def append(path: str | Path, rows: Iterable[Row]) -> None:
    """Add rows at the end and return when they are on the disk; a new table gets its header first.

    A table with other columns (of an older version) is rewritten. The caller holds the lock of the stage that owns the
    table. Raises BenchError when the disk refuses.
    """
    path, rows = Path(path), list(rows)
    if not rows:
        return
    head = _head(type(rows[0]))
    before = next(_lines(path, torn=True), "") if os.path.lexists(path) else ""
    if before and before.rstrip().encode() != head:
        write(path, [*read(path, type(rows[0])), *rows])
        return
    lines = [*([] if before else [head]), *map(_line, rows)]
    try:
        append_lines(path, b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise files.cannot_write(path, error) from None


def _lines(path: Path, torn: bool = False) -> Iterator[str]:
    """Yield the lines of a text file with their ends. torn: leave out a last one that does not end.

    Raises BenchError for what is no regular file, no UTF-8, or beyond the bounds.
    """
    number = 0
    try:
        with files.opened(path, MOST_BYTES) as file:
            while data := file.readline(MOST_LINE):
                if not data.endswith(b"\n"):
                    if len(data) == MOST_LINE:
                        raise BenchError(f"{path}, line {number + 1}: not CSV (longer than {MOST_LINE:,} bytes).")
                    if torn:
                        return
                text = data.decode("utf-8" if number else "utf-8-sig")
                for line in io.StringIO(text, newline="") if "\r" in text else (text,):  # old systems end lines so
                    number += 1
                    if number > MOST_ROWS:
                        raise BenchError(f"{path}: more than {MOST_ROWS:,} rows.")
                    yield line
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError as error:
        raise BenchError(f"{path}, line {number + 1}: cannot be read as a table ({error}).") from None


def _parsed(text: Iterator[str], row: type[Row], path: Path) -> list[Row]:
    lines = csv.reader(text, strict=True)
    columns = {field.name: field for field in msgspec.structs.fields(row)}
    try:
        head = next(lines, [])
        if unknown := [name for name in head if name not in columns]:
            raise BenchError(f"{path}: there is no column {unknown[0]!r}. Columns: {', '.join(columns)}.")
        if missing := [name for name, field in columns.items() if head and field.required and name not in head]:
            raise BenchError(f"{path}: column {missing[0]!r} is missing.")
        if len(set(head)) < len(head):
            raise BenchError(f"{path}: a column comes twice.")
        paths = [n for n, name in enumerate(head) if columns[name].type == Inside]
        rows = []
        for cells in lines:
            where = f"{path}, line {lines.line_num}"
            if cells:
                rows.append(_row(where, row, columns, head, cells))
            for n in paths if cells else ():
                if cells[n] and files.leads_out(cells[n]):
                    raise BenchError(f"{where}: {head[n]} is {cells[n][:200]!r}, no path inside {path.parent}.")
        return rows
    except csv.Error as error:
        raise BenchError(f"{path}, line {lines.line_num}: not CSV ({error}).") from None


def _row(where: str, row: type[Row], columns: dict, head: list[str], cells: list[str]) -> Row:
    if len(cells) != len(head):
        raise BenchError(f"{where}: {len(cells)} cells under {len(head)} columns.")
    said = {
        name: cell
        for name, cell in zip(head, cells, strict=True)
        if cell or not isinstance(columns[name].default, (int, float))
    }
    try:
        return msgspec.convert(said, row, strict=False)
    except msgspec.ValidationError:
        name = next(name for name, cell in said.items() if not _fits(cell, columns[name].type))
        kind = getattr(columns[name].type, "__origin__", columns[name].type)  # without the bounds
        raise BenchError(f"{where}: {name} is {said[name]!r}, not {_WORDS[kind]}.") from None


def _fits(cell: str, kind: type) -> bool:
    try:
        msgspec.convert(cell, kind, strict=False)
    except msgspec.ValidationError:
        return False
    return True


def _head(row: type[Row]) -> bytes:
    return _csv(row.__struct_fields__)


def _line(row: Row) -> bytes:
    return _csv([_cell(getattr(row, name)) for name in row.__struct_fields__])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def _csv(cells: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode(errors="backslashreplace")  # words of a command line may be no UTF-8
