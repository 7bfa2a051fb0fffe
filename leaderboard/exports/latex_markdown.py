"""Writes tables as LaTeX (booktabs) and Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leaderboard.exports.sheet import FIELDS, Beside, Cell, Line, Sheet, field_text
from leaderboard.tables import model
from leaderboard.tables.model import Column, Table
from leaderboard.text import MISSING, clean


@dataclass(frozen=True)
class Style:
    """The differences between LaTeX and Markdown.

    escape: formats text for display. note: encloses the mark beside a time. foot: encloses the line about times.
    shaded: precedes the row of a GAN-trained method. after_title: follows its title.
    row: encloses a line.
    """

    escape: Callable[[str], str]
    columns: str
    row: tuple[str, str]
    marks: Mapping[str, tuple[str, str]]
    unranked: tuple[str, str]
    note: tuple[str, str]
    foot: tuple[str, str]
    shaded: str = ""
    after_title: str = ""


def _styled(table: Table, style: Style) -> dict[str, Any]:
    """Return the pieces of a Sheet that both formats write alike."""

    def cell(found: model.Cell) -> Cell:
        before, after = style.unranked if found.remark else ("", "")
        remark = f" ({style.escape(found.remark)}){after}" if found.remark else ""
        beside = None
        if found.beside:
            texts = tuple(style.escape(text) if text else None for text in found.beside.texts)
            beside = Beside(" (published ", texts, after=")")
        return Cell(before, tuple(
            style.escape(score.text) + (style.escape(score.note).join(style.note) if score.note else "")
            for score in found.scores.values()
        ), remark, beside)

    before, after = style.row
    foot = style.escape(table.times).join(style.foot) if table.times else ""
    feet = tuple(foot if metric.name == "seconds" else "" for metric in table.metrics)
    rows = tuple(
        Line(
            before + (style.shaded if row.gan else ""),
            style.escape(row.title) + (style.after_title if row.gan else ""),
            tuple(cell(found) if found else None for found in row.cells),
            after,
            {name: style.escape(field_text(row, name)) for name in FIELDS},
        )
        for row in table.rows
    )
    return {"rows": rows, "absent": (MISSING,) * len(table.columns), "columns": style.columns, "numbers": " / ",
            "marks": style.marks, "feet": feet}  # fmt: skip


def _head(shown: Column) -> str:
    return shown.label if shown.official else f"{shown.label} (not official)"


def to_latex(table: Table) -> Sheet:
    """Write a tabular in booktabs style: best bold, second underlined, GAN-trained rows shaded, groups apart."""
    row = ("", " \\\\\n")
    marks = {"best": (r"\textbf{", "}"), "second": (r"\underline{", "}")}
    style = Style(latex, " & ", row, marks, (r"\textit{", "}"), (r"\textsuperscript{", "}"),
                  ("\\par{\\footnotesize ", "}\n"), shaded=r"\rowcolor[gray]{0.92} ")
    digest = f", digest {table.digest[:12]}" if table.digest else ""
    about = f"% {latex(table.title)}{digest}\n% needs \\usepackage{{booktabs}} and \\usepackage[table]{{xcolor}}\n"
    counts = range(len(table.columns) + len(FIELDS) + 1)
    names = tuple(latex(_head(each)) for each in table.columns)
    titles = tuple(latex(metric.title) for metric in table.metrics)
    heads = (
        Line("", "Method", names, row[1], {name: latex(head) for name, head in FIELDS.items()}),
        Line("", "", (Cell("", titles),) * len(names), row[1], dict.fromkeys(FIELDS, "")),
    )
    groups = {
        name: tuple(f"\\midrule\n\\multicolumn{{{n + 1}}}{{l}}{{\\textit{{{latex(name)}}}}} \\\\\n" for n in counts)
        for name, _ in table.groups
    }
    begin = tuple(f"{about}\\begin{{tabular}}{{l{'c' * n}}}\n\\toprule\n" for n in counts)
    return Sheet("tex", "text/x-tex", begin, heads, groups, end="\\bottomrule\n\\end{tabular}\n", plain="\\midrule\n",
                 **_styled(table, style))  # fmt: skip


def to_markdown(table: Table) -> Sheet:
    """Write a table as GitHub shows it: best bold, second underlined, groups as rows of their own."""
    row = ("| ", " |\n")
    marks = {"best": ("**", "**"), "second": ("<ins>", "</ins>")}
    style = Style(markdown, " | ", row, marks, ("*", "*"), ("<sup>", "</sup>"), ("\n", "\n"), after_title=" (GAN)")
    titles = tuple(markdown(metric.title) for metric in table.metrics)
    names = [markdown(_head(each)) for each in table.columns]
    heads = (
        Line(row[0], "Method", tuple(Cell(f"{name} ", titles) for name in names), row[1],
             {name: markdown(head) for name, head in FIELDS.items()}),
        Line(row[0], "---", (":---:",) * len(names), row[1], dict.fromkeys(FIELDS, "---")),
    )  # fmt: skip
    counts = range(len(table.columns) + len(FIELDS) + 1)
    groups = {name: tuple(f"| *{markdown(name)}*{' | ' * n} |\n" for n in counts) for name, _ in table.groups}
    return Sheet("md", "text/markdown", ("",) * len(counts), heads, groups, **_styled(table, style))


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "²": r"\textsuperscript{2}", "∞": r"$\infty$", "−": "$-$",
}  # fmt: skip


def latex(text: str) -> str:
    """Escape text so that LaTeX prints it unchanged."""
    return "".join(_LATEX.get(character, character) for character in _on_one_line(text))


def _on_one_line(text: str) -> str:
    """Return text on one line, without characters that disguise it."""
    return re.sub(r"[\t\n\v\f\r\u0085\u2028\u2029 ]+", " ", clean(text)).strip(" ")


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"} | {
    character: f"\\{character}" for character in "\\`*_[]|~#$"
}


def markdown(text: str) -> str:
    """Escape text so that it shows unchanged: no markup, no link, nobody called by name."""
    line = "".join(_MARKDOWN.get(character, character) for character in _on_one_line(text))
    # Addresses without a scheme become links too.
    return re.sub(r"(?i)www\.", lambda match: f"{match[0][:-1]}&#46;", line)
