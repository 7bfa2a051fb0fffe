"""Holds a table in some format as pieces of text, and joins the pieces of a view.

A format writes a whole table as a ``Sheet``: heads, rows, cells, numbers. ``joined`` selects the pieces of a view and
joins them. ``assets/exports.js`` does the same with the view of the page; neither of the two formats anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from leaderboard.tables.model import Row, Table
from leaderboard.text import MISSING, count, operations

FIELDS = {
    "year": "Year",
    "references": "References",
    "parameters": "Parameters",
    "gmacs": "GMACs",
    "weights": "Weights",
}
"""Columns about the method that can be shown, with their heads."""


@dataclass(frozen=True)
class View:
    """The part of a table that is shown.

    metrics, sets: positions in the table. fields: keys of FIELDS. published: whether the published number and the
    difference stand beside each result.
    """

    metrics: tuple[int, ...]
    sets: tuple[int, ...]
    fields: tuple[str, ...] = ()
    published: bool = True


@dataclass(frozen=True)
class Beside:
    """The published numbers of a cell by metric, None if there is none; then their differences, if written."""

    before: str
    texts: tuple[str | None, ...]
    between: str = ""
    gaps: tuple[str | None, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: its numbers by metric, and the text around them."""

    before: str = ""
    numbers: tuple[str, ...] = ()
    after: str = ""
    beside: Beside | None = None
    end: str = ""


@dataclass(frozen=True)
class Line:
    """A row or a head.

    first: None if nothing precedes the cells. fields: by key of FIELDS. cells: by data set; text if none of its numbers
    is chosen, None for no result.
    """

    before: str
    first: str | None
    cells: tuple[Cell | str | None, ...]
    after: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """A table in one format.

    begin, groups: by the number of columns after the first. plain: replaces the heads of groups in a sorted table.
    absent: cells without a result, by data set. marks: the text around the best and the second number. pretty: whether
    JSON is indented. feet: by metric, what follows the end if that metric is shown.
    """

    ending: str
    kind: str
    begin: tuple[str, ...]
    heads: tuple[Line, ...]
    groups: Mapping[str, tuple[str, ...]]
    rows: tuple[Line, ...]
    absent: tuple[Cell | str | None, ...]
    end: str = ""
    plain: str = ""
    columns: str = ","
    numbers: str = ","
    lines: str = ""
    marks: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    missing: str = MISSING
    feet: tuple[str, ...] = ()
    pretty: bool = False


def field_text(row: Row, name: str) -> str:
    """Return a column about the method, as printed."""
    if name == "parameters":
        return count(row.parameters)
    if name == "gmacs":
        return operations(row.gmacs)
    value = {"year": row.year, "references": row.references, "weights": row.weights}[name]
    return MISSING if value in (None, "", "unknown") else str(value)


def joined(sheet: Sheet, table: Table, view: View) -> str:
    """Return the text of a view."""
    columns = len(view.sets) + sum(name in sheet.heads[0].fields for name in view.fields) if sheet.heads else 0
    lines, number = [], 0
    for name, rows in table.groups:
        lines.append(sheet.groups[name][columns] if sheet.groups else "")
        for row in rows:
            marks = [[score.mark for score in cell.scores.values()] if cell else [] for cell in row.cells]
            lines.append(_line(sheet, view, sheet.rows[number], lambda s, m, found=marks: found[s][m]))
            number += 1
    heads = "".join(_line(sheet, view, head, lambda s, m: "") for head in sheet.heads)
    feet = "".join(sheet.feet[m] for m in view.metrics if sheet.feet)
    return sheet.begin[columns] + heads + sheet.lines.join(filter(None, lines)) + sheet.end + feet


def _line(sheet: Sheet, view: View, line: Line, mark: Callable[[int, int], str]) -> str:
    items = [line.first, *(line.fields[name] for name in view.fields if name in line.fields)]
    for index in view.sets:
        cell = line.cells[index]
        if cell is None:
            items.append(_cell(sheet, view, sheet.absent[index], lambda m: ""))
        else:
            items.append(_cell(sheet, view, cell, lambda m, index=index: mark(index, m)))
    return line.before + sheet.columns.join(item for item in items if item is not None) + line.after


def _cell(sheet: Sheet, view: View, cell: Cell | str | None, mark: Callable[[int], str]) -> str | None:
    if not isinstance(cell, Cell):
        return cell
    numbers = [cell.numbers[m].join(sheet.marks.get(mark(m), ("", ""))) for m in view.metrics]
    text = cell.before + sheet.numbers.join(numbers) + cell.after
    beside = cell.beside
    if beside and view.published and (known := _several(sheet, view, beside.texts)) is not None:
        gaps = (_several(sheet, view, beside.gaps) or "") if beside.gaps else ""
        text += beside.before + known + beside.between + gaps + beside.after
    return text + cell.end


def _several(sheet: Sheet, view: View, texts: Sequence[str | None]) -> str | None:
    """Return the chosen numbers without those that are missing at the end; None if all are missing."""
    found = [texts[m] for m in view.metrics]
    while found and found[-1] is None:
        found.pop()
    return sheet.numbers.join(sheet.missing if text is None else text for text in found) if found else None
