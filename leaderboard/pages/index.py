"""The first page: what its template and its script are given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from leaderboard import exports
from leaderboard.reading.load import Problem
from leaderboard.reading.published import Published, Source
from leaderboard.tables import grid
from leaderboard.tables.tables import Table
from refsr_bench.core.schema import MethodInfo

FEWEST = 8  # numbers of one source that make a table; fewer stand in the list of single ones


def grids(
    tables: Sequence[Table],
    entries: Iterable[Published],
    method_path: Callable[[MethodInfo], str],
    download: Callable[[Table], str],
) -> tuple[grid.Grid, ...]:
    """Every table of the page: the measured ones, then the published ones."""
    entries = tuple(entries)
    return (*grid.measured(tables, entries, method_path, download), *grid.as_published(entries, FEWEST))


def context(
    tables: Sequence[Table],
    problems: Sequence[Problem],
    entries: Iterable[Published],
    method_path: Callable[[MethodInfo], str],
    download: Callable[[Table], str],
) -> dict[str, Any]:
    """What ``index.html.j2`` shows. method_path: a method's page, download: a table's CSV file, both from the page."""
    entries = tuple(entries)
    found = grids(tables, entries, method_path, download)
    runs = [cell.run.result.run for table in tables for cell in table.cells]
    return {
        "problems": problems,
        "measured": [item for item in found if item.kind == "measured"],
        "published": [item for item in found if item.kind == "published"],
        "reports": grid.single_reports(entries, FEWEST),
        "counts": (
            (len({run.method.name for run in runs}), "method"),
            (len({run.dataset.name for run in runs}), "data set"),
            (len(tables), "protocol"),
        ),
        "group_names": tuple(dict.fromkeys(row.group for item in found for row in item.rows)),
        "fields": exports.FIELDS,
        "field": exports.field_text,
        "formats": exports.NAMES.items(),
        "data": data_block([facts(item) for item in found]),
        "source_link": source_link,
        "dataset_title": lambda name: grid.TITLES.get(name, name),
    }


def facts(shown: grid.Grid) -> dict[str, Any]:
    """What the script filters, sorts and marks the rows of a table by. Cells hold each metric's value and its rank."""

    def cell(found: grid.GridCell | None) -> Any:
        return found and [[exports.value_of(score) for score in found.scores], [score.rank for score in found.scores]]

    return {
        "key": shown.key,
        "name": f"Protocol {shown.title}" if shown.kind == "measured" else shown.title,
        "measured": shown.kind == "measured",
        "script": exports.script_name(shown),
        "sets": [{"key": each.key, "label": each.label, "title": each.title} for each in shown.sets],
        "metrics": [
            {
                "key": each.name,
                "label": f"{each.title} ({each.unit})" if each.unit else each.title,
                "title": each.title,
                "lower": each.direction == "lower",
            }
            for each in shown.metrics
        ],
        "shown": shown.shown,
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
            for row in shown.rows
        ],
    }


def data_block(value: Any) -> Markup:
    """JSON that can stand between script tags: nothing in it ends them."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    escapes = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
    for character, escape in escapes.items():
        text = text.replace(character, escape)
    return Markup(text)


def source_link(source: Source) -> str:
    """The address of a source; "" where its id is not one."""
    for prefix, host in (("arXiv:", "https://arxiv.org/abs/"), ("doi:", "https://doi.org/")):
        if source.id.startswith(prefix):
            return host + source.id.removeprefix(prefix)
    return source.id if source.id.startswith("https://") else ""
