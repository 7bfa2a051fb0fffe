"""Draws all figures of a results folder from run files, ``ablation.json`` and the published table.

The same files give the same figures, byte for byte. A figure with too little data is left out; ``missing`` says which,
and which command would measure the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboard.figures import ablation, cost, levels, protocols, robustness
from leaderboard.figures import study as preferences
from leaderboard.figures.figure import Figure
from leaderboard.figures.style import size_of
from leaderboard.pages.pages import Site, render
from leaderboard.reading.load import Problem, Results, read_folder
from leaderboard.reading.published import Published, published
from leaderboard.statistics.robustness import Study
from leaderboard.statistics.robustness import studies as robustness_studies
from leaderboard.tables.model import Table
from leaderboard.tables.tables import build_tables
from refsr_bench.core.commands import command
from refsr_bench.core.files import make_folder, write_bytes, write_text
from refsr_bench.core.lists import grouped

FOLDER = "figures"


@dataclass(frozen=True)
class Kind:
    """A section of the page of figures.

    intro: what its figures show. needs: what is missing when there are none. words: those of a command that makes it;
    "RESULTS" stands for the results folder.
    """

    key: str
    title: str
    intro: str
    needs: str
    words: tuple[str, ...]

    def command(self, results_dir: Path) -> str:
        """Return the command that measures what the section needs."""
        return command(*(word.replace("RESULTS", str(results_dir)) for word in self.words))


KINDS = (
    Kind(
        robustness.KIND, "Robustness to the reference",
        "How well matching and restoration hold up when the reference is turned, scaled or degraded (the form of "
        "C²-Matching's Fig. 6). The references are made from the ground truth, a leak by construction, so they are "
        "never ranked. Reference gain is the gain over an unrelated reference. The share of the possible gain goes "
        "from an unrelated reference (0) to one that is warped back by the truth (1).",
        "robustness runs",
        ("robustness", "--transform", "rotation", "--dataset", "sample", "--out", "RESULTS"),
    ),
    Kind(
        cost.KIND, "Quality and cost",
        "PSNR against cost: parameters (C²-Matching's Table 4), time and multiply-additions. Up and left is "
        "better.",
        "three methods with parameters or times, measured completely on one data set under one protocol",
        ("run", "--method", "all", "--dataset", "sample", "--out", "RESULTS"),
    ),
    Kind(
        ablation.KIND, "Ablation",
        "One network, one component after the other, trained and measured alike (C²-Matching's Fig. 5).",
        "an ablation.json",
        ("ablation", "--recipe", "small-cpu", "--data", "PHOTOS", "--out", "RESULTS/ablation"),
    ),
    Kind(
        levels.KIND, "Levels of similarity",
        "How a method's output changes as references show less and less of the input.",
        "one method measured completely at two reference levels",
        ("run", "--method", "c2matching", "--dataset", "sample", "--refs", "level:3", "--out", "RESULTS"),
    ),
    Kind(
        protocols.KIND, "Effect of the protocol",
        "The same method, weights and images: how far each choice of the protocol moves the number.",
        "one method measured completely under two protocols",
        ("run", "--method", "c2matching", "--dataset", "sample", "--set", "border=0", "--out", "RESULTS"),
    ),
    Kind(
        preferences.KIND, "User study",
        "How often people preferred one method's image to another's, without knowing whose it was (C²-Matching's "
        "Fig. 6c).",
        "votes of a study",
        ("study", "report", "STUDY", "--results", "RESULTS"),
    ),
)  # fmt: skip


def gather(
    results: Results, published_numbers: Sequence[Published] | None = None
) -> tuple[tuple[Figure, ...], tuple[Kind, ...]]:
    """Return every figure that has enough data, in the order of KINDS, and the kinds that have too little."""
    numbers = published() if published_numbers is None else tuple(published_numbers)
    runs, studies = results.of_kind("benchmark"), robustness_studies(results.of_kind("robustness"))
    tables = build_tables(runs)
    order = _order(tables, studies)
    found = (
        *robustness.figures(studies, order),
        *cost.figures(tables, numbers),
        *ablation.figures(results.ablations, numbers),
        *levels.figures(runs, order),
        *protocols.figures(runs, order),
        *(preferences.of(report) for report in results.studies if report.preferences),
    )
    drawn = {figure.kind for figure in found}
    return found, tuple(kind for kind in KINDS if kind.key not in drawn)


def _order(tables: Sequence[Table], studies: Sequence[Study]) -> dict[str, int]:
    """A number for each method that decides its look in figures: Ref-SR by year, then the others, then matchers."""
    methods = [row.method for table in tables for group in table.groups for row in group.rows]
    methods += [next(iter(levels.values())).result.run.method for study in studies for levels in study.runs.values()]
    methods.sort(key=lambda method: (method.group == "matcher", method.group != "Ref-SR", method.year, method.name))
    return {name: n for n, name in enumerate(dict.fromkeys(method.name for method in methods))}


def sections(found: Sequence[Figure]) -> dict[Kind, list[Figure]]:
    """Return figures by kind; kinds without any are left out."""
    by_key = grouped(found, lambda figure: figure.kind)
    return {kind: by_key[kind.key] for kind in KINDS if kind.key in by_key}


def files(found: Sequence[Figure]) -> dict[str, str]:
    """Return the files that ``figures.html`` shows and links to: text by path from the site's root."""
    texts: dict[str, str] = {}
    for figure in found:
        stem = f"{FOLDER}/{figure.name}"
        texts |= {f"{stem}.svg": figure.svg, f"{stem}-narrow.svg": figure.narrow, f"{stem}.csv": figure.csv}
    return texts


@dataclass(frozen=True)
class Report:
    """The outcome of ``write``. missing: as returned by ``gather``. problems: files left out."""

    files: tuple[Path, ...]
    missing: tuple[Kind, ...]
    problems: tuple[Problem, ...]


def write(results_dir: Path, out: Path, kind: str, narrow: bool = False) -> Report:
    """Write every figure as a file for a paper, with its data as CSV beside it. kind: "svg", "png" or "pdf".

    narrow: one column wide (3.6 inches) instead of two. Raises BenchError for a results folder without any run, and
    when ``out`` cannot be written.
    """
    results = read_folder(results_dir)
    found, left = gather(results)
    if not (results.runs or results.ablations or results.studies):
        results.benchmarks()  # raises if there is none
    make_folder(out)
    written = []
    for figure in found:
        drawing, data = out / f"{figure.name}.{kind}", out / f"{figure.name}.csv"
        write_bytes(drawing, figure.file(kind, narrow))
        write_text(data, figure.csv)
        written += [drawing, data]
    return Report(tuple(written), left, results.problems)


def page(site: Site, found: Sequence[Figure]) -> str:
    """Return ``figures.html``, for the site's root."""
    return render("figures.html.j2", here="figures", root="", site=site, sections=sections(found), folder=FOLDER,
                  size_of=size_of)  # fmt: skip
