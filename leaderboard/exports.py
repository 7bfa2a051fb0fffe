"""A table as CSV, JSON, LaTeX (booktabs) or Markdown: the text a person pastes into a paper or an issue.

A format writes a whole table as a ``Sheet`` of pieces: heads, rows, cells, numbers. ``export`` selects the pieces of a
view and joins them. ``assets/table.js`` does the same with the view of the page, from the file that ``script`` writes;
neither of the two formats anything.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leaderboard.tables.grid import Grid, GridCell, GridRow, GridSet, count, operations
from leaderboard.tables.tables import MISSING, Score, clean, plain_cell
from refsr_bench.core.errors import BenchError

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


# -- pieces and their joining --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """The published numbers of a cell: by metric, None where there is none; then their differences, where a format
    writes them."""

    before: str
    texts: tuple[str | None, ...]
    between: str = ""
    gaps: tuple[str | None, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell: its numbers by metric, and what stands around them."""

    before: str = ""
    numbers: tuple[str, ...] = ()
    after: str = ""
    beside: Beside | None = None
    end: str = ""


@dataclass(frozen=True)
class Line:
    """A row or a head. first: None where nothing precedes the cells; fields: by key of FIELDS; cells: by data set, text
    where no number is chosen in it, None for no result."""

    before: str
    first: str | None
    cells: tuple[Cell | str | None, ...]
    after: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sheet:
    """A grid in one format. begin, groups: by the number of columns after the first; plain: stands for the heads of
    groups in a sorted table; absent: cells without a result, by data set; marks: what encloses the best and the second
    number; pretty: JSON, to be indented."""

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
    pretty: bool = False


def export(grid: Grid, view: View, form: str) -> str:
    """The grid as text in one of FORMATS, with a final newline."""
    text = _joined(FORMATS[form](grid), grid, view)
    return json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n" if form == "json" else text


def document(grid: Grid, view: View) -> dict[str, Any]:
    """The value that the JSON export writes."""
    return json.loads(_joined(to_json(grid), grid, view))


def all_json(grids: Sequence[Grid]) -> str:
    """Every grid with all of its metrics and data sets, in one document."""
    tables = [document(grid, View(tuple(range(len(grid.metrics))), tuple(range(len(grid.sets))))) for grid in grids]
    value = {"generator": "refsr-bench leaderboard", "tables": tables}
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def script(grid: Grid) -> str:
    """The sheets of a grid as a script that hands them to ``assets/table.js``, for the page's exports."""
    value = {form: dataclasses.asdict(write(grid)) for form, write in FORMATS.items()}
    return f"sheets({json.dumps(grid.key)}, {json.dumps(value, separators=(',', ':'))});\n"


def script_name(grid: Grid) -> str:
    """The file of ``script``, from the page."""
    return f"exports/{grid.key}.js"


def _joined(sheet: Sheet, grid: Grid, view: View) -> str:
    columns = len(view.sets) + sum(name in sheet.heads[0].fields for name in view.fields) if sheet.heads else 0
    lines, number = [], 0
    for name, rows in grid.groups:
        lines.append(sheet.groups[name][columns] if sheet.groups else "")
        for row in rows:
            scores = [cell.scores if cell else () for cell in row.cells]
            lines.append(_line(sheet, view, sheet.rows[number], lambda s, m, found=scores: found[s][m].mark))
            number += 1
    heads = "".join(_line(sheet, view, head, lambda s, m: "") for head in sheet.heads)
    return sheet.begin[columns] + heads + sheet.lines.join(filter(None, lines)) + sheet.end


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
    """The chosen numbers without those that are missing at the end; None where all are."""
    found = [texts[m] for m in view.metrics]
    while found and found[-1] is None:
        found.pop()
    return sheet.numbers.join(sheet.missing if text is None else text for text in found) if found else None


# -- CSV and JSON: numbers -----------------------------------------------------------------------------------------


def to_csv(grid: Grid) -> Sheet:
    """A line per method, a column per data set and metric: as printed, with a zero before the point."""
    titles = [metric.title for metric in grid.metrics]
    heads, absent = [], []
    for index, each in enumerate(grid.sets):
        names = [f"{each.label} {title}" for title in titles]
        beside = None
        if any(row.cells[index] and row.cells[index].beside for row in grid.rows):
            known, gaps = (_quoted(*(f"{name} {what}" for name in names)) for what in ("published", "difference"))
            beside = Beside(",", known, ",", gaps, "," + _quoted(f"{each.label} published in")[0])
        measured = grid.kind == "measured"
        heads.append(Cell("", _quoted(*names), "," + _quoted(f"{each.label} status")[0] if measured else "", beside))
        nothing = ("",) * len(titles)
        absent.append(Cell("", nothing, "," if measured else "", beside and Beside(",", nothing, ",", nothing, ",")))
    first = ",".join(("Method", "Group", "GAN", "Year", "References", "Parameters", "GMACs", "Weights"))
    rows = tuple(
        Line(
            "",
            ",".join(_quoted(*_about(row))),
            tuple(
                _csv_cell(grid, cell, blank.beside is not None) if cell else None
                for cell, blank in zip(row.cells, absent, strict=True)
            ),
            "\n",
        )
        for row in grid.rows
    )
    begin = ("",) * (len(grid.sets) + 1)
    return Sheet("csv", "text/csv", begin, (Line("", first, tuple(heads), "\n"),), {}, rows, tuple(absent))


