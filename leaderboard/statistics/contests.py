"""Finds which differences between methods are more than chance: intervals, paired tests and ranks.

A contest is one column of a table (protocol digest, data set with its manifest) under one metric.

* Methods are compared image by image, on the images that both have; images that failed or were not measured are
missing.
* Synthetic weights never take part. Partial and failed runs do, are marked, and are not ranked.
* GAN-trained methods take part like all others and are marked, because they were not trained for PSNR and SSIM.
* Differences and tests use unrounded values; an image is a tie when both values print alike, as in the tables.
* Two infinite values (both identical to HR) differ by 0. An image on which only one is infinite counts as won or lost
and stays out of the difference, its interval and the tests; a mean that is infinite has no interval.
* p values are two-sided and adjusted by Holm over all pairs of the contest, even if few of them are shown.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd

from leaderboard.frame import MEASURED, by_image
from leaderboard.reading.load import dataset_key
from leaderboard.statistics import paired
from leaderboard.statistics.estimates import mean_of
from leaderboard.tables.model import Cell, Column, Table
from leaderboard.tables.tables import SECONDS
from leaderboard.text import anchor, clean
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MetricInfo, ProtocolInfo

ALPHA = 0.05
FEWEST_FOR_RANKS = 10  # images; Demšar (2006): the approximations hold for more than 10 blocks


@dataclass(frozen=True)
class Standing:
    """One method. low, high: 95 % bootstrap interval of the mean; None for one image and for an infinite mean.

    name, weights: of its run file. title: unique in the contest. status: as in ``Cell``. values: by image id,
    unrounded. run: path of the run file.
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
    """A comparison of two methods, the better placed first. a, b: positions in ``Contest.standings``.

    images: number that both have. apart: number of these on which only one value is infinite. difference: mean of a - b
    over the others, with its 95 % paired bootstrap interval. wins, ties, losses: of a, by printed values. p: sign
    flips, exact or from random patterns. wilcoxon: signed ranks. Both are also given after Holm, and None when fewer
    than two images leave nothing to test.
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
        """The number of images in the difference and the tests."""
        return self.images - self.apart

    @property
    def turned(self) -> Pair:
        """Return the same comparison from the other side."""
        back = {
            name: None if value is None else 0.0 - value
            for name, value in (("difference", self.difference), ("low", self.high), ("high", self.low))
        }
        return replace(self, a=self.b, b=self.a, wins=self.losses, losses=self.wins, **back)

    @property
    def significant(self) -> bool:
        return self.p_holm is not None and self.p_holm < ALPHA

    @property
    def share(self) -> float | None:
        """The share of images won by a, a tie being half a win."""
        return (self.wins + self.ties / 2) / self.images if self.images else None


@dataclass(frozen=True)
class Contest:
    """One data set under one protocol and one metric. standings: complete runs first, best mean first. pairs: all.

    left_out: titles of methods with unranked weights. ranks: over ``ranked`` (positions in standings); None with fewer
    than three complete runs or FEWEST_FOR_RANKS images. anchor: unique and the same in every build.
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
        """The number of tests that Holm's correction counts."""
        return sum(pair.p is not None for pair in self.pairs)

    @property
    def smallest_p(self) -> float:
        """The smallest p that any pair can reach after Holm."""
        most = max((pair.tested for pair in self.pairs if pair.p is not None), default=1)
        return min(1.0, paired.smallest_p(most, self.family) * max(1, self.family))

    @property
    def hopeless(self) -> bool:
        """True if no difference, however large, could be significant with so few images."""
        return self.smallest_p >= ALPHA

    def pair(self, i: int, j: int) -> Pair:
        """Return the pair of two positions, in either order."""
        first, second = min(i, j), max(i, j)
        k = len(self.standings)
        return self.pairs[first * (2 * k - first - 1) // 2 + second - first - 1]

    def too_few(self, pair: Pair) -> bool:
        """Tell whether no difference of the pair, however large, could be significant."""
        return self.hopeless or paired.smallest_p(pair.tested, self.family) >= ALPHA

    @property
    def dataset_title(self) -> str:
        return clean(self.dataset.title) + (f" [{self.note}]" if self.note else "")


# -- from the frame ------------------------------------------------------------------------------------------------


def metrics_shown(table: Table) -> tuple[MetricInfo, ...]:
    """Return the metrics of the page: the protocol's two, and those for which lower is better (LPIPS, AEE)."""
    lower = [metric for metric in table.metrics if metric.direction == "lower" and metric.name != SECONDS.name]
    return tuple({metric.name: metric for metric in (table.psnr, table.ssim, *lower)}.values())


def contests(
    results: pd.DataFrame, tables: Iterable[Table], metrics: Collection[str] | None = None
) -> tuple[Contest, ...]:
    """Return every column and metric (``metrics_shown``, or the named ones) with at least two comparable methods.

    results: the ``leaderboard.frame`` of the runs that the tables were made from.
    """
    found = []
    for table in tables:
        shown = metrics_shown(table) if metrics is None else [m for m in table.metrics if m.name in metrics]
        made = (contest(results, table, place, metric) for place in range(len(table.columns)) for metric in shown)
        found += [one for one in made if len(one.standings) > 1]
    return tuple(found)


def contest(results: pd.DataFrame, table: Table, place: int, metric: MetricInfo) -> Contest:
    """Compare all methods of ``table.columns[place]``. Raises ValueError for a metric without values by image."""
    if metric.name == SECONDS.name:
        raise ValueError("seconds are of machines and not compared")
    column = table.columns[place]
    cells = {row.cells[place].run.path: (row, row.cells[place]) for row in table.rows if row.cells[place]}
    chosen = results[(results.metric == metric.name) & (results.status == MEASURED) & results.path.isin(list(cells))]
    values = {path: own.value for path, own in chosen.set_index("pair").groupby("path")}
    cells = {path: cell for path, cell in cells.items() if path in values}
    usable = {path: row for path, (row, _) in cells.items() if row.method.ranked}
    named = _titles([(clean(row.method.title), clean(row.weights), row.method.name) for row in usable.values()])
    titles = dict(zip(usable, named, strict=True))
    status = {path: _status(cells[path][1], len(values[path])) for path in usable}
    means = {path: mean_of(values[path]) for path in usable}
    lower = metric.direction == "lower"
    paths = sorted(
        usable,
        key=lambda path: (status[path] != "complete", means[path] if lower else -means[path], titles[path]),
    )
    matrix = by_image(chosen, paths).to_numpy()
    standings = tuple(
        Standing(titles[path], usable[path].method.name, clean(usable[path].weights), usable[path].method.gan,
                 status[path], means[path], low, high, values[path].to_dict(), path)
        for path, (low, high) in zip(paths, _intervals(matrix), strict=True)
    )  # fmt: skip
    ranked = tuple(n for n, standing in enumerate(standings) if standing.status == "complete")
    enough = len(ranked) > 2 and len(matrix) >= FEWEST_FOR_RANKS
    return Contest(
        table.protocol,
        column.dataset,
        metric,
        _anchor(table, column, metric),
        column.note,
        standings,
        _pairs(matrix, metric) if len(standings) > 1 else (),
        tuple(clean(row.method.title) for row, _ in cells.values() if not row.method.ranked),
        ranked,
        paired.rank(matrix[:, ranked], lower) if enough else None,
    )


def _anchor(table: Table, column: Column, metric: MetricInfo) -> str:
    key = digest([table.protocol.digest, dataset_key(column.dataset), metric.name])[:8]
    return f"{anchor(table.protocol.label)[:20]}-{anchor(column.dataset.name)[:20]}-{anchor(metric.name)[:20]}-{key}"


def _status(cell: Cell, measured: int) -> str:
    return cell.status if cell.status != "complete" or measured == cell.total else "partial"


def _titles(rows: Sequence[tuple[str, str, str]]) -> list[str]:
    """Return titles, with the weights beside those that occur twice, then with the name and a number."""
    titles = [title for title, _, _ in rows]
    longer = [f"{t} ({w})" if titles.count(t) > 1 else t for t, w, _ in rows]
    longest = [f"{t} {n}" if longer.count(t) > 1 else t for t, (_, _, n) in zip(longer, rows, strict=True)]
    return [f"{t} #{n}" if longest.count(t) > 1 else t for n, t in enumerate(longest, 1)]


def _intervals(matrix: np.ndarray) -> list[tuple[float | None, float | None]]:
    """Return 95 % bootstrap intervals of the mean of every column of (images, methods), nan if missing.

    (None, None) for a column of fewer than two images, or with an infinite value.
    """
    found: list[tuple[float | None, float | None]] = [(None, None)] * matrix.shape[1]
    for rows, members in _alike(~np.isnan(matrix)):
        finite = [n for n in members if np.isfinite(matrix[rows, n]).all()]
        if rows.sum() > 1 and finite:
            low, high = paired.intervals(matrix[np.ix_(rows, finite)])
            for n, limits in zip(finite, zip(low, high, strict=True), strict=True):
                found[n] = (float(limits[0]), float(limits[1]))
    return found


def _alike(used: np.ndarray) -> list[tuple[np.ndarray, list[int]]]:
    """Return columns of (images, columns) that use the same rows, with these rows, because they share their draws."""
    groups = grouped(range(used.shape[1]), lambda column: used[:, column].tobytes())
    return [(used[:, members[0]], members) for members in groups.values()]


def _pairs(matrix: np.ndarray, metric: MetricInfo) -> tuple[Pair, ...]:
    """Return all pairs of columns of values (images, methods), nan if missing."""
    i, j = map(np.array, zip(*combinations(range(matrix.shape[1]), 2), strict=True))
    there = ~np.isnan(matrix)
    both = there[:, i] & there[:, j]
    endless = np.isinf(matrix)
    apart = both & (endless[:, i] != endless[:, j])
    used = both & ~apart
    flat = np.where(endless | ~there, 0.0, matrix)  # if both are infinite, their difference is 0
    # Wins are counted as readers of the table would, on the printed values.
    printed = np.array([[value if math.isinf(value) else float(f"{value:.{metric.digits}f}") for value in row]
                        for row in matrix])  # fmt: skip
    higher = printed[:, i] > printed[:, j]
    less = printed[:, i] < printed[:, j]
    wins, losses = (less, higher) if metric.direction == "lower" else (higher, less)
    columns = {name: np.full(len(i), np.nan) for name in ("difference", "low", "high", "p", "wilcoxon")}
    for rows, members in _alike(used):  # pairs on the same images share the draws, and one product of matrices
        if rows.sum() < 2:
            continue
        a, b = i[members], j[members]
        values = flat[rows]
        columns["difference"][members] = (values[:, a] - values[:, b]).mean(0)
        columns["low"][members], columns["high"][members] = paired.difference_intervals(values, a, b)
        columns["p"][members] = paired.sign_flips(values, a, b, len(i))
        columns["wilcoxon"][members] = paired.wilcoxon(values[:, a] - values[:, b])
    tested = np.flatnonzero(~np.isnan(columns["p"]))  # pairs that cannot be tested do not count in the family
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
