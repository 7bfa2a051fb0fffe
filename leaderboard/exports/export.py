"""A table as CSV, JSON, LaTeX (booktabs) or Markdown: the text a person pastes into a paper or an issue."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from leaderboard.exports.numbers import to_csv, to_json
from leaderboard.exports.sheet import Sheet, View, joined
from leaderboard.exports.typeset import to_latex, to_markdown
from leaderboard.tables.model import Table
from refsr_bench.core.errors import BenchError

FORMATS: dict[str, Callable[[Table], Sheet]] = {
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "markdown": to_markdown,
}
NAMES = {"csv": "CSV", "json": "JSON", "latex": "LaTeX", "markdown": "Markdown"}


def whole(table: Table, metrics: Sequence[str] = (), published: bool = True) -> View:
    """Every data set of a table with its usual metrics, or with those named.

    Raises BenchError for a metric that the table has not.
    """
    names = [metric.name for metric in table.metrics]
    if unknown := [name for name in metrics if name not in names]:
        raise BenchError(f"no metric {unknown[0]!r} in {table.title}; there are {', '.join(names)}")
    shown = tuple(names.index(name) for name in metrics) or table.shown
    return View(shown, tuple(range(len(table.columns))), published=published)


def export(table: Table, view: View, form: str) -> str:
    """The table as text in one of FORMATS, with a final newline."""
    text = joined(FORMATS[form](table), table, view)
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" if form == "json" else text


def document(table: Table, view: View) -> dict[str, Any]:
    """The value that the JSON export writes."""
    return json.loads(joined(to_json(table), table, view))


def all_json(tables: Sequence[Table]) -> str:
    """Every table with all of its metrics and data sets, in one document."""
    documents = [
        document(table, View(tuple(range(len(table.metrics))), tuple(range(len(table.columns))))) for table in tables
    ]
    value = {"generator": "refsr-bench leaderboard", "tables": documents}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def script(table: Table) -> str:
    """The sheets of a table as a script that hands them to ``assets/table.js``, for the page's exports."""
    value = {form: dataclasses.asdict(write(table)) for form, write in FORMATS.items()}
    return f"sheets({json.dumps(table.key)}, {json.dumps(value, separators=(',', ':'))});\n"


def script_name(table: Table) -> str:
    """The file of ``script``, from the page."""
    return f"exports/{table.key}.js"
