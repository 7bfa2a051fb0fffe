"""Which differences between methods are more than chance: intervals, paired tests, ranks, and sentences that say so.

A contest is one column of a table (protocol digest, data set with its manifest) under one metric.

* Methods are compared image by image, on the images both have; images that failed or were not measured are missing.
* Synthetic weights never take part. Partial and failed runs do, are marked, and have no place in the ranks.
* GAN-trained methods take part like all others and are marked: PSNR and SSIM are not what they were trained for.
* Differences and tests use unrounded values; an image is a tie when both values print alike, as in the tables.
* Two infinite values (both identical to HR) differ by 0. An image where one alone is infinite counts as won or lost
  and stays out of the difference, its interval and the tests; a mean that is infinite has no interval.
* p values are two-sided and adjusted by Holm over all pairs of the contest, also where few of them are shown.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from leaderboard.reading.load import dataset_key
from leaderboard.statistics import paired
from leaderboard.tables.tables import SECONDS, Cell, Column, Table, clean, number, plain_cell, slug
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MetricInfo, ProtocolInfo

ALPHA = 0.05
FEWEST_FOR_RANKS = 10  # images; Demšar (2006): the approximations hold for more than 10 blocks
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Standing:
    """One method. low, high: 95 % bootstrap interval of the mean, None for one image and for an infinite mean.

    name, weights: of its run file; title: unique in the contest; status: as in ``Cell``; values: by image id,
    unrounded; run: path of the run file.
    """

    title: str
    name: str
    weights: str
    gan: bool
    status: str
    mean: float
    low: float | None
    high: float | None
    values: Mapping[str, float]
    run: str

    @property
    def images(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Pair:
    """Two methods, the one placed better first. a, b: places in ``Contest.standings``.

    images: both have; apart: of these, where one alone is infinite. difference: mean of a - b over the others, with its
    95 % paired bootstrap interval. wins, ties, losses: of a, by printed values. p: sign flips, exact or from random
    patterns; wilcoxon: signed ranks; both also after Holm. None where fewer than two images leave nothing to test.
    """

    a: int
    b: int
    images: int
    apart: int
    wins: int
    ties: int
    losses: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    wilcoxon: float | None = None
    wilcoxon_holm: float | None = None

    @property
    def tested(self) -> int:
        """Images of the difference and the tests."""
        return self.images - self.apart

    @property
    def significant(self) -> bool:
        return self.p_holm is not None and self.p_holm < ALPHA

    @property
    def share(self) -> float | None:
        """Share of the images won by a, a tie being half a win."""
        return (self.wins + self.ties / 2) / self.images if self.images else None


@dataclass(frozen=True)
class Contest:
    """One data set under one protocol and one metric. standings: complete runs first, best mean first; pairs: all.

    left_out: titles of methods with weights that mean nothing. ranks: over ``ranked`` (places in standings), None with
    fewer than three complete runs or FEWEST_FOR_RANKS images. anchor: unique and the same in every build.
    """

    protocol: ProtocolInfo
    dataset: DatasetInfo
    metric: MetricInfo
    anchor: str
    note: int | None
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    ranked: tuple[int, ...]
    ranks: paired.Ranking | None

    @property
    def family(self) -> int:
        """Tests that Holm's correction counts."""
        return sum(pair.p is not None for pair in self.pairs)

    @property
    def smallest_p(self) -> float:
        """The smallest p that any pair can reach after Holm."""
        most = max((pair.tested for pair in self.pairs if pair.p is not None), default=1)
        return min(1.0, paired.smallest_p(most, self.family) * max(1, self.family))

    @property
    def hopeless(self) -> bool:
        """No difference whatever could be significant with so few images."""
        return self.smallest_p >= ALPHA

    def pair(self, i: int, j: int) -> Pair:
        """The pair of two places, in either order."""
        first, second = min(i, j), max(i, j)
        k = len(self.standings)
        return self.pairs[first * (2 * k - first - 1) // 2 + second - first - 1]

    @property
    def dataset_title(self) -> str:
        return clean(self.dataset.title) + (f" [{self.note}]" if self.note else "")


# -- from tables -----------------------------------------------------------------------------------------------------


def metrics_shown(table: Table) -> tuple[MetricInfo, ...]:
    """The metrics of the page: the protocol's two, and those where lower is better (LPIPS, AEE)."""
    lower = [metric for metric in table.metrics if metric.direction == "lower" and metric.name != SECONDS.name]
    return tuple({metric.name: metric for metric in (table.psnr, table.ssim, *lower)}.values())


def contests(tables: Iterable[Table], metrics: Collection[str] | None = None) -> tuple[Contest, ...]:
    """Every column and metric (``metrics_shown``; or those named) in which at least two methods can be compared."""
    found = []
    for table in tables:
        shown = metrics_shown(table) if metrics is None else [m for m in table.metrics if m.name in metrics]
        for place in range(len(table.columns)):
            for metric in shown:
                made = contest(table, place, metric)
                if len(made.standings) > 1:
                    found.append(made)
    return tuple(found)


def contest(table: Table, place: int, metric: MetricInfo) -> Contest:
    """Compare all methods of ``table.columns[place]``. Raises ValueError for a metric without values by image."""
    if metric.name == SECONDS.name:
        raise ValueError("seconds are of machines and not compared")
    column = table.columns[place]
    rows = [(row, row.cells[place]) for group in table.groups for row in group.rows]
    rows = [(row, cell) for row, cell in rows if cell is not None and _values(cell, metric)]
    usable = [(row, cell) for row, cell in rows if cell.run.result.run.method.ranked]
    titles = _titles([(clean(row.method.title), clean(row.weights), row.method.name) for row, _ in usable])
    entries = [
        (title, cell, _values(cell, metric), row.weights) for title, (row, cell) in zip(titles, usable, strict=True)
    ]
    lower = metric.direction == "lower"
    means = {id(cell): _mean(values) for _, cell, values, _ in entries}
    entries.sort(
        key=lambda e: (_status(e[1], metric) != "complete", means[id(e[1])] if lower else -means[id(e[1])], e[0])
    )
    ids = list(dict.fromkeys(image for entry in sorted(entries, key=lambda e: -len(e[2])) for image in entry[2]))
    matrix = np.array([[values.get(image, math.nan) for _, _, values, _ in entries] for image in ids])
    matrix = matrix.reshape(len(ids), len(entries))
    standings = []
    for (title, cell, values, weights), (low, high) in zip(entries, _intervals(matrix), strict=True):
        method = cell.run.result.run.method
        standings.append(
            Standing(title, method.name, clean(weights), method.gan, _status(cell, metric), means[id(cell)], low, high,
                     values, cell.run.path)
        )  # fmt: skip
    ranked = tuple(n for n, standing in enumerate(standings) if standing.status == "complete")
    ranks = None
    if len(ranked) > 2 and len(ids) >= FEWEST_FOR_RANKS:
        ranks = paired.rank(matrix[:, ranked], lower)
    return Contest(
        table.protocol,
        column.dataset,
        metric,
        _anchor(table, column, metric),
        column.note,
        tuple(standings),
        _pairs(matrix, metric) if len(standings) > 1 else (),
        tuple(clean(row.method.title) for row, cell in rows if not cell.run.result.run.method.ranked),
        ranked,
        ranks,
    )


def intervals(cell: Cell, metric: str | None = None) -> tuple[float, float] | None:
    """95 % bootstrap interval (low, high) of the mean of a metric (the protocol's PSNR where None), as the page of
    statistics has it; None for fewer than two images and for infinite values."""
    name = metric or cell.run.result.run.protocol.psnr
    values = [i.metrics[name] for i in cell.run.result.images if i.error is None and name in i.metrics]
    low, high = _intervals(np.array(values, np.float64)[:, None])[0]
    return None if low is None or high is None else (low, high)


def anchor(table: Table, place: int, metric: MetricInfo) -> str:
    """Where a contest stands on the page of statistics."""
    return _anchor(table, table.columns[place], metric)


def _anchor(table: Table, column: Column, metric: MetricInfo) -> str:
    key = digest([table.protocol.digest, dataset_key(column.dataset), metric.name])[:8]
    return f"{slug(table.protocol.label)[:20]}-{slug(column.dataset.name)[:20]}-{slug(metric.name)[:20]}-{key}"


def _values(cell: Cell, metric: MetricInfo) -> dict[str, float]:
    images = (image for image in cell.run.result.images if image.error is None)
    return {image.id: float(image.metrics[metric.name]) for image in images if metric.name in image.metrics}


def _status(cell: Cell, metric: MetricInfo) -> str:
    whole = len(_values(cell, metric)) == cell.total
    return cell.status if cell.status != "complete" or whole else "partial"


def _mean(values: Mapping[str, float]) -> float:
    numbers = values.values()
    return math.fsum(numbers) / len(numbers) if all(map(math.isfinite, numbers)) else math.inf


def _titles(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Titles, with the weights beside those that occur twice, then with the name and a number."""
    titles = [title for title, _, _ in rows]
    longer = [f"{t} ({w})" if titles.count(t) > 1 else t for t, w, _ in rows]
    longest = [f"{t} {n}" if longer.count(t) > 1 else t for t, (_, _, n) in zip(longer, rows, strict=True)]
    return [f"{t} #{n}" if longest.count(t) > 1 else t for n, t in enumerate(longest, 1)]


def _intervals(matrix: np.ndarray) -> list[tuple[float | None, float | None]]:
    """Of the mean of every column of (images, methods), nan where missing."""
    found: list[tuple[float | None, float | None]] = [(None, None)] * matrix.shape[1]
    for rows, members in _alike(~np.isnan(matrix)):
        finite = [n for n in members if np.isfinite(matrix[rows, n]).all()]
        if rows.sum() > 1 and finite:
            low, high = paired.intervals(matrix[np.ix_(rows, finite)])
            for n, limits in zip(finite, zip(low, high, strict=True), strict=True):
                found[n] = (float(limits[0]), float(limits[1]))
    return found


def _alike(used: np.ndarray) -> list[tuple[np.ndarray, list[int]]]:
    """Columns of (images, columns) that are the same, with their rows: they share their draws."""
    groups: dict[bytes, list[int]] = {}
    for column in range(used.shape[1]):
        groups.setdefault(used[:, column].tobytes(), []).append(column)
    return [(used[:, members[0]], members) for members in groups.values()]


def _pairs(matrix: np.ndarray, metric: MetricInfo) -> tuple[Pair, ...]:
    """All pairs of columns of values (images, methods), nan where missing."""
    i, j = map(np.array, zip(*combinations(range(matrix.shape[1]), 2), strict=True))
    there = ~np.isnan(matrix)
    both = there[:, i] & there[:, j]
    endless = np.isinf(matrix)
    apart = both & (endless[:, i] != endless[:, j])
    used = both & ~apart
    flat = np.where(endless | ~there, 0.0, matrix)  # where both are infinite, their difference is 0
    printed = np.array([[value if math.isinf(value) else float(f"{value:.{metric.digits}f}") for value in row]
                        for row in matrix])  # fmt: skip
    higher = printed[:, i] > printed[:, j]
    less = printed[:, i] < printed[:, j]
    wins, losses = (less, higher) if metric.direction == "lower" else (higher, less)
    columns = {name: np.full(len(i), np.nan) for name in ("difference", "low", "high", "p", "wilcoxon")}
    for rows, members in _alike(used):
        if rows.sum() < 2:
            continue
        a, b = i[members], j[members]
        values = flat[rows]
        columns["difference"][members] = (values[:, a] - values[:, b]).mean(0)
        columns["low"][members], columns["high"][members] = paired.difference_intervals(values, a, b)
        columns["p"][members] = paired.sign_flips(values, a, b, len(i))
        columns["wilcoxon"][members] = paired.wilcoxon(values[:, a] - values[:, b])
    tested = np.flatnonzero(~np.isnan(columns["p"]))
    for name in ("p", "wilcoxon"):
        columns[f"{name}_holm"] = np.full(len(i), np.nan)
        columns[f"{name}_holm"][tested] = paired.holm(columns[name][tested].tolist())
    counts = {"images": both, "apart": apart, "wins": wins & both, "losses": losses & both}
    sums = {name: mask.sum(0) for name, mask in counts.items()}
    return tuple(
        Pair(
            int(i[n]), int(j[n]), ties=int(sums["images"][n] - sums["wins"][n] - sums["losses"][n]),
            **{name: int(values[n]) for name, values in sums.items()},
            **{name: None if math.isnan(values[n]) else float(values[n]) for name, values in columns.items()},
        )
        for n in range(len(i))
    )  # fmt: skip


# -- in words --------------------------------------------------------------------------------------------------------


def p_text(p: float) -> str:
    """ "p = .18", "p < .001", as APA style prints them: two decimals, three below .1."""
    if p < 0.001:
        return "p < .001"
    text = f"{p:.{3 if p < 0.1 else 2}f}"
    return f"p = {text.removeprefix('0') if p < 0.995 else 1}"


def value_text(value: float | None, metric: MetricInfo, signed: bool = False) -> str:
    """A number as tables print it, with a proper minus; signed: a plus before positive ones."""
    text = number(value, metric.digits, leading_zero=metric.unit != "" or metric.digits < 3)
    if value is None or math.isinf(value):
        return text
    if not float(f"{value:.{metric.digits}f}"):
        return text.removeprefix("-")
    return text.replace("-", "−") if value < 0 else f"+{text}" if signed else text


def interval_text(low: float | None, high: float | None, metric: MetricInfo, signed: bool = False) -> str:
    """ "[24.97, 25.91]"; "" without one."""
    if low is None or high is None:
        return ""
    return f"[{value_text(low, metric, signed)}, {value_text(high, metric, signed)}]"


def sentence(found: Contest, pair: Pair) -> str:
    """What is known of two methods, the one better on their images first: "RCAN and EDSR are not distinguishable on
    CUFED5: +0.03 dB, 95 % interval [−0.01, +0.07], p = .18 after Holm, better on 70, worse on 56 of 126 images"."""
    lower = found.metric.direction == "lower"
    if pair.difference is not None and pair.difference * (-1 if lower else 1) < 0:
        pair = turned(pair)
    a, b = found.standings[pair.a].title, found.standings[pair.b].title
    where = found.dataset_title
    if not pair.images:
        return f"{a} and {b} have no image in common on {where}."
    if pair.p is None or pair.p_holm is None:
        return f"{a} and {b} cannot be tested on {where}: {_images(found, pair)}, and a test needs two."
    unit = found.metric.unit or found.metric.title
    parts = [
        f"{value_text(pair.difference, found.metric, signed=True)} {unit}",
        f"95 % interval {interval_text(pair.low, pair.high, found.metric, signed=True)}",
        p_text(pair.p_holm) + (" after Holm" if found.family > 1 else ""),
        f"better on {pair.wins}, worse on {pair.losses} of {_images(found, pair)}",
    ]
    if pair.significant:
        start = f"{a} is better than {b} on {where}"
    elif too_few(found, pair):
        start = f"{a} and {b} on {where}"
        parts[-1] += "; too few images for any difference to be significant"
    else:
        start = f"{a} and {b} are not distinguishable on {where}"
    return f"{start}: {', '.join(parts)}."


def too_few(found: Contest, pair: Pair) -> bool:
    """Whether no difference of the pair, however large, could be significant."""
    return found.hopeless or paired.smallest_p(pair.tested, found.family) >= ALPHA


def turned(pair: Pair) -> Pair:
    """The same comparison from the other side."""
    back = {
        name: None if value is None else 0.0 - value
        for name, value in (("difference", pair.difference), ("low", pair.high), ("high", pair.low))
    }
    return replace(pair, a=pair.b, b=pair.a, wins=pair.losses, losses=pair.wins, **back)


def _images(found: Contest, pair: Pair) -> str:
    text = _count(pair.images, "image")
    if min(found.standings[pair.a].images, found.standings[pair.b].images) > pair.images or not (
        found.standings[pair.a].images == found.standings[pair.b].images == pair.images
    ):
        text += " that both have"
    if pair.apart:
        text += f", {pair.apart} of them left out of the difference, as one SR alone is identical to HR"
    return text


def summary(found: Contest) -> str:
    """The head of a column: "The first three (A, B and C) are not distinguishable on CUFED5 in PSNR-Y." """
    where = f"on {found.dataset_title} in {found.metric.title}"
    if found.hopeless:
        return f"No difference {where} can be significant: {few(found)}"
    # Partial runs stand last and are not part of "the first three", unless there is nothing else.
    titles = [standing.title for standing in found.standings][: len(found.ranked) if len(found.ranked) > 1 else None]
    level = 1
    while level < len(titles) and not any(found.pair(i, level).significant for i in range(level)):
        level += 1
    if level == len(titles):
        all_of = "The two methods" if level == 2 else f"All {_word(level)} methods"
        return f"{all_of} are not distinguishable {where}."
    if level > 1:
        listed = f" ({_listed(titles[:level])})" if level < 6 else ""
        return f"The first {_word(level)}{listed} are not distinguishable {where}."
    alike = [pair for other in range(1, len(titles)) if not (pair := found.pair(0, other)).significant]
    if not alike:
        others = titles[1] if len(titles) == 2 else f"each of the other {_word(len(titles) - 1)}"
        return f"{titles[0]} is better than {others} {where}, and distinguishably so."
    return (
        f"{titles[0]} is distinguishably better than the next, {titles[1]}, {where}, but not than "
        f"{_listed([titles[pair.b] for pair in alike])}."
    )


def few(found: Contest) -> str:
    """Why a contest cannot have a significant pair."""
    most = max((pair.tested for pair in found.pairs), default=0)
    if most < 2:
        return "no two have two images in common."
    reach = f"2/2^{most}" if most <= paired.EXACT else f"1/{paired.flips(found.family) + 1}"
    own, corrected = (p_text(p).removeprefix("p = ") for p in (paired.smallest_p(most, found.family), found.smallest_p))
    after = f", which Holm's correction over {found.family} pairs makes {corrected}" if found.family > 1 else ""
    return f"the smallest p that {_count(most, 'image')} can give is {reach} = {own}{after}."


def sentences(found: Contest) -> tuple[str, ...]:
    """The summary, then each method against the next one."""
    neighbours = (sentence(found, found.pair(n, n + 1)) for n in range(len(found.standings) - 1))
    return (summary(found), *neighbours)


def ranks_sentence(found: Contest) -> str:
    """Friedman's and Nemenyi's result in words; "" without ranks."""
    if found.ranks is None:
        return ""
    ranks, k = found.ranks, len(found.ranked)
    f = "∞" if math.isinf(ranks.f) else f"{ranks.f:.2f}"
    test = f"F({k - 1}, {(k - 1) * (ranks.images - 1)}) = {f}, {p_text(ranks.p)}, {_count(ranks.images, 'image')}"
    if ranks.p >= ALPHA:
        return f"Friedman's test finds no difference between the mean ranks: {test}."
    return (
        f"Friedman's test finds differences between the mean ranks: {test}. Two methods whose mean ranks are less than "
        f"{ranks.distance:.2f} apart (Nemenyi's critical difference) are not distinguishable."
    )


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _word(n: int) -> str:
    return WORDS[n] if n < len(WORDS) else str(n)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


# -- as data ---------------------------------------------------------------------------------------------------------

CSV_COLUMNS = (
    "protocol", "protocol_digest", "dataset", "dataset_manifest_sha256", "metric", "unit", "method_a", "weights_a",
    "method_b", "weights_b", "images", "images_apart", "mean_a", "mean_b", "difference", "difference_low",
    "difference_high", "wins", "ties", "losses", "p", "p_holm", "p_wilcoxon", "p_wilcoxon_holm", "family",
    "significant",
)  # fmt: skip


def records(found: Contest, pairs: Iterable[Pair] | None = None) -> list[dict[str, Any]]:
    """Pairs as flat records (CSV_COLUMNS), unrounded; all of them where None."""
    lines = []
    for pair in found.pairs if pairs is None else pairs:
        a, b = found.standings[pair.a], found.standings[pair.b]
        # fmt: off
        values = (
            found.protocol.label, found.protocol.digest, found.dataset.name, found.dataset.manifest_sha256,
            found.metric.name, found.metric.unit, a.name, a.weights, b.name, b.weights, pair.images, pair.apart,
            a.mean, b.mean, pair.difference, pair.low, pair.high, pair.wins, pair.ties, pair.losses,
            pair.p, pair.p_holm, pair.wilcoxon, pair.wilcoxon_holm, found.family, pair.significant,
        )
        # fmt: on
        lines.append(dict(zip(CSV_COLUMNS, values, strict=True)))
    return lines


def to_csv(lines: Iterable[Mapping[str, Any]]) -> str:
    """Records as CSV: numbers unrounded, nothing a spreadsheet takes for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        values = (line[name] for name in CSV_COLUMNS)
        writer.writerow(["" if v is None else str(v).lower() if isinstance(v, bool) else plain_cell(v) for v in values])
    return out.getvalue()