def _about(row: GridRow) -> tuple[str, ...]:
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


def _csv_cell(grid: Grid, cell: GridCell, beside: bool) -> Cell:
    known = gaps = ("",) * len(grid.metrics)
    source = ""
    if cell.beside:
        known, gaps = (tuple(map(_plain, texts)) for texts in (cell.beside.texts, cell.beside.gaps))
        source = _quoted(grid.sources[cell.beside.source - 1].name)[0]
    return Cell(
        "",
        tuple(_plain(score.text) for score in cell.scores),
        "," + _quoted(_status(cell))[0] if grid.kind == "measured" else "",
        Beside(",", known, ",", gaps, f",{source}") if beside else None,
    )


def _quoted(*texts: str) -> tuple[str, ...]:
    """Texts as cells of a CSV file that a spreadsheet takes for text."""
    plain = (str(plain_cell(text)) for text in texts)
    return tuple(f'"{text.replace(chr(34), chr(34) * 2)}"' if re.search(r'[",\r\n]', text) else text for text in plain)


def _status(cell: GridCell) -> str:
    return cell.status if cell.remark in ("", cell.status) else f"{cell.status}: {cell.remark}"


def _plain(text: str) -> str:
    """A printed number as programs read it: 0.745, -0.02, inf; "" for none."""
    text = text.replace("−", "-").replace("∞", "inf")
    return "" if text == MISSING else re.sub(r"^([+-]?)\.", r"\g<1>0.", text)


def to_json(grid: Grid) -> Sheet:
    """Unrounded numbers with their ranks, and everything a row says of its method."""
    head = {
        "table": grid.title,
        "kind": grid.kind,
        "protocol_digest": grid.digest,
        "sources": [source.name for source in grid.sources],
    }
    rows = tuple(
        Line(
            _open({
                "method": row.title, "group": row.group, "gan": row.gan, "year": row.year,
                "references": row.references, "parameters": row.parameters, "gmacs": row.gmacs,
                "weights": row.weights, "weights_sha256": row.weights_sha256, "implementation": row.mark,
            }, "results"),
            None,
            tuple(_json_cell(grid, index, cell) if cell else None for index, cell in enumerate(row.cells)),
            "]}",
        )
        for row in grid.rows
    )  # fmt: skip
    begin = (_open(head, "rows"),) * (len(grid.sets) + 1)
    return Sheet("json", "application/json", begin, (), {}, rows, (None,) * len(grid.sets), "]}", lines=",",
                 pretty=True)  # fmt: skip


def _json_cell(grid: Grid, index: int, cell: GridCell) -> Cell:
    shown = grid.sets[index]
    facts = {"dataset": shown.key, "title": shown.label, "official": shown.official, "status": _status(cell)}
    beside = None
    if cell.beside:
        source = {"source": grid.sources[cell.beside.source - 1].name, "measured_with": cell.beside.caveat}
        known = tuple(
            _text({"metric": metric.name, "value": value})
            for metric, value in zip(grid.metrics, cell.beside.values, strict=True)
        )
        beside = Beside(f',"published":{_open(source, "metrics")}', known, after="]}")
    scores = tuple(
        _text({"metric": metric.name, "value": value_of(score), "rank": score.rank})
        for metric, score in zip(grid.metrics, cell.scores, strict=True)
    )
    return Cell(_open(facts, "metrics"), scores, "]", beside, "}")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _open(value: Mapping[str, Any], name: str) -> str:
    """An object that ends within a list called ``name``."""
    return f'{_text(value)[:-1]},"{name}":['


def value_of(score: Score) -> float | str | None:
    return "inf" if score.value is not None and math.isinf(score.value) else score.value


# -- LaTeX and Markdown: what it looks like ------------------------------------------------------------------------


@dataclass(frozen=True)
class Style:
    """What LaTeX and Markdown do differently. escape: text as it is shown; shaded: before the row of a GAN-trained
    method; after_title: behind its title; row: what encloses a line."""

    escape: Callable[[str], str]
    columns: str
    row: tuple[str, str]
    marks: Mapping[str, tuple[str, str]]
    unranked: tuple[str, str]
    shaded: str = ""
    after_title: str = ""


