"""Shows user studies (the paper's Fig. 6c) as a page, CSV and figure. docs/guide/study.md describes ``study.json``.

The files hold untrusted text: ``refsr_bench.study.report_format`` checks it, and the page escapes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leaderboard.figures import study as figure
from leaderboard.pages.pages import Site, render
from leaderboard.text import csv_text
from refsr_bench.study.report_format import Ranked, StudyReport


@dataclass(frozen=True)
class Place:
    """A line of the ranking.

    x, low, high: positions of its point and interval, in per cent of the width; None for none.
    """

    title: str
    row: Ranked
    x: float
    low: float | None
    high: float | None


def places(report: StudyReport) -> tuple[Place, ...]:
    rows = report.ranking.methods
    ends = [v for row in rows for v in (row.ability, row.low, row.high) if v is not None]
    least, most = min(ends, default=0.0), max(ends, default=1.0)
    span = (most - least) or 1.0

    def x(value: float | None) -> float | None:
        return None if value is None else round(4 + 92 * (value - least) / span, 2)

    return tuple(Place(report.title_of(row.method), row, x(row.ability), x(row.low), x(row.high)) for row in rows)


def page(site: Site, reports: Sequence[StudyReport], here: str = "study") -> str:
    """Return ``study.html``, for the site's root."""
    return render("study.html.j2", here=here, root="", site=site, reports=reports, places=places)


def files(reports: Sequence[StudyReport]) -> Mapping[str, str]:
    """Return the files that the page links to, by name."""
    return {report.csv_name: preferences_csv(report) for report in reports}


def preferences_csv(report: StudyReport) -> str:
    """Return one line per pair of methods, unrounded, with formulas defused."""
    head = ("study", "dataset", "protocol_digest", "a", "a_title", "b", "b_title", "wins", "losses", "ties", "share",
            "wilson_low", "wilson_high", "bootstrap_low", "bootstrap_high", "shown")  # fmt: skip
    return csv_text(head, (
        (report.title, report.dataset, report.protocol_digest, row.a, report.title_of(row.a), row.b,
         report.title_of(row.b), row.wins, row.losses, row.ties, row.share, *row.wilson,
         *(row.bootstrap or (None, None)), row.shown)
        for row in report.preferences
    ))  # fmt: skip


def svg(report: StudyReport) -> str:
    """Draw the preferences as a figure in the form of the paper's Fig. 6c, on white."""
    return figure.of(report).file("svg", False).decode()
