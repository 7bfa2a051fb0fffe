"""All figures of a results folder, drawn from run files, ``ablation.json`` and the published table.

A pure function of these files: the same figures, byte for byte, for the same input. A figure that there is too little
data for is left out; ``missing`` says which, and what would measure it.
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
from refsr_bench.core.files import make_folder, write_bytes, write_text
from refsr_bench.core.lists import grouped

FOLDER = "figures"


@dataclass(frozen=True)
class Kind:
    """A section of the page of figures. intro: what its figures show; needs, command: for when there are none."""

    key: str
    title: str
    intro: str
    needs: str
    command: str


KINDS = (
    Kind(
        robustness.KIND, "Robustness to the reference",
        "How matching and restoration hold when the reference is turned, scaled or spoiled (the form of C²-Matching's "
        "Fig. 6). The references are made from the ground truth: a leak by construction, and never ranked. Reference "
        "gain is what a method wins over an unrelated reference.",
        "robustness runs",
        "refsr-bench robustness --transform rotation --dataset sample --out RESULTS",
    ),
    Kind(
        cost.KIND, "Quality and cost",
        "PSNR against what it takes: parameters (C²-Matching's Table 4), time and multiply-additions. Up and left is "
        "better.",
        "three methods with parameters or times, measured completely on one data set under one protocol",
        "refsr-bench run --method all --dataset sample --out RESULTS",
    ),
    Kind(
        ablation.KIND, "Ablation",
        "One network, one component after the other, trained and measured alike (C²-Matching's Fig. 5).",
        "an ablation.json",
        "refsr-bench ablation --config small-cpu --data PHOTOS --out RESULTS/ablation",
    ),
    Kind(
        levels.KIND, "Levels of similarity",
        "What a method makes of references that show less and less of the input.",
        "one method measured completely at two reference levels",
        "refsr-bench run --method c2matching --dataset sample --refs level:3 --out RESULTS",
    ),
    Kind(
        protocols.KIND, "What a protocol is worth",
        "The same method, the same weights, the same images: how far each choice of protocol moves the number.",
        "one method measured completely under two protocols",
        "refsr-bench run --method c2matching --dataset sample --set border=0 --out RESULTS",
    ),
    Kind(
        preferences.KIND, "User study",
        "How often people preferred one method's image to another's, without knowing whose it was (C²-Matching's "
        "Fig. 6c).",
        "votes of a study",
        "refsr-bench study report STUDY --results RESULTS",
    ),
)  # fmt: skip


def gather(
    results: Results, published_numbers: Sequence[Published] | None = None
) -> tuple[tuple[Figure, ...], tuple[Kind, ...]]:
    """Every figure there is data for, in the order of KINDS, and the kinds that nothing is there to draw for."""
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
    """A number for each method: Ref-SR by year, then the others, then matchers; what a figure's looks go by."""
    methods = [row.method for table in tables for group in table.groups for row in group.rows]
    methods += [next(iter(levels.values())).result.run.method for study in studies for levels in study.runs.values()]
    methods.sort(key=lambda method: (method.group == "matcher", method.group != "Ref-SR", method.year, method.name))
    return {name: n for n, name in enumerate(dict.fromkeys(method.name for method in methods))}


def sections(found: Sequence[Figure]) -> dict[Kind, list[Figure]]:
    """Figures by kind, in the order of KINDS; kinds without any are left out."""
    by_key = grouped(found, lambda figure: figure.kind)
    return {kind: by_key[kind.key] for kind in KINDS if kind.key in by_key}


def files(found: Sequence[Figure]) -> dict[str, str]:
    """The files that ``figures.html`` shows and links to: text by path from the site's root."""
    texts: dict[str, str] = {}
    for figure in found:
        stem = f"{FOLDER}/{figure.name}"
        texts |= {f"{stem}.svg": figure.svg, f"{stem}-narrow.svg": figure.narrow, f"{stem}.csv": figure.csv}
    return texts


@dataclass(frozen=True)
class Report:
    """The outcome of ``write``. missing: as of ``gather``; problems: files left out."""

    files: tuple[Path, ...]
    missing: tuple[Kind, ...]
    problems: tuple[Problem, ...]


def write(results_dir: Path, out: Path, kind: str, narrow: bool = False) -> Report:
    """Every figure as a file for a paper, and its data as CSV beside it. kind: "svg", "png" or "pdf".

    narrow: one column wide (3.6 inches) instead of two. Raises BenchError for a results folder without any run, and
    when ``out`` cannot be written.
    """
    results = read_folder(results_dir)
    found, left = gather(results)
    if not (results.runs or results.ablations or results.studies):
        results.benchmarks()  # says what is missing
    make_folder(out)
    written = []
    for figure in found:
        drawing, data = out / f"{figure.name}.{kind}", out / f"{figure.name}.csv"
        write_bytes(drawing, figure.file(kind, narrow))
        write_text(data, figure.csv)
        written += [drawing, data]
    return Report(tuple(written), left, results.problems)


def page(site: Site, found: Sequence[Figure]) -> str:
    """``figures.html``, for the site's root."""
    return render("figures.html.j2", here="figures", root="", site=site, sections=sections(found), folder=FOLDER,
                  size_of=size_of)  # fmt: skip
