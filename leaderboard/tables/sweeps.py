"""Formats robustness results as text: tables of matching and restoration, and the remarks that belong to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from leaderboard.statistics.estimates import Estimate
from leaderboard.statistics.robustness import GAIN, Row, columns_of
from leaderboard.statistics.shares import SHARE
from refsr_bench.core.schema import MetricInfo
from refsr_bench.core.terminal import text_table
from refsr_bench.geometry.correspondences import MEASURES
from refsr_bench.geometry.kinds import GIVEN, UNRELATED

MATCHING_REMARK = (
    "AEE, median and PCK: distance from the true place in HR pixels, over points that were matched and are visible;\n"
    "coverage: of the visible 4x4 cells. Means over images; brackets: 95 % bootstrap over images."
)
SHARE_REMARK = (
    "share: of the gain that is possible, between the plain method with an unrelated reference (0) and the reference\n"
    "warped back by its true transformation (1); the ratio of mean gains."
)
GAIN_REMARK = "gain: PSNR minus that of the same method with an unrelated reference, image by image."
LEAK_REMARK = (
    "The references are made from the ground truth: a leak by construction, never ranked. Where the groups end is\n"
    "this toolkit's choice, the paper does not say."
)


def tables(rows: Sequence[Row], metrics: Sequence[MetricInfo]) -> str:
    """Return the tables of matching and restoration as text: means; AEE, PSNR, SSIM, gain and share with intervals.

    A cell is n/a when a method has nothing to measure, such as a method without correspondences.
    """
    matching = [column for column in MEASURES if column.name != "points"]
    seen = [row for row in rows if row.level != UNRELATED]
    restored = [row for row in rows if row.values.keys() & {metric.name for metric in metrics}]
    text = f"Matching\n{_table(seen, matching)}"
    return f"{text}\n\nRestoration\n{_table(restored, columns_of((), metrics, rows))}" if restored else text


def _table(rows: Sequence[Row], columns: Sequence[MetricInfo]) -> str:
    head = ("method", "level", "images", *(f"{c.title} [95 %]" if _spread(c) else c.title for c in columns))
    lines = []
    for n, row in enumerate(rows):
        first = row.title if n == 0 or rows[n - 1].method != row.method else ""
        counted = f"{row.images}/{row.images + row.failed}" if row.failed else str(row.images)
        lines.append((first, row.level, counted, *(_cell(row.values.get(c.name), c) for c in columns)))
    return text_table(head, lines)


def _spread(column: MetricInfo) -> bool:
    return column.name in ("aee", "gain", "share") or column.name.startswith(("psnr", "ssim"))


def _cell(value: Estimate | None, column: MetricInfo) -> str:
    if value is None:
        return "n/a"
    mean = f"{value.mean:+.{column.digits}f}" if column.name == "gain" else f"{value.mean:.{column.digits}f}"
    if not _spread(column) or math.isnan(value.low):
        return mean
    return f"{mean} [{value.low:.{column.digits}f}, {value.high:.{column.digits}f}]"


def remarks(rows: Sequence[Row], transform: str) -> str:
    """Return the remarks that a reader of the tables must know."""
    said = [MATCHING_REMARK]
    if any(GAIN.name in row.values for row in rows):
        said.append(GAIN_REMARK)
    if any(SHARE.name in row.values for row in rows):
        said.append(SHARE_REMARK)
    return "\n".join(said if transform == GIVEN else [*said, LEAK_REMARK])
