"""Prepares the page of statistics: the values that its template and script get, and the geometry of its drawings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from leaderboard.pages.index import data_block
from leaderboard.pages.pages import Site, render
from leaderboard.statistics import paired, records, words
from leaderboard.statistics.contests import FEWEST_FOR_RANKS, Contest, Pair
from leaderboard.statistics.words import interval_text, value_text
from leaderboard.text import MISSING, clean

CSV_NAME = "statistics.csv"
SHOWN_NEIGHBOURS = 6  # sentences that are visible at first; more fold away


@dataclass(frozen=True)
class Line:
    """One method of the interval plot.

    x, low, high: in percent of the width; None if infinite or missing. remark: why the method is not ranked; "" when it
    is.
    """

    place: int
    title: str
    gan: bool
    mean: str
    interval: str
    images: int
    remark: str
    x: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Won:
    """One cell of the win matrix. text: share of images won by the row's method. mark: "better", "worse" or ""."""

    text: str
    mark: str


@dataclass(frozen=True)
class Label:
    """A method in a drawing of ranks.

    text: short enough for its place. title: in full. rank: as printed. points: its line (wide drawing). x, y: position
    of its text.
    """

    text: str
    rank: str
    dot: float
    x: float
    y: float
    side: str
    points: str


@dataclass(frozen=True)
class Ranks:
    """A critical-difference diagram (Demšar 2006, Fig. 1): axis along ranks, bars over indistinguishable methods.

    ticks: (x, rank). bars: (x1, y1, x2, y2). distance: ends of the critical difference's own bar.
    """

    width: float
    height: float
    axis: tuple[float, float, float]
    ticks: tuple[tuple[float, int], ...]
    labels: tuple[Label, ...]
    bars: tuple[tuple[float, float, float, float], ...]
    distance: tuple[float, float]


def context(found: Sequence[Contest]) -> dict[str, Any]:
    """Return the values that ``statistics.html.j2`` shows."""
    return {
        "blocks": [block(item) for item in found],
        "csv_name": CSV_NAME,
        "shown_neighbours": SHOWN_NEIGHBOURS,
        "draws": f"{paired.DRAWS:,}",
        "flips": f"{paired.FLIPS:,}",
        "exact": paired.EXACT,
        "fewest": FEWEST_FOR_RANKS,
    }


def page(site: Site, found: Sequence[Contest]) -> str:
    """Return ``statistics.html``, for the site's root."""
    return render("statistics.html.j2", here="statistics", root="", site=site, **context(found))


def to_csv(found: Iterable[Contest]) -> str:
    """Return every pair of every contest, for CSV_NAME; the first line is ``records.CSV_COLUMNS``."""
    return records.to_csv(record for item in found for record in records.records(item))


def block(found: Contest) -> dict[str, Any]:
    """Prepare a contest of two methods or more."""
    lines, ticks = _lines(found)
    summary, *neighbours = words.sentences(found)
    ranks = found.ranks
    k = len(found.standings)
    titles = [found.standings[n].title for n in found.ranked]
    alt = ""
    if ranks is not None:
        alt = "Mean ranks: " + ", ".join(f"{titles[n]} {ranks.mean_ranks[n]:.2f}" for n in ranks.order) + "."
        for first, last in ranks.groups:
            alt += f" Not distinguishable: {', '.join(titles[n] for n in ranks.order[first : last + 1])}."
    return dict(
        contest=found,
        protocol=clean(found.protocol.label),
        summary=summary,
        lines=lines,
        ticks=ticks,
        matrix=tuple(tuple(None if i == j else _won(found, i, j) for j in range(k)) for i in range(k)),
        neighbours=tuple(neighbours),
        ranks_words=words.ranks_sentence(found),
        wide=_wide(titles, ranks) if ranks else None,
        narrow=_narrow(titles, ranks) if ranks else None,
        ranks_alt=alt,
        notes=_notes(found),
        words=data_block([words.sentence(found, pair) for pair in found.pairs]),
    )


def _notes(found: Contest) -> tuple[str, ...]:
    """Return the sentences that a reader must know about this contest's methods."""
    notes = []
    partial = [standing.title for standing in found.standings if standing.status != "complete"]
    if partial:
        notes.append(
            f"Not measured completely: {', '.join(partial)}. Compared on the images that both methods have; last in "
            "the list and without a rank."
        )
    if found.left_out:
        notes.append(f"Left out, as synthetic weights mean nothing: {', '.join(found.left_out)}.")
    gan = [standing.title for standing in found.standings if standing.gan]
    if gan and found.metric.direction == "higher":
        notes.append(
            f"Trained with a GAN, which costs {clean(found.metric.title)} by design: {', '.join(gan)}. A difference to "
            "these is real, but not what they were trained for."
        )
    if any(math.isinf(standing.mean) for standing in found.standings):
        notes.append("∞: an SR image is identical to HR. Such a mean has no interval.")
    if found.ranks is None and len(found.ranked) > 2:
        notes.append(f"Ranks need at least {FEWEST_FOR_RANKS} images and are not compared here.")
    return tuple(notes)


