"""Prepares the first page: the values that its template and its script get."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from leaderboard.exports import export
from leaderboard.exports.csv_json import value_of
from leaderboard.exports.sheet import FIELDS, field_text
from leaderboard.pages.gallery import Gallery
from leaderboard.reading.failures import FailedRun
from leaderboard.reading.load import Problem
from leaderboard.reading.published import Published, Source
from leaderboard.tables.best_values import FEWEST
from leaderboard.tables.model import Cell, Table
from leaderboard.tables.published import as_published, single_reports, title_of, with_published
from leaderboard.text import cleaned
from refsr_bench.protocols.effects import sentences
from refsr_bench.protocols.wording import SUBJECTS, words

COVERS = 8  # images on the first page beside that of the line; they fill one line of a wide window
NO_PICTURES = Gallery()


def every_table(measured: Iterable[Table], entries: Iterable[Published]) -> tuple[Table, ...]:
    """Return every table of the page: the measured ones with published numbers beside them, then the published ones."""
    entries = tuple(entries)
    return (*(with_published(table, entries) for table in measured), *as_published(entries))


def context(
    measured: Sequence[Table],
    problems: Sequence[Problem],
    entries: Iterable[Published],
    failed: Sequence[FailedRun] = (),
    gallery: Gallery = NO_PICTURES,
) -> dict[str, Any]:
    """Return the values that ``index.html.j2`` shows."""
    entries = tuple(entries)
    found = every_table(measured, entries)
    runs = [cell.run.result.run for table in measured for cell in table.cells]
    return {
        "problems": problems,
        "failed": failed,
        "images": gallery.images[:COVERS],
        "more_images": len(gallery.images[COVERS:]),
        "lineups": gallery.lineups,
        "measured": [table for table in found if table.kind == "measured"],
        "published": [table for table in found if table.kind == "published"],
        "changes": {table.key: _changes(table, measured) for table in measured},
        "reports": single_reports(entries),
        "counts": (
            (len({run.method.name for run in runs}), "method"),
            (len({run.dataset.name for run in runs}), "data set"),
            (len(measured), "protocol"),
        ),
        "group_names": tuple(dict.fromkeys(row.group for table in found for row in table.rows)),
        "fields": FIELDS,
        "field": field_text,
        "formats": export.NAMES.items(),
        "data": data_block([facts(table) for table in found]),
        "source_link": source_link,
        "dataset_title": title_of,
        "fewest": FEWEST,
        "decides": SUBJECTS,
        "words": words,
    }


def _changes(table: Table, others: Iterable[Table]) -> list[tuple[str, str, list[str]]]:
    """Return key and title of every other measured table, and the differences between its protocol and this one's."""
    return [
        (other.key, other.title, sentences(table.protocol, other.protocol)) for other in others if other is not table
    ]


def facts(table: Table) -> dict[str, Any]:
    """Return the facts by which the script filters, sorts and marks rows.

    A cell holds each metric's value and its rank.
    """

    def cell(found: Cell | None) -> Any:
        scores = found.scores.values() if found else ()
        return found and [[value_of(score) for score in scores], [score.rank for score in scores]]

    return {
        "key": table.key,
        "name": f"Protocol {table.title}" if table.kind == "measured" else table.title,
        "measured": table.kind == "measured",
        "script": export.script_name(table),
        "sets": [{"key": each.key, "label": each.label, "title": each.title} for each in table.columns],
        "metrics": [
            {
                "key": each.name,
                "label": f"{each.title} ({each.unit})" if each.unit else each.title,
                "title": each.title,
                "lower": each.direction == "lower",
            }
            for each in table.metrics
        ],
        "shown": table.shown,
        "rows": [
            {
                "group": row.group,
                "gan": row.gan,
                "year": row.year,
                "references": row.references,
                "verified": row.verified,
                "parameters": row.parameters,
                "gmacs": row.gmacs,
                "cells": [cell(item) for item in row.cells],
            }
            for row in table.rows
        ],
    }


def data_block(value: Any) -> Markup:
    """Return clean JSON that can stand between script tags, because nothing in it ends them."""
    text = json.dumps(cleaned(value), ensure_ascii=False, separators=(",", ":"))
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, escape in escapes.items():
        text = text.replace(character, escape)
    return Markup(text)


def source_link(source: Source) -> str:
    """Return the address of a source; "" if its id is not one."""
    for prefix, host in (("arXiv:", "https://arxiv.org/abs/"), ("doi:", "https://doi.org/")):
        if source.id.startswith(prefix):
            return host + source.id.removeprefix(prefix)
    return source.id if source.id.startswith("https://") else ""
