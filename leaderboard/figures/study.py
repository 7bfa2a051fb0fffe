"""Draws the paper's Fig. 6 (c): in how many of their pairs people preferred one method to each of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from leaderboard.figures import style
from leaderboard.figures.figure import Column, Figure, Record, csv_of, name_of, table_of
from refsr_bench.study.report_format import StudyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

KIND = "study"


def of(report: StudyReport) -> Figure:
    """Return the figure of one study: bars in the order of its preferences, at least one."""
    caption = (
        f"{report.people} people, {report.votes} votes on {report.images} images of {report.dataset_title}, protocol "
        f"{report.protocol} ({report.protocol_digest[:12]}). Whiskers are 95 % intervals, the dashed line is chance."
    )
    records = [
        {"method": report.title_of(row.a), "other": report.title_of(row.b), "preferred_percent": 100 * row.share,
         "low_percent": 100 * row.interval[0], "high_percent": 100 * row.interval[1], "votes": row.votes}
        for row in report.preferences
    ]  # fmt: skip
    columns = (
        Column("method", "Method"), Column("other", "Against"), Column("preferred_percent", "Preferred, %", 1),
        Column("low_percent", "from, %", 1), Column("high_percent", "to, %", 1), Column("votes", "Votes", 0),
    )  # fmt: skip
    said = "; ".join(f"{r['method']} over {r['other']}: {r['preferred_percent']:.0f} % of {r['votes']} votes"
                     for r in records)  # fmt: skip
    return Figure(
        KIND, name_of(KIND, report.title, records), report.title, caption, f"Bar chart of preferences. {said}.",
        table_of(records, columns), csv_of(records), lambda narrow: draw(records, narrow),
    )  # fmt: skip


def draw(records: Sequence[Record], narrow: bool) -> Drawing:
    """Draw a row per pair: the share that preferred the first in colour, the rest beside it, a dashed line at half."""
    drawing, (axis,) = style.panels(1, narrow, height=0.7 + 0.42 * len(records), extra=0)
    look = style.mark(0)
    width = 22 if narrow else 40
    names = []
    for row, record in enumerate(records):
        share = record["preferred_percent"]
        axis.barh(row, 100, 0.62, color=style.HAIR, linewidth=0)
        axis.barh(row, share, 0.62, color=look.colour, linewidth=0)
        ends = [record["low_percent"], record["high_percent"]]
        axis.plot(ends, [row, row], color=style.INK, linewidth=1, marker="|", markersize=5)
        axis.annotate(f"{share:.0f} %", (100, row), (5, 0), textcoords="offset points", va="center",
                      annotation_clip=False)  # fmt: skip
        names.append(f"{style.label(record['method'], width)}\nover {style.label(record['other'], width)}")
    axis.axvline(50, color=style.INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axis.set_yticks(range(len(records)), names)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(records) - 0.5, -0.5)
    axis.set_xlim(0, 100)
    axis.grid(False)
    axis.set_xlabel("preferred, % of votes")
    return drawing
