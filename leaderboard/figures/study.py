"""The paper's Fig. 6 (c): in how many of their pairs people preferred one method to each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaderboard.figures import style
from leaderboard.figures.figure import Column, Figure, csv_of, name_of, table_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from refsr_bench.study.report_format import StudyReport

KIND = "study"


@dataclass(frozen=True)
class Preference:
    """One method against another. share, low, high: of the votes that preferred ``title``, with its interval, 0..1."""

    title: str
    other: str
    share: float
    low: float
    high: float
    votes: int


def of(report: StudyReport) -> Figure:
    """The figure of one study."""
    caption = (
        f"{report.people} people, {report.votes} votes on {report.images} images of {report.dataset_title}, protocol "
        f"{report.protocol} ({report.protocol_digest[:12]}). Whiskers are 95 % intervals, the dashed line is chance."
    )
    preferences = [
        Preference(report.title_of(row.a), report.title_of(row.b), row.share, *row.interval, row.votes)
        for row in report.preferences
    ]
    return figure(report.title, caption, preferences)


def figure(title: str, caption: str, preferences: Sequence[Preference]) -> Figure:
    """Bars in the order given, at least one. caption: who voted on what, and how intervals were made."""
    records = [
        {"method": p.title, "other": p.other, "preferred_percent": 100 * p.share, "low_percent": 100 * p.low,
         "high_percent": 100 * p.high, "votes": p.votes}
        for p in preferences
    ]  # fmt: skip
    columns = (
        Column("method", "Method"), Column("other", "Against"), Column("preferred_percent", "Preferred, %", 1),
        Column("low_percent", "from, %", 1), Column("high_percent", "to, %", 1), Column("votes", "Votes", 0),
    )  # fmt: skip
    said = "; ".join(f"{p.title} over {p.other}: {100 * p.share:.0f} % of {p.votes} votes" for p in preferences)
    return Figure(KIND, name_of(KIND, title, records), title, caption, f"Bar chart of preferences. {said}.",
                  table_of(records, columns), csv_of(records), lambda narrow: draw(preferences, narrow))  # fmt: skip


def draw(preferences: Sequence[Preference], narrow: bool) -> Drawing:
    """A row per pair: the share that preferred the first in colour and beside it, half of the votes dashed."""
    drawing, (axis,) = style.panels(1, narrow, height=0.7 + 0.42 * len(preferences), extra=0)
    look = style.mark(0)
    for row, p in enumerate(preferences):
        axis.barh(row, 100, 0.62, color=style.HAIR, linewidth=0)
        axis.barh(row, 100 * p.share, 0.62, color=look.colour, linewidth=0)
        axis.plot([100 * p.low, 100 * p.high], [row, row], color=style.INK, linewidth=1, marker="|", markersize=5)
        axis.annotate(f"{100 * p.share:.0f} %", (100, row), (5, 0), textcoords="offset points", va="center",
                      annotation_clip=False)  # fmt: skip
    axis.axvline(50, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    width = 22 if narrow else 40
    names = [f"{style.label(p.title, width)}\nover {style.label(p.other, width)}" for p in preferences]
    axis.set_yticks(range(len(preferences)), names)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(preferences) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.grid(False)
    axis.set_xlabel("preferred, % of votes")
    return drawing
