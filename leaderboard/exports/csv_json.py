"""Writes tables as CSV and JSON: numbers for programs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from leaderboard.exports.sheet import Beside, Cell, Line, Sheet
from leaderboard.tables import model
from leaderboard.tables.model import Row, Score, Table
from leaderboard.text import MISSING, cleaned, operations, plain_cell

SECONDS = "seconds"  # the metric whose numbers mean nothing without their machine


def to_csv(table: Table) -> Sheet:
    """Write one line per method and one column per data set and metric, as printed, with a zero before the point."""
    titles = [metric.title for metric in table.metrics]
    heads, absent = [], []
    for index, each in enumerate(table.columns):
        names = [f"{each.label} {title}" for title in titles]
        beside = None
        if any(row.cells[index] and row.cells[index].beside for row in table.rows):
            known, gaps = (_quoted(*(f"{name} {what}" for name in names)) for what in ("published", "difference"))
            beside = Beside(",", known, ",", gaps, "," + _quoted(f"{each.label} published in")[0])
        measured = table.kind == "measured"
        about = _quoted(f"{each.label} machine", f"{each.label} load")
        status = "," + _quoted(f"{each.label} status")[0] if measured else ""
        heads.append(Cell("", _with_machine(table, _quoted(*names), about), status, beside))
        nothing = ("",) * len(titles)
        blank = _with_machine(table, nothing, ("", ""))
        absent.append(Cell("", blank, "," if measured else "", beside and Beside(",", nothing, ",", nothing, ",")))
    first = ",".join(("Method", "Group", "GAN", "Year", "References", "Parameters", "GMACs", "Weights"))
    rows = tuple(
        Line(
            "",
            ",".join(_quoted(*_about(row))),
            tuple(
                _csv_cell(table, cell, blank.beside is not None) if cell else None
                for cell, blank in zip(row.cells, absent, strict=True)
            ),
            "\n",
        )
        for row in table.rows
    )
    begin = ("",) * (len(table.columns) + 1)
    return Sheet("csv", "text/csv", begin, (Line("", first, tuple(heads), "\n"),), {}, rows, tuple(absent))


def _about(row: Row) -> tuple[str, ...]:
    return (
        row.title,
        row.group,
        "" if row.gan is None else str(row.gan).lower(),
        "" if row.year is None else str(row.year),
        row.references,
        "" if row.parameters is None else f"{row.parameters:.0f}",
        "" if row.gmacs is None else operations(row.gmacs).replace(",", ""),
        row.weights,
    )


def _csv_cell(table: Table, cell: model.Cell, beside: bool) -> Cell:
    known = gaps = ("",) * len(table.metrics)
    source = ""
    if cell.beside:
        known, gaps = (tuple(map(_plain, texts)) for texts in (cell.beside.texts, cell.beside.gaps))
        source = _quoted(table.sources[cell.beside.source - 1].name)[0]
    timing = cell.timing
    load = "" if timing is None or timing.load is None else f"{timing.load:.2f}"
    return Cell(
        "",
        _with_machine(
            table, tuple(_plain(score.text) for score in cell.scores.values()),
            (_quoted(timing.machine)[0] if timing else "", load),
        ),
        "," + _quoted(_status(cell))[0] if table.kind == "measured" else "",
        Beside(",", known, ",", gaps, f",{source}") if beside else None,
    )


def _with_machine(table: Table, pieces: tuple[str, ...], machine: tuple[str, ...]) -> tuple[str, ...]:
    """Return pieces by metric, that of the time followed by the columns about its machine."""
    names = [metric.name for metric in table.metrics] if table.kind == "measured" else []
    pairs = zip_longest(pieces, names)
    return tuple(",".join((piece, *machine)) if name == SECONDS else piece for piece, name in pairs)


def _quoted(*texts: str) -> tuple[str, ...]:
    """Return texts as cells of a CSV file that a spreadsheet takes for text."""
    plain = (str(plain_cell(text)) for text in texts)
    return tuple(f'"{text.replace(chr(34), chr(34) * 2)}"' if re.search(r'[",\r\n]', text) else text for text in plain)


def _status(cell: model.Cell) -> str:
    return cell.status if cell.remark in ("", cell.status) else f"{cell.status}: {cell.remark}"


def _plain(text: str) -> str:
    """Return a printed number as programs read it: 0.745, -0.02, inf; "" for none."""
    text = text.replace("−", "-").replace("∞", "inf")
    return "" if text == MISSING else re.sub(r"^([+-]?)\.", r"\g<1>0.", text)


def to_json(table: Table) -> Sheet:
    """Write unrounded numbers with their ranks, and every fact that a row has about its method."""
    head = {
        "table": table.title,
        "kind": table.kind,
        "protocol_digest": table.digest,
        "sources": [source.name for source in table.sources],
    }
    rows = tuple(
        Line(
            _open({
                "method": row.title, "group": row.group, "gan": row.gan, "year": row.year,
                "references": row.references, "parameters": row.parameters, "gmacs": row.gmacs,
                "weights": row.weights, "weights_sha256": row.weights_sha256, "implementation": row.mark,
            }, "results"),
            None,
            tuple(_json_cell(table, index, cell) if cell else None for index, cell in enumerate(row.cells)),
            "]}",
        )
        for row in table.rows
    )  # fmt: skip
    begin = (_open(head, "rows"),) * (len(table.columns) + 1)
    return Sheet("json", "application/json", begin, (), {}, rows, (None,) * len(table.columns), "]}", lines=",",
                 pretty=True)  # fmt: skip


def _json_cell(table: Table, index: int, cell: model.Cell) -> Cell:
    shown = table.columns[index]
    facts = {"dataset": shown.key, "title": shown.label, "official": shown.official, "status": _status(cell)}
    beside = None
    if cell.beside:
        source = {"source": table.sources[cell.beside.source - 1].name, "measured_with": cell.beside.caveat}
        known = tuple(
            _text({"metric": metric.name, "value": value})
            for metric, value in zip(table.metrics, cell.beside.values, strict=True)
        )
        beside = Beside(f',"published":{_open(source, "metrics")}', known, after="]}")
    scores = tuple(
        _text(
            {"metric": metric.name, "value": value_of(score), "rank": score.rank}
            | ({"machine": cell.timing.machine, "load": cell.timing.load}
               if metric.name == SECONDS and cell.timing else {})
        )
        for metric, score in zip(table.metrics, cell.scores.values(), strict=True)
    )
    return Cell(_open(facts, "metrics"), scores, "]", beside, "}")


def _text(value: Any) -> str:
    return json.dumps(cleaned(value), ensure_ascii=False)


def _open(value: Mapping[str, Any], name: str) -> str:
    """Return an object that ends within a list called ``name``."""
    return f'{_text(value)[:-1]},"{name}":['


def value_of(score: Score) -> float | str | None:
    return "inf" if score.value is not None and math.isinf(score.value) else score.value
