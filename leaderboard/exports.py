"""What a grid shows, as CSV, JSON, LaTeX (booktabs) or Markdown: the text a person pastes into a paper or an issue.

``assets/table.js`` does the same with the filters of the page; tests/leaderboard/test_browser_table.py keeps the two
alike, character by character.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.tables.grid import Grid, GridCell, GridRow, count, joined, operations
from leaderboard.tables.tables import MISSING, Score, clean, plain_cell
from refsr_bench.core.errors import BenchError

FORMATS = ("csv", "json", "latex", "markdown")
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
    """What is shown. metrics, sets: indices of the grid's; fields: keys of FIELDS; published: the published number and
    the difference beside each result."""

    metrics: tuple[int, ...]
    sets: tuple[int, ...]
    fields: tuple[str, ...] = ()
    published: bool = True


def whole(grid: Grid, metrics: Sequence[str] = (), published: bool = True) -> View:
    """Every data set of a grid with its usual metrics, or with those named.

    Raises BenchError for a metric that the grid has not.
    """
    names = [metric.name for metric in grid.metrics]
    if unknown := [name for name in metrics if name not in names]:
        raise BenchError(f"no metric {unknown[0]!r} in {grid.title}; there are {', '.join(names)}")
    shown = tuple(names.index(name) for name in metrics) or grid.shown
    return View(shown, tuple(range(len(grid.sets))), published=published)


def export(grid: Grid, view: View, form: str) -> str:
    """The grid as text in one of FORMATS, with a final newline."""
    return {"csv": to_csv, "json": to_json, "latex": to_latex, "markdown": to_markdown}[form](grid, view)


def field(row: GridRow, name: str) -> str:
    """A column about the method, as printed."""
    if name == "parameters":
        return count(row.parameters)
    if name == "gmacs":
        return operations(row.gmacs)
    value = {"year": row.year, "references": row.references, "weights": row.weights}[name]
    return MISSING if value in (None, "", "unknown") else str(value)


# -- CSV and JSON: numbers -----------------------------------------------------------------------------------------


def to_csv(grid: Grid, view: View) -> str:
    """A line per method, a column per data set and metric: as printed, with a zero before the point."""
    beside = [
        view.published and any(cell and cell.beside for cell in (row.cells[i] for row in grid.rows)) for i in view.sets
    ]
    head = ["Method", "Group", "GAN", "Year", "References", "Parameters", "GMACs", "Weights"]
    for place, index in enumerate(view.sets):
        names = [f"{grid.sets[index].label} {grid.metrics[m].title}" for m in view.metrics]
        head += names
        if grid.kind == "measured":
            head.append(f"{grid.sets[index].label} status")
        if beside[place]:
            head += [f"{name} {what}" for what in ("published", "difference") for name in names]
            head.append(f"{grid.sets[index].label} published in")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([plain_cell(item) for item in head])
    for row in grid.rows:
        gan = "" if row.gan is None else str(row.gan).lower()
        parameters = "" if row.parameters is None else f"{row.parameters:.0f}"
        line = [row.title, row.group, gan, "" if row.year is None else str(row.year), row.references, parameters]
        gmacs = "" if row.gmacs is None else operations(row.gmacs).replace(",", "")
        line = [plain_cell(item) for item in (*line, gmacs, row.weights)]
        for place, index in enumerate(view.sets):
            cell = row.cells[index]
            line += [_printed(cell.scores[m].text) if cell else "" for m in view.metrics]
            if grid.kind == "measured":
                line.append(_status(cell) if cell else "")
            if beside[place]:
                found = cell.beside if cell else None
                line += [_printed(found.texts[m]) if found else "" for m in view.metrics]
                line += [_printed(found.gaps[m]) if found else "" for m in view.metrics]
                line.append(plain_cell(grid.sources[found.source - 1].name) if found else "")
        writer.writerow(line)
    return text.getvalue()


def _status(cell: GridCell) -> str:
    return cell.status if cell.remark in ("", cell.status) else f"{cell.status}: {cell.remark}"


def _printed(text: str) -> str:
    """A printed number as programs read it: 0.745, -0.02, inf; "" for none."""
    text = text.replace("−", "-").replace("∞", "inf")
    return "" if text == MISSING else re.sub(r"^([+-]?)\.", r"\g<1>0.", text)


def to_json(grid: Grid, view: View) -> str:
    """Unrounded numbers with their ranks, and everything a row says of its method."""
    return json.dumps(document(grid, view), indent=1, ensure_ascii=False) + "\n"


def document(grid: Grid, view: View) -> dict[str, Any]:
    """The value that ``to_json`` writes."""
    return {
        "table": grid.title,
        "kind": grid.kind,
        "protocol_digest": grid.digest,
        "sources": [source.name for source in grid.sources],
        "rows": [_record(grid, row, view) for row in grid.rows],
    }


def _record(grid: Grid, row: GridRow, view: View) -> dict[str, Any]:
    results = []
    for index in view.sets:
        cell = row.cells[index]
        if cell is None:
            continue
        found: dict[str, Any] = {
            "dataset": grid.sets[index].key,
            "title": grid.sets[index].label,
            "official": grid.sets[index].official,
            "status": _status(cell),
            "metrics": [
                {"metric": grid.metrics[m].name, "value": _number(cell.scores[m]), "rank": cell.scores[m].rank}
                for m in view.metrics
            ],
        }
        if view.published and cell.beside:
            found["published"] = {
                "source": grid.sources[cell.beside.source - 1].name,
                "measured_with": cell.beside.caveat,
                "metrics": [{"metric": grid.metrics[m].name, "value": cell.beside.values[m]} for m in view.metrics],
            }
        results.append(found)
    return {
        "method": row.title,
        "group": row.group,
        "gan": row.gan,
        "year": row.year,
        "references": row.references,
        "parameters": row.parameters,
        "gmacs": row.gmacs,
        "weights": row.weights,
        "weights_sha256": row.weights_sha256,
        "implementation": row.mark,
        "results": results,
    }


def _number(score: Score) -> float | str | None:
    return "inf" if score.value is not None and math.isinf(score.value) else score.value


def all_json(grids: Sequence[Grid]) -> str:
    """Every grid with all of its metrics and data sets, in one document."""
    tables = [document(grid, View(tuple(range(len(grid.metrics))), tuple(range(len(grid.sets))))) for grid in grids]
    value = {"generator": "refsr-bench leaderboard", "tables": tables}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


# -- LaTeX and Markdown: what it looks like ------------------------------------------------------------------------


def _heads(grid: Grid, view: View) -> tuple[list[str], list[str]]:
    """Heads of the columns after the first, and what stands below those of data sets."""
    fields = [FIELDS[name] for name in view.fields]
    sets = [grid.sets[index].label + ("" if grid.sets[index].official else " (not official)") for index in view.sets]
    metrics = " / ".join(grid.metrics[m].title for m in view.metrics)
    return [*fields, *sets], [*("" for _ in fields), *(metrics for _ in sets)]


def to_latex(grid: Grid, view: View) -> str:
    """A tabular in the manner of booktabs: best bold, second underlined, GAN-trained rows shaded, groups apart."""
    heads, below = _heads(grid, view)
    lines = [
        f"% {latex(grid.title)}{f', digest {grid.digest[:12]}' if grid.digest else ''}",
        r"% needs \usepackage{booktabs} and \usepackage[table]{xcolor}",
        rf"\begin{{tabular}}{{l{'c' * len(heads)}}}",
        r"\toprule",
        " & ".join(["Method", *map(latex, heads)]) + r" \\",
        " & ".join(["", *map(latex, below)]) + r" \\",
    ]
    for name, rows in grid.groups:
        lines += [r"\midrule", rf"\multicolumn{{{len(heads) + 1}}}{{l}}{{\textit{{{latex(name)}}}}} \\"]
        for row in rows:
            cells = [latex(field(row, name)) for name in view.fields]
            cells += [_latex_cell(row.cells[index], view) for index in view.sets]
            shade = r"\rowcolor[gray]{0.92} " if row.gan else ""
            lines.append(f"{shade}{' & '.join([latex(row.title), *cells])} \\\\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_cell(cell: GridCell | None, view: View) -> str:
    if cell is None:
        return MISSING
    marks = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
    parts = [marks.get(cell.scores[m].mark, "{}").format(latex(cell.scores[m].text)) for m in view.metrics]
    text = " / ".join(parts)
    if cell.remark:
        text = rf"\textit{{{text} ({latex(cell.remark)})}}"
    beside = latex(_beside(cell, view))
    return f"{text} {beside}".rstrip()


def _beside(cell: GridCell, view: View) -> str:
    text = joined(cell.beside.texts, view.metrics) if view.published and cell.beside else ""
    return f"(published {text})" if text else ""


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "²": r"\textsuperscript{2}", "∞": r"$\infty$", "−": "$-$",
}  # fmt: skip


def latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_LATEX.get(character, character) for character in _line(text))


def _line(text: str) -> str:
    """Text on one line, without characters that disguise it."""
    return re.sub(r"[\t\n\v\f\r\u0085\u2028\u2029 ]+", " ", clean(text)).strip(" ")


def to_markdown(grid: Grid, view: View) -> str:
    """A table as GitHub shows it: best bold, second underlined, groups as a row of their own."""
    heads, below = _heads(grid, view)
    named = [f"{markdown(head)}{f' {markdown(unit)}' if unit else ''}" for head, unit in zip(heads, below, strict=True)]
    lines = [_pipes(["Method", *named]), _pipes(["---", *("---" if not unit else ":---:" for unit in below)])]
    for name, rows in grid.groups:
        lines.append(_pipes([f"*{markdown(name)}*", *("" for _ in heads)]))
        for row in rows:
            title = markdown(row.title) + (" (GAN)" if row.gan else "")
            cells = [markdown(field(row, name)) for name in view.fields]
            lines.append(_pipes([title, *cells, *(_markdown_cell(row.cells[index], view) for index in view.sets)]))
    return "\n".join(lines) + "\n"


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: GridCell | None, view: View) -> str:
    if cell is None:
        return MISSING
    marks = {"best": "**{}**", "second": "<ins>{}</ins>"}
    text = " / ".join(marks.get(cell.scores[m].mark, "{}").format(markdown(cell.scores[m].text)) for m in view.metrics)
    if cell.remark:
        text = f"*{text} ({markdown(cell.remark)})*"
    beside = markdown(_beside(cell, view))
    return f"{text} {beside}".rstrip()


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"} | {
    character: f"\\{character}" for character in "\\`*_[]|~#$"
}


def markdown(text: str) -> str:
    """Text that shows as it is: no markup, no link, nobody called by name."""
    line = "".join(_MARKDOWN.get(character, character) for character in _line(text))
    # Addresses without a scheme become links too.
    return re.sub(r"(?i)www\.", lambda match: f"{match[0][:-1]}&#46;", line)
