"""Run files -> a folder to publish: one HTML page that needs nothing else, and CSV files beside it.

The page is a pure function of the run files: no date of building, no absolute path, no network resource, no script
(its Content-Security-Policy forbids all of them, should escaping ever fail).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from leaderboard.load import Problem, load_results
from leaderboard.tables import CSV_COLUMNS, MISSING, Table, build_tables, clean, number, to_csv
from refsr_bench.results import ImageRecord, ResultError, write_atomically

TITLE = "Reference-based super-resolution leaderboard"
GENERATOR = '<meta name="generator" content="refsr-bench leaderboard">'


@dataclass(frozen=True)
class BuildReport:
    """What was built. pages, exports: the HTML and CSV files written; problems: run files that were left out."""

    pages: tuple[Path, ...]
    exports: tuple[Path, ...]
    tables: tuple[Table, ...]
    problems: tuple[Problem, ...]


def build(results_dir: Path, out: Path, title: str = TITLE) -> BuildReport:
    """Build the site of every ``result.json`` below ``results_dir`` into ``out``, which is made where absent.

    Writes ``index.html``, ``leaderboard.csv`` (every table) and ``leaderboard-<protocol>-<digest>.csv`` (one each);
    touches nothing else in ``out``. Same run files, same bytes. Raises ResultError when there is nothing to show, when
    two files claim the same place, when a file of another origin stands where one of these goes, and when ``out``
    cannot be written.
    """
    runs, problems = load_results(results_dir)
    tables = build_tables(runs)
    texts = {"leaderboard.csv": to_csv(tables)}
    texts |= {export_name(table): to_csv((table,)) for table in tables}
    texts["index.html"] = render(tables, problems, title)  # last: a page never links to what is not there yet
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in texts:
            _refuse_foreign(out / name)
        for name, text in texts.items():
            write_atomically(out / name, text)
    except OSError as error:
        raise ResultError(f"{error.filename or out}: cannot write the site there ({error.strerror})") from None
    return BuildReport(
        pages=(out / "index.html",),
        exports=tuple(out / name for name in texts if name.endswith(".csv")),
        tables=tables,
        problems=problems,
    )


def render(tables: tuple[Table, ...], problems: tuple[Problem, ...], title: str = TITLE) -> str:
    """The page as text. Everything from run files is escaped and free of control characters."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # Markup (has __html__) is this project's own text; all other text is cleaned, then escaped.
        finalize=lambda value: clean(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )
    environment.filters |= {"number": number, "plain": _plain, "seconds": _seconds, "size": _size, "count": _count}
    environment.globals |= {"export_name": export_name, "missing": MISSING}
    return environment.get_template("index.html.j2").render(tables=tables, problems=problems, title=title)


def export_name(table: Table) -> str:
    """The CSV file of one table, in the folder of the page."""
    return f"leaderboard-{table.slug}.csv"


def _refuse_foreign(path: Path) -> None:
    """Raise ResultError when ``path`` exists and is not a page or a CSV file that this module wrote."""
    if not path.exists():
        return
    own = GENERATOR if path.suffix == ".html" else ",".join(CSV_COLUMNS)
    with path.open(encoding="utf-8", errors="replace") as file:
        if own not in file.read(4096):
            raise ResultError(f"{path} was not written by refsr-bench and stays; choose another folder for the site")


def _plain(value: Any) -> str:
    """A protocol field or the like: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def _seconds(value: float | None) -> str:
    """A duration: three significant digits below 100 s, whole seconds above."""
    if value is None:
        return MISSING
    return f"{value:.0f} s" if value >= 100 else f"{value:.3g} s"


def _size(image: ImageRecord) -> str:
    return "{}×{}".format(*image.hr_size) if image.hr_size else MISSING


def _count(parameters: int) -> str:
    """A number of parameters: 8.9 M, 730 k."""
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1_000 else str(parameters)
