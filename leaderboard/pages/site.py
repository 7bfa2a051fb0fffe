"""Turns run files into a folder to publish: pages, style and scripts, pictures, figures, and CSV and JSON beside them.

The result depends only on the run files, the published numbers and the pictures beside the run files: it has no date of
building, no absolute path and no network resource. Pages work from a disk. Their Content-Security-Policy forbids
everything but the site's own files, in case escaping ever fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leaderboard.exports import site_index
from leaderboard.exports.export import all_json, script, script_name
from leaderboard.frame import frame
from leaderboard.pages import evidence, figures, finder, gallery, index, statistics_page, study
from leaderboard.pages.pages import ASSETS, GENERATOR, Entry, Site, has, render
from leaderboard.reading.failures import failed_runs
from leaderboard.reading.load import Problem, Results, read_folder
from leaderboard.reading.published import published
from leaderboard.statistics.contests import Contest
from leaderboard.statistics.contests import contests as contests_of
from leaderboard.statistics.robustness import unrelated
from leaderboard.tables.model import Table
from leaderboard.tables.records import to_csv
from leaderboard.tables.tables import build_tables
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError

TITLE = "Reference-based super-resolution leaderboard"
FIRST = ("index.html", "leaderboard.csv", "leaderboard.json")
MARK = '"generator": "refsr-bench leaderboard"'


@dataclass(frozen=True)
class BuildReport:
    """The outcome of a build.

    pages, exports: the HTML and CSV files written. problems: run files and pictures left out. withheld: data sets whose
    pictures are not published unasked, with the reason.
    """

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
    """Build the site of every ``result.json`` below ``results_dir`` into ``out``, which is made if absent.

    images: "all", "thumbs" or "none" of the pictures that runs left; "links" is "all" without a second copy of any.
    publish: names of data sets whose pictures may be published although they are withheld by default
    (``gallery.withheld``). drawn: whether to draw figures.

    Touches nothing else in ``out``. The same run files give the same bytes. Waits for another build of ``out``. Raises
    BenchError when there is nothing to show, when two files claim the same place, when a file of another origin stands
    where one of these goes, and when ``out`` cannot be written or vanishes meanwhile.
    """
    first = read_folder(results_dir)  # what is wrong with it is reported before a folder is made
    build_tables(first.benchmarks(), unrelated(first.runs))
    _refuse_foreign(out, FIRST)
    files.make_folder(out)
    # Of two builds at once, the second reads the results when the first is done, so the pages never go back in time.
    with files.locked(out, "Another build", wait=True), files.standing(out):
        return _build(results_dir, out, title, images, publish, drawn)


def _build(
    results_dir: Path, out: Path, title: str, images: str, publish: Collection[str], drawn: bool
) -> BuildReport:
    results = read_folder(results_dir)
    tables = build_tables(results.benchmarks(), unrelated(results.runs))
    _refuse_foreign(out, FIRST)
    found = _Content(
        results,
        tables,
        contests_of(frame(results.runs), tables),
        figures.gather(results)[0] if drawn else (),
        finder.collect(results_dir, tables, out, images, publish),
    )
    texts = dict(_files(found, title))
    _refuse_foreign(out, texts)
    found.pictures.keep(texts.values())
    for name, text in texts.items():
        path = out / name
        files.make_folder(path.parent, below=out)
        # Synchronising thousands of pages for nothing takes minutes, so files that hold this text already stay.
        if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
            files.write_text(path, text)
    pages = [name for name in texts if name.endswith(".html")]
    return BuildReport(
        pages=tuple(out / name for name in sorted(pages, key=lambda name: name != "index.html")),
        exports=tuple(out / name for name in texts if name.endswith(".csv")),
        tables=tables,
        problems=found.problems,
        withheld=found.pictures.withheld,
    )


@dataclass(frozen=True)
class _Content:
    """Everything that is shown."""

    results: Results
    tables: tuple[Table, ...]
    contests: tuple[Contest, ...]
    plots: tuple[figures.Figure, ...]
    pictures: gallery.Gallery

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.results.problems, *self.pictures.problems)


def _files(found: _Content, title: str) -> Iterator[tuple[str, str]]:
    """Return (path, text) of every file but the pictures.

    The file that marks the folder as ours comes first. The first page comes last, so it never links to a missing file.
    """
    studies = found.results.studies
    entries = (
        (Entry("table", "Table", "index.html"), True),
        (Entry("statistics", "Statistics", "statistics.html"), found.contests),
        (Entry("figures", "Figures", "figures.html"), found.plots),
        (Entry("images", "Images", "images/index.html"), found.pictures.images),
        (Entry("study", "User study", "study.html"), studies),
    )
    site = Site(title, tuple(entry for entry, shown in entries if shown))
    failed = failed_runs(found.results.runs)
    shown = index.context(found.tables, found.problems, published(), failed, found.pictures)
    yield "leaderboard.json", all_json(shown["measured"])
    yield site_index.NAME, site_index.text(title, found.tables, found.pictures, site.entries)
    yield from ((f"assets/{path.name}", path.read_text(encoding="utf-8")) for path in sorted(ASSETS.iterdir()))
    yield "leaderboard.csv", to_csv(found.tables)
    yield from ((table.csv_name, to_csv((table,))) for table in found.tables)
    yield from ((script_name(table), script(table)) for table in (*shown["measured"], *shown["published"]))
    yield from figures.files(found.plots).items()
    yield from evidence.pages(found.tables, found.pictures, site)
    yield from gallery.image_pages(found.pictures, site)
    if found.contests:
        yield statistics_page.CSV_NAME, statistics_page.to_csv(found.contests)
        yield "statistics.html", statistics_page.page(site, found.contests)
    if studies:
        yield from study.files(studies).items()
        yield "study.html", study.page(site, studies)
    if found.plots:
        yield "figures.html", figures.page(site, found.plots)
    yield "index.html", render("index.html.j2", here="table", root="", site=site, **shown)


def _refuse_foreign(out: Path, names: Iterable[str]) -> None:
    """Raise BenchError when one of the files exists and is not ours.

    Our pages say themselves that they are ours. Other files count as ours in a folder whose leaderboard.json, or whose
    first page, is ours.
    """
    ours = any(has(out / name, mark) for name, mark in (("leaderboard.json", MARK), ("index.html", GENERATOR)))
    for path in (out / name for name in names):
        if path.exists() and not (has(path, GENERATOR) if path.suffix == ".html" else ours):
            raise BenchError(f"{path} was not written by refsr-bench and stays; choose another folder for the site")
