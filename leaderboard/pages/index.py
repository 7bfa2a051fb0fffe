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
        "data": data_block([grid.wire(item) for item in found]),
        "joined": grid.joined,
        "source_link": source_link,
        "dataset_title": lambda name: grid.TITLES.get(name, name),
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