def _styled(grid: Grid, style: Style) -> dict[str, Any]:
    """The pieces of a Sheet that both formats make alike."""

    def cell(found: GridCell) -> Cell:
        before, after = style.unranked if found.remark else ("", "")
        remark = f" ({style.escape(found.remark)}){after}" if found.remark else ""
        beside = None
        if found.beside:
            texts = tuple(style.escape(text) if text else None for text in found.beside.texts)
            beside = Beside(" (published ", texts, after=")")
        return Cell(before, tuple(style.escape(score.text) for score in found.scores), remark, beside)

    before, after = style.row
    rows = tuple(
        Line(
            before + (style.shaded if row.gan else ""),
            style.escape(row.title) + (style.after_title if row.gan else ""),
            tuple(cell(found) if found else None for found in row.cells),
            after,
            {name: style.escape(field_text(row, name)) for name in FIELDS},
        )
        for row in grid.rows
    )
    return {"rows": rows, "absent": (MISSING,) * len(grid.sets), "columns": style.columns, "numbers": " / ",
            "marks": style.marks}  # fmt: skip


def field_text(row: GridRow, name: str) -> str:
    """A column about the method, as printed."""
    if name == "parameters":
        return count(row.parameters)
    if name == "gmacs":
        return operations(row.gmacs)
    value = {"year": row.year, "references": row.references, "weights": row.weights}[name]
    return MISSING if value in (None, "", "unknown") else str(value)


def _head(shown: GridSet) -> str:
    return shown.label if shown.official else f"{shown.label} (not official)"


def to_latex(grid: Grid) -> Sheet:
    """A tabular in the manner of booktabs: best bold, second underlined, GAN-trained rows shaded, groups apart."""
    row = ("", " \\\\\n")
    marks = {"best": (r"\textbf{", "}"), "second": (r"\underline{", "}")}
    style = Style(latex, " & ", row, marks, (r"\textit{", "}"), shaded=r"\rowcolor[gray]{0.92} ")
    digest = f", digest {grid.digest[:12]}" if grid.digest else ""
    about = f"% {latex(grid.title)}{digest}\n% needs \\usepackage{{booktabs}} and \\usepackage[table]{{xcolor}}\n"
    counts = range(len(grid.sets) + len(FIELDS) + 1)
    names = tuple(latex(_head(each)) for each in grid.sets)
    titles = tuple(latex(metric.title) for metric in grid.metrics)
    heads = (
        Line("", "Method", names, row[1], {name: latex(head) for name, head in FIELDS.items()}),
        Line("", "", (Cell("", titles),) * len(names), row[1], dict.fromkeys(FIELDS, "")),
    )
    groups = {
        name: tuple(f"\\midrule\n\\multicolumn{{{n + 1}}}{{l}}{{\\textit{{{latex(name)}}}}} \\\\\n" for n in counts)
        for name, _ in grid.groups
    }
    begin = tuple(f"{about}\\begin{{tabular}}{{l{'c' * n}}}\n\\toprule\n" for n in counts)
    return Sheet("tex", "text/x-tex", begin, heads, groups, end="\\bottomrule\n\\end{tabular}\n", plain="\\midrule\n",
                 **_styled(grid, style))  # fmt: skip


def to_markdown(grid: Grid) -> Sheet:
    """A table as GitHub shows it: best bold, second underlined, groups as a row of their own."""
    row = ("| ", " |\n")
    marks = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}
    style = Style(markdown, " | ", row, marks, ("*", "*"), after_title=" (GAN)")
    titles = tuple(markdown(metric.title) for metric in grid.metrics)
    names = [markdown(_head(each)) for each in grid.sets]
    heads = (
        Line(row[0], "Method", tuple(Cell(f"{name} ", titles) for name in names), row[1],
             {name: markdown(head) for name, head in FIELDS.items()}),
        Line(row[0], "---", (":---:",) * len(names), row[1], dict.fromkeys(FIELDS, "---")),
    )  # fmt: skip
    counts = range(len(grid.sets) + len(FIELDS) + 1)
    groups = {name: tuple(f"| *{markdown(name)}*{' | ' * n} |\n" for n in counts) for name, _ in grid.groups}
    return Sheet("md", "text/markdown", ("",) * len(counts), heads, groups, **_styled(grid, style))


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "²": r"\textsuperscript{2}", "∞": r"$\infty$", "−": "$-$",
}  # fmt: skip


def latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return "".join(_LATEX.get(character, character) for character in _on_one_line(text))


def _on_one_line(text: str) -> str:
    """Text on one line, without characters that disguise it."""
    return re.sub(r"[\t\n\v\f\r\u0085\u2028\u2029 ]+", " ", clean(text)).strip(" ")


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"} | {
    character: f"\\{character}" for character in "\\`*_[]|~#$"
}


def markdown(text: str) -> str:
    """Text that shows as it is: no markup, no link, nobody called by name."""
    line = "".join(_MARKDOWN.get(character, character) for character in _on_one_line(text))
    # Addresses without a scheme become links too.
    return re.sub(r"(?i)www\.", lambda match: f"{match[0][:-1]}&#46;", line)


FORMATS: dict[str, Callable[[Grid], Sheet]] = {
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "markdown": to_markdown,
}
NAMES = {"csv": "CSV", "json": "JSON", "latex": "LaTeX", "markdown": "Markdown"}
