"""Turns robustness runs (``kind: robustness``) into rows: means, intervals and the reference gain, by level.

Their references were made from the ground truth, so they are never ranked. The data set's ``variation`` says what was
changed, and how far.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from leaderboard.frame import MEASURED, frame
from leaderboard.reading.failures import measured_something
from leaderboard.reading.load import LoadedRun, method_key
from leaderboard.statistics.estimates import Estimate, estimate
from leaderboard.statistics.shares import SHARE, Series, Share, psnr_by_image, shares
from leaderboard.text import csv_text
from refsr_bench.core.schema import DatasetInfo, MetricInfo, ProtocolInfo, Result
from refsr_bench.geometry.kinds import GIVEN, GROUPS, UNRELATED, numbers_of

GAIN = MetricInfo("gain", "gain", "higher", "dB", 2)


@dataclass(frozen=True)
class Row:
    """One method or matcher at one level. values: what could be measured, by metric name. failed: pairs that failed.

    series: distinguishes a method with its weights from others of the same name; otherwise the method's name.
    """

    method: str
    title: str
    weights: str
    level: str
    images: int
    failed: int
    values: Mapping[str, Estimate] = field(default_factory=dict)
    series: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "series", self.series or self.method)


@dataclass(frozen=True)
class Study:
    """Every measurement of one change on the same images under one protocol.

    dataset, title: of the data set whose images were changed. change: one of ``geometry.kinds.KINDS``, or GIVEN. runs:
    by series (a method or matcher with its weights), then by level, UNRELATED last.
    """

    dataset: str
    title: str
    change: str
    protocol: ProtocolInfo
    pair_ids: tuple[str, ...]
    runs: Mapping[Series, Mapping[str, LoadedRun]]

    @property
    def rows(self) -> tuple[Row, ...]:
        """Return one row per level of each series; weights distinguish methods of the same name."""
        names = [name for name, _ in self.runs]
        found = []
        for (name, weights), of_series in rows_by_series(self._results).items():
            for row in of_series:
                title = f"{row.title}, {row.weights}" if names.count(name) > 1 else row.title
                found.append(dataclasses.replace(row, title=title, series=f"{name} {weights}"))
        return tuple(found)

    @property
    def shares(self) -> dict[tuple[Series, str], Share]:
        """Return the shares of the possible gain by series and level, with what they were computed from."""
        return shares(self._results)

    @property
    def _results(self) -> dict[Series, dict[str, Result]]:
        return {
            series: {level: loaded.result for level, loaded in levels.items()} for series, levels in self.runs.items()
        }


def unrelated(runs: Iterable[LoadedRun]) -> dict[tuple[str, str, str, str], dict[str, float]]:
    """Return PSNR by image with the unrelated reference, by protocol digest, data set, method and weights."""
    found: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for loaded in runs:
        run = loaded.result.run
        base, _, level = change_of(run.dataset)
        if run.kind == "robustness" and level == UNRELATED:
            place = (run.protocol.digest, base, *method_key(run.method))
            found.setdefault(place, psnr_by_image(loaded.result))
    return found


def studies(runs: Iterable[LoadedRun]) -> tuple[Study, ...]:
    """Group robustness runs by data set, change, protocol and the very images; unrelated references join all groups.

    If two files have the same place, the first by path counts. A change of which only the unrelated reference was
    measured is not a study.
    """
    placed: dict[tuple, dict[tuple[str, str], dict[str, LoadedRun]]] = {}
    baselines: dict[tuple, dict[tuple[str, str], LoadedRun]] = {}
    protocols: dict[str, ProtocolInfo] = {}
    for loaded in sorted(runs, key=lambda run: run.path):
        if not measured_something(loaded.result):
            continue
        run = loaded.result.run
        protocols.setdefault(run.protocol.digest, run.protocol)
        base, change, level = change_of(run.dataset)
        series = method_key(run.method)
        if level == UNRELATED:
            baselines.setdefault((base, run.protocol.digest, run.pair_ids), {}).setdefault(series, loaded)
        else:
            key = (base, change, run.protocol.digest, run.pair_ids)
            placed.setdefault(key, {}).setdefault(series, {}).setdefault(level, loaded)
    found = []
    for (base, change, digest, ids), by_series in sorted(placed.items()):
        beside = baselines.get((base, digest, ids), {})
        complete = {
            series: dict(sorted(levels.items(), key=lambda item: _place(item[0])))
            | ({UNRELATED: beside[series]} if series in beside else {})
            for series, levels in sorted(by_series.items(), key=lambda item: _matchers_last(item[1], item[0]))
        }
        some = next(iter(next(iter(by_series.values())).values())).result.run.dataset
        title = some.variation.title if some.variation else some.title
        found.append(Study(base, title, change, protocols[digest], ids, complete))
    return tuple(found)


def change_of(dataset: DatasetInfo) -> tuple[str, str, str]:
    """Return (changed data set, change, level); (its name, GIVEN, GIVEN) if measured with its own references."""
    change = dataset.variation
    return (change.base, change.kind, change.level) if change else (dataset.name, GIVEN, GIVEN)


def _place(level: str) -> tuple[bool, tuple[float, ...], int, str]:
    """Return a sort key: groups from identity to large, then numbers in their order."""
    numbers = numbers_of(level)
    return (bool(numbers), numbers, GROUPS.index(level) if level in GROUPS else len(GROUPS), level)


def _matchers_last(levels: Mapping[str, LoadedRun], series: tuple[str, str]) -> tuple[bool, int, tuple[str, str]]:
    method = next(iter(levels.values())).result.run.method
    return (method.group == "matcher", method.year, series)


def rows_by_series(runs: Mapping[Series, Mapping[str, Result]]) -> dict[Series, list[Row]]:
    """Return the rows of several methods or matchers on the same images, with shares where a ceiling was measured."""
    found = shares(runs)
    return {
        series: [
            dataclasses.replace(row, values={**row.values, SHARE.name: found[series, row.level].estimate})
            if (series, row.level) in found
            else row
            for row in rows(levels)
        ]
        for series, levels in runs.items()
    }


def rows(results: Mapping[str, Result]) -> list[Row]:
    """Return one row per level of one method, in the given order.

    *Reference gain* is the PSNR with this level's reference minus that of the same image with the unrelated one: it
    distinguishes a method that uses its reference from a good network for single images.
    """
    values = frame(LoadedRun(level, result) for level, result in results.items())
    values = values[values.status == MEASURED]
    psnr = values[values.metric.isin([result.run.protocol.psnr for result in results.values()])]
    with_gain = pd.concat([values, _gains(psnr, psnr.path == UNRELATED)])
    found = with_gain.groupby(["path", "metric"], sort=False).value.agg(list)
    return [
        Row(
            method=result.run.method.name,
            title=result.run.method.title,
            weights=result.run.method.weights.name,
            level=level,
            images=len(result.measured),
            failed=len(result.failed),
            values={metric: estimate(own) for (path, metric), own in found.items() if path == level},
        )
        for level, result in results.items()
    ]


def _gains(psnr: pd.DataFrame, beside: pd.Series) -> pd.DataFrame:
    """Return rows of GAIN for rows of PSNR of one method. beside: those with the unrelated reference."""
    changed, baseline = psnr[~beside], psnr[beside].set_index("pair").value
    before = baseline.reindex(changed.pair).to_numpy()
    gain = (changed.value - before).mask(changed.value == before, 0.0)  # equal values gain 0, even infinite ones
    return changed.assign(metric=GAIN.name, value=gain)[~np.isnan(before)]


def columns_of(
    matching: Sequence[MetricInfo], metrics: Sequence[MetricInfo], rows: Sequence[Row] = ()
) -> tuple[MetricInfo, ...]:
    """Return columns of the table: matching first, then restoration, the first in dB (PSNR) followed by the gain.

    The share of the possible gain stands beside it if one of the rows has one.
    """
    quality = list(metrics)
    if places := [n for n, metric in enumerate(quality, 1) if metric.unit == GAIN.unit]:
        quality[places[0] : places[0]] = [GAIN, SHARE] if any(SHARE.name in row.values for row in rows) else [GAIN]
    return (*matching, *quality)


def to_csv(rows: Sequence[Row], columns: Sequence[MetricInfo], change: str, dataset: str) -> str:
    """Return every mean and both ends of its interval, unrounded; empty if there is nothing to measure."""
    ends = [f"{column.name}{end}" for column in columns for end in ("", "_low", "_high")]
    lines = []
    for row in rows:
        found = [row.values.get(column.name) for column in columns]
        numbers = [n for v in found for n in ((v.mean, v.low, v.high) if v else (None, None, None))]
        facts = (dataset, change, row.level, row.method, row.title, row.weights, row.images, row.failed)
        lines.append([*facts, *numbers])
    return csv_text(["dataset", "transform", "level", "method", "title", "weights", "images", "failed", *ends], lines)
