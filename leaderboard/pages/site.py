"""Run files -> a folder to publish: pages, their style and scripts, pictures, figures, and CSV and JSON beside them.

A pure function of the run files, the published numbers and the pictures beside the run files: no date of building, no
absolute path, no network resource. Pages work from a disk; their Content-Security-Policy forbids everything but the
site's own files, should escaping ever fail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from leaderboard.exports.export import all_json, script, script_name
from leaderboard.frame import frame
from leaderboard.pages import evidence, figures, gallery, index, statistics_page, study
from leaderboard.pages.pages import ASSETS, GENERATOR, Entry, Site, render
from leaderboard.reading.load import Problem, read_folder
from leaderboard.reading.published import published
from leaderboard.statistics.contests import contests as contests_of
from leaderboard.statistics.robustness import unrelated
from leaderboard.tables.model import Table
from leaderboard.tables.records import to_csv
from leaderboard.tables.tables import build_tables
from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import write_text

TITLE = "Reference-based super-resolution leaderboard"
MARK = '"generator": "refsr-bench leaderboard"'


@dataclass(frozen=True)
class BuildReport:
    """What was built. pages, exports: the HTML and CSV files written; problems: run files and pictures left out;
    withheld: data sets whose pictures are not published unasked, with the reason."""

    pages: tuple[Path, ...]
    exports: tuple[Path, ...]
    tables: tuple[Table, ...]
    problems: tuple[Problem, ...]
    withheld: tuple[tuple[str, str], ...] = ()


def build(
    results_dir: Path,
    out: Path,
    title: str = TITLE,
    images: str = "all",
    publish: Collection[str] = (),
    drawn: bool = True,
) -> BuildReport:
    """Build the site of every ``result.json`` below ``results_dir`` into ``out``, which is made where absent.

    images: "all", "thumbs" or "none" of the pictures that runs left. publish: names of data sets whose pictures may be
    published although they are withheld by default (``gallery.WITHHELD``). drawn: with figures.

    Touches nothing else in ``out``. Same run files, same bytes. Raises BenchError when there is nothing to show, when
    two files claim the same place, when a file of another origin stands where one of these goes, and when ``out``
    cannot be written.
    """
    results = read_folder(results_dir)
    tables = build_tables(results.benchmarks(), unrelated(results.runs))
    contests = contests_of(frame(results.runs), tables)
    plots = figures.gather(results)[0] if drawn else ()
    _refuse_foreign(out, ("index.html", "leaderboard.csv", "leaderboard.json"))
    pictures = gallery.collect(results_dir, tables, out, images, publish)
    problems = (*results.problems, *pictures.problems)
    entries = (
        (Entry("table", "Table", "index.html"), True),
        (Entry("statistics", "Statistics", "statistics.html"), contests),
        (Entry("figures", "Figures", "figures.html"), plots),
        (Entry("images", "Images", "images/index.html"), pictures.images),
        (Entry("study", "User study", "study.html"), results.studies),
    )
    site = Site(title, tuple(entry for entry, shown in entries if shown))

    shown = index.context(tables, problems, published())
    texts = {"leaderboard.json": all_json(shown["measured"])}  # first: it marks the folder as ours
    texts |= {f"assets/{path.name}": path.read_text(encoding="utf-8") for path in sorted(ASSETS.iterdir())}
    texts |= {"leaderboard.csv": to_csv(tables)}
    texts |= {table.csv_name: to_csv((table,)) for table in tables}
    texts |= {script_name(table): script(table) for table in (*shown["measured"], *shown["published"])}
    texts |= figures.files(plots)
    texts |= dict(evidence.pages(tables, pictures, site))
    texts |= dict(gallery.image_pages(pictures, site))
    if contests:
        texts[statistics_page.CSV_NAME] = statistics_page.to_csv(contests)
        texts["statistics.html"] = render(
            "statistics.html.j2", here="statistics", root="", site=site, **statistics_page.context(contests)
        )
    if results.studies:
        texts |= study.files(results.studies)
        texts["study.html"] = study.page(site, results.studies)
    if plots:
        texts["figures.html"] = figures.page(site, plots)
    texts["index.html"] = render("index.html.j2", here="table", root="", site=site, **shown)
    try:
        _refuse_foreign(out, texts)
        for name, text in texts.items():  # the first page last: it never links to what is not there yet
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            if not _holds(out / name, text):
                write_text(out / name, text)
    except OSError as error:
        raise BenchError(f"{error.filename or out}: cannot write the site there ({error.strerror})") from None
    return BuildReport(
        pages=(out / "index.html", *(out / name for name in texts if name.endswith(".html") and name != "index.html")),
        exports=tuple(out / name for name in texts if name.endswith(".csv")),
        tables=tables,
        problems=problems,
        withheld=pictures.withheld,
    )


def _holds(path: Path, text: str) -> bool:
    """Whether a file has this text already: thousands of pages are not synchronised to the disk for nothing."""
    return path.is_file() and path.read_bytes() == text.encode("utf-8")


def _refuse_foreign(out: Path, names: Iterable[str]) -> None:
    """Raise BenchError when one of the files exists and is none of ours.

    Pages say themselves that they are ours. Other files are believed to be in a folder whose leaderboard.json, or whose
    first page, is.
    """
    ours = any(_has(out / name, mark) for name, mark in (("leaderboard.json", MARK), ("index.html", GENERATOR)))
    for path in (out / name for name in names):
        if path.exists() and not (_has(path, GENERATOR) if path.suffix == ".html" else ours):
            raise BenchError(f"{path} was not written by refsr-bench and stays; choose another folder for the site")


def _has(path: Path, mark: str) -> bool:
    """Whether a file begins with a text that holds ``mark``."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return mark in file.read(4096)
