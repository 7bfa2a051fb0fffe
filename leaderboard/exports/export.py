"""A table as CSV, JSON, LaTeX (booktabs) or Markdown: the text a person pastes into a paper or an issue."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from leaderboard.exports.csv_json import to_csv, to_json
from leaderboard.exports.latex_markdown import to_latex, to_markdown
from leaderboard.exports.sheet import Sheet, View, joined
from leaderboard.reading.failures import failed_runs
from leaderboard.reading.load import Problem, Results, read_folder
from leaderboard.reading.published import published
from leaderboard.statistics.robustness import unrelated
from leaderboard.tables.model import Table
from leaderboard.tables.published import with_published
from leaderboard.tables.tables import build_tables
from refsr_bench.core.errors import BenchError, Misuse

FORMATS: dict[str, Callable[[Table], Sheet]] = {
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "markdown": to_markdown,
}
NAMES = {"csv": "CSV", "json": "JSON", "latex": "LaTeX", "markdown": "Markdown"}


def export_folder(
    folder: Path, form: str, protocol: str | None = None, metrics: Sequence[str] = (), beside: bool = True
) -> tuple[str, tuple[Problem, ...]]:
    """Return one table of a results folder as text, and the files that were left out.

    protocol: its label, or the start of its digest; not needed if there is only one. metrics: replace the protocol's
    PSNR and SSIM. beside: adds published numbers. Raises Misuse when no table, several, or no such metric is found, and
    BenchError like ``read_folder``.
    """
    results = read_folder(folder)
    table = with_published(chosen(results, protocol), published())
    return export(table, whole(table, metrics, beside), form), results.problems


def chosen(results: Results, protocol: str | None = None) -> Table:
    """Return one table of a results folder: of ``protocol``, see ``export_folder``, or the only one there is.

    Raises Misuse when there is none of that name, or several; BenchError when there is nothing to show.
    """
    tables = build_tables(results.benchmarks(), unrelated(results.runs))
    labels = ", ".join(f"{table.title} ({table.digest[:8]})" for table in tables)
    found = [t for t in tables if protocol is None or t.title == protocol or t.digest.startswith(protocol)]
    if not tables:
        raise BenchError(f"{results.folder}: every run failed; the first: {failed_runs(results.benchmarks())[0].why}")
    if not found:
        raise Misuse(f"Nothing below {results.folder} was measured under protocol {protocol}. There is {labels}.")
    if len(found) > 1:
        raise Misuse(f"Which protocol? Name one with --protocol: {labels}.")
    return found[0]


def whole(table: Table, metrics: Sequence[str] = (), published: bool = True) -> View:
    """Return the view of a whole table with its usual metrics, or the named ones.

    Raises Misuse for a metric it lacks.
    """
    names = [metric.name for metric in table.metrics]
    if unknown := [name for name in metrics if name not in names]:
        raise Misuse(f"No run has a metric {unknown[0]}. There is {', '.join(names)}.")
    shown = tuple(names.index(name) for name in metrics) or table.shown
    return View(shown, tuple(range(len(table.columns))), published=published)


def export(table: Table, view: View, form: str) -> str:
    """Return the table as text in one of FORMATS, with a final newline."""
    text = joined(FORMATS[form](table), table, view)
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" if form == "json" else text


def document(table: Table, view: View) -> dict[str, Any]:
    """Return the value that the JSON export writes."""
    return json.loads(joined(to_json(table), table, view))


def all_json(tables: Sequence[Table]) -> str:
    """Return every table with all of its metrics and data sets, in one document."""
    documents = [
        document(table, View(tuple(range(len(table.metrics))), tuple(range(len(table.columns))))) for table in tables
    ]
    value = {"generator": "refsr-bench leaderboard", "tables": documents}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def script(table: Table) -> str:
    """Return the sheets of a table as a script that hands them to ``assets/exports.js``, for the page's exports."""
    value = {form: dataclasses.asdict(write(table)) for form, write in FORMATS.items()}
    return f"sheets({json.dumps(table.key)}, {json.dumps(value, separators=(',', ':'))});\n"


def script_name(table: Table) -> str:
    """Return the address of ``script``, relative to the page."""
    return f"exports/{table.key}.js"