def _lines(found: Contest) -> tuple[tuple[Line, ...], tuple[tuple[float, str], ...]]:
    metric = found.metric
    ends = [
        value
        for standing in found.standings
        for value in (standing.low, standing.high, standing.mean)
        if value is not None and math.isfinite(value)
    ]
    start, stop = (min(ends), max(ends)) if ends else (0.0, 1.0)
    margin = (stop - start) * 0.04 or 0.5 * 10.0**-metric.digits
    start, stop = start - margin, stop + margin

    def place(value: float | None) -> float | None:
        return None if value is None or math.isinf(value) else round(100 * (value - start) / (stop - start), 2)

    lines = tuple(
        Line(n, s.title, s.gan, value_text(s.mean, metric), interval_text(s.low, s.high, metric), s.images,
             "" if s.status == "complete" else f"{s.images} of {found.dataset.n_pairs} images",
             place(s.mean), place(s.low), place(s.high))
        for n, s in enumerate(found.standings, 1)
    )  # fmt: skip
    return lines, tuple((round(100 * (t - start) / (stop - start), 2), text) for t, text in _ticks(start, stop))


def _ticks(start: float, stop: float, most: int = 5) -> list[tuple[float, str]]:
    """Return at most ``most`` round values within the axis: steps of 1, 2 or 5 times a power of ten."""
    span = stop - start
    power = math.floor(math.log10(span / most))
    steps = (m * 10.0**e for e in (power, power + 1) for m in (1, 2, 5))
    step = next(step for step in steps if math.floor(stop / step) - math.ceil(start / step) < most)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(n * step, f"{n * step:.{digits}f}") for n in range(math.ceil(start / step), math.floor(stop / step) + 1)]


def _won(found: Contest, i: int, j: int) -> Won:
    """Compare the row's method i with the column's j."""
    pair: Pair = found.pair(i, j)
    if i > j:
        pair = pair.turned
    if pair.share is None:
        return Won(MISSING, "")
    mark = ""
    if pair.significant and pair.difference:
        mark = "better" if (pair.difference > 0) == (found.metric.direction != "lower") else "worse"
    return Won(f"{100 * pair.share:.0f}", mark)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _wide(titles: Sequence[str], ranks: paired.Ranking) -> Ranks:
    k = len(titles)
    left, right, top, step, bar = 230.0, 490.0, 44.0, 21.0, 8.0

    def x(rank: float) -> float:
        return round(left + (right - left) * (rank - 1) / (k - 1), 1)

    bars = tuple(
        (x(ranks.mean_ranks[ranks.order[first]]) - 4, top + 12 + bar * n,
         x(ranks.mean_ranks[ranks.order[last]]) + 4, top + 12 + bar * n)
        for n, (first, last) in enumerate(ranks.groups)
    )  # fmt: skip
    below = top + 12 + bar * len(bars) + 14
    half = (k + 1) // 2
    labels = []
    for n, method in enumerate(ranks.order):
        on_left = n < half
        y = below + step * (n if on_left else k - 1 - n)
        dot = x(ranks.mean_ranks[method])
        end = left - 18 if on_left else right + 18
        labels.append(
            Label(_short(titles[method], 22), f"{ranks.mean_ranks[method]:.2f}", dot,
                  end - 5 if on_left else end + 5, y + 4, "left" if on_left else "right",
                  f"{dot},{top} {dot},{y} {end},{y}")
        )  # fmt: skip
    far = min(right + 180, left + (right - left) * ranks.distance / (k - 1))
    return Ranks(720, below + step * (half - 1) + 16, (left, right, top), _rank_ticks(k, x, 12), tuple(labels), bars,
                 (left, round(far, 1)))  # fmt: skip


def _narrow(titles: Sequence[str], ranks: paired.Ranking) -> Ranks:
    k, bar = len(titles), 7.0
    left, right, top, step = 170.0, 346 - bar * len(ranks.groups), 44.0, 23.0

    def x(rank: float) -> float:
        return round(left + (right - left) * (rank - 1) / (k - 1), 1)

    def y(place: int) -> float:
        return top + 20 + step * place

    labels = tuple(
        Label(_short(titles[method], 16), f"{ranks.mean_ranks[method]:.2f}",
              x(ranks.mean_ranks[method]), left - 12, y(n) + 4, "left", f"{left},{y(n)} {right},{y(n)}")
        for n, method in enumerate(ranks.order)
    )  # fmt: skip
    bars = tuple(
        (right + 12 + bar * n, y(first) - 5, right + 12 + bar * n, y(last) + 5)
        for n, (first, last) in enumerate(ranks.groups)
    )
    far = min(356.0, left + (right - left) * ranks.distance / (k - 1))
    return Ranks(360, y(k - 1) + 16, (left, right, top), _rank_ticks(k, x, 8), labels, bars, (left, round(far, 1)))


def _rank_ticks(k: int, x: Callable[[float], float], most: int) -> tuple[tuple[float, int], ...]:
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100) if k <= most * step or step == 100)
    return tuple((x(rank), rank) for rank in range(1, k + 1) if rank == 1 or step == 1 or rank % step == 0)
