"""Makes tables of runs, in the form of the field's Table 1, by pure functions without files or HTML.

This module decides which results may be compared:

* one table, hence one ranking, per protocol digest;
* one column per data set *and* manifest digest, so that other images never stand under the published set's name;
* one row per method and weights;
* a result takes part in the ranking of a metric when its run is complete, its weights are rankable and every image has
that metric;
* numbers that print alike rank alike: two firsts leave no second;
* seconds are shown and never ranked, because machines differ.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count

from msgspec import structs

from leaderboard.reading.failures import measured_something
from leaderboard.reading.load import LoadedRun, dataset_key, method_key, run_key
from leaderboard.tables.best_values import ranked
from leaderboard.tables.model import COLUMNS, GROUPS, OWN, Cell, Column, Row, Score, Table
from leaderboard.tables.timing import legend_of, timing_of
from leaderboard.tables.unmeasured import unmeasured
from leaderboard.text import anchor, of_metric
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import DatasetInfo, MethodInfo, MetricInfo, Result
from refsr_bench.protocols.wording import sentence

GAIN = MetricInfo("reference_gain", "Reference gain", "higher", "dB", 2)
SECONDS = MetricInfo("seconds", "Time", "lower", "s", 2)

Unrelated = Mapping[tuple[str, str, str, str], Mapping[str, float]]
"""PSNR by image with an unrelated reference, by protocol digest, data set, method and weights."""


def build_tables(runs: Iterable[LoadedRun], unrelated: Unrelated | None = None) -> tuple[Table, ...]:
    """Return one table per protocol digest: shipped protocols first, then those with most runs, then by label.

    A run in which every pair failed is no row (``failures.failed_runs`` lists it).
    unrelated: as ``robustness.unrelated`` finds it; the gain from the references is then a metric of its own, GAIN.
    """
    by_protocol: dict[tuple[str, ...], list[LoadedRun]] = {}
    for run in sorted(runs, key=lambda run: run.path):
        if not measured_something(run.result):
            continue
        protocol = run.result.run.protocol
        # The headline metrics follow from the digest, but they are in the key because a run file may claim otherwise.
        by_protocol.setdefault((protocol.digest, protocol.psnr, protocol.ssim), []).append(run)

    def place(members: list[LoadedRun]) -> tuple[bool, int, str, str]:
        protocol = members[0].result.run.protocol
        return (bool(protocol.overrides), -len(members), protocol.label, protocol.digest)

    tables: list[Table] = []
    keys: set[str] = set()
    for members in sorted(by_protocol.values(), key=place):
        table = _table(members, unrelated or {})
        free = next(s for n in count(1) if (s := f"{table.key}.{n}" if n > 1 else table.key) not in keys)
        keys.add(free)
        tables.append(dataclasses.replace(table, key=free))
    return tuple(tables)


def _table(runs: Sequence[LoadedRun], unrelated: Unrelated) -> Table:
    protocol = runs[0].result.run.protocol
    names = dict.fromkeys((protocol.psnr, protocol.ssim))
    names |= dict.fromkeys(metric.name for run in runs for metric in run.result.run.metrics)
    metrics = [_metric(runs, name) for name in names]
    gains = {run_key(run.result): gain for run in runs if (gain := _gain(run.result, unrelated))}
    if gains:
        metrics = [*(metric for metric in metrics if metric.name != GAIN.name), GAIN]
    metrics = [*(metric for metric in metrics if metric.name != SECONDS.name), SECONDS]
    columns = _columns([run.result.run.dataset for run in runs])
    scores = {run_key(run.result): _scores(run.result, metrics, gains.get(run_key(run.result))) for run in runs}
    for column in columns:
        of_column = {key: found for key, found in scores.items() if key[1] == dataset_key(column.dataset)}
        for metric in metrics:
            column_scores = {key: found[metric.name] for key, found in of_column.items()}
            for key, score in ranked(column_scores, metric.direction).items():
                scores[key][metric.name] = score
    cells = {
        run_key(run.result): Cell(scores[run_key(run.result)], _status(run.result), run, timing_of(run.result))
        for run in runs
    }
    times = legend_of(cell.timing for cell in cells.values())
    for cell in cells.values():
        cell.scores[SECONDS.name] = dataclasses.replace(cell.scores[SECONDS.name], note=times.mark(cell.timing))
    places = {metric.name: n for n, metric in enumerate(metrics)}
    return Table(
        key=f"{anchor(protocol.label)}-{anchor(protocol.digest)[:12]}",
        kind="measured",
        title=protocol.label,
        about=sentence(protocol.fields, {c.dataset.name: c.title for c in columns}) or protocol.summary,
        columns=columns,
        metrics=tuple(metrics),
        shown=tuple(dict.fromkeys((places[protocol.psnr], places[protocol.ssim]))),
        rows=tuple(_rows(runs, columns, cells)),
        protocol=protocol,
        times=times.text,
        unmeasured=unmeasured(run.result for run in runs),
    )


def _metric(runs: Sequence[LoadedRun], name: str) -> MetricInfo:
    """Return a metric's card with the most digits that any run asks for, so that no column mixes precisions."""
    cards = [metric for run in runs for metric in run.result.run.metrics if metric.name == name]
    return structs.replace(cards[0], digits=max(card.digits for card in cards))


def _columns(datasets: Iterable[DatasetInfo]) -> tuple[Column, ...]:
    """Return data sets in the order of the paper's Table 1, others by title; each before its unofficial namesakes."""
    unique: dict[tuple[str, str, bool, int], DatasetInfo] = {}
    for dataset in datasets:
        unique.setdefault(dataset_key(dataset), dataset)

    def place(dataset: DatasetInfo) -> tuple:
        known = COLUMNS.index(dataset.name) if dataset.name in COLUMNS else len(COLUMNS)
        title = "" if known < len(COLUMNS) else dataset.title.lower()
        return (known, title, dataset.name, not dataset.official, dataset.manifest_sha256, dataset.n_pairs)

    ordered = sorted(unique.values(), key=place)
    official = [dataset.name for dataset in ordered if dataset.official]
    noted = [dataset for dataset in ordered if not dataset.official or official.count(dataset.name) > 1]
    return tuple(
        Column(
            key=f"{anchor(dataset.name)}-{n}" if dataset in noted else dataset.name,
            title=dataset.title,
            official=dataset.official,
            note=noted.index(dataset) + 1 if dataset in noted else None,
            dataset=dataset,
        )
        for n, dataset in enumerate(ordered)
    )


def _rows(runs: Sequence[LoadedRun], columns: Sequence[Column], cells: Mapping[tuple, Cell]) -> Iterator[Row]:
    """Return methods by group and year, the trainings of one method side by side, without an adversarial loss second.

    A method that was measured at different times is described as the run that started last describes it.
    """
    latest: dict[tuple[str, str], LoadedRun] = {}
    for run in sorted(runs, key=lambda run: (run.result.run.started, run.path)):
        latest[method_key(run.result.run.method)] = run
    by_group = grouped(latest.values(), _group)
    digest = runs[0].result.run.protocol.digest
    for group in sorted(by_group, key=lambda g: (GROUPS.index(g) if g in GROUPS else len(GROUPS), g)):
        methods = [run.result.run.method for run in by_group[group]]
        for method in _by_year(methods):
            weights = _weights(method, methods)
            keys = [(digest, dataset_key(column.dataset), *method_key(method)) for column in columns]
            yield Row(
                title=method.title,
                group=group,
                cells=tuple(cells.get(key) for key in keys),
                gan=method.gan,
                year=method.year,
                references=method.references,
                verified=not method.mark,
                weights=weights,
                mark=method.mark,
                line=f"{method.year} · {weights}",
                parameters=method.parameters,
                gmacs=method.gmacs,
                method=method,
            )


def _group(run: LoadedRun) -> str:
    """Return a method's group: its own, or OWN if code outside the toolkit made the SR images."""
    facts = run.result.run
    return OWN if facts.origin in ("folder", "command", "function") else facts.method.group


def _by_year(methods: Sequence[MethodInfo]) -> list[MethodInfo]:
    """Sort methods by year. Those of one paper stand together, at the place of the first of them."""
    families = grouped(methods, lambda method: method.paper or method.name)
    first = {
        name: (min(method.year for method in own), min(method.name.lower() for method in own))
        for name, own in families.items()
    }

    def place(method: MethodInfo) -> tuple:
        family = first[method.paper or method.name]
        return (*family, not method.gan, method.title.lower(), method.name, method.weights.name, method.weights.key)

    return sorted(methods, key=place)


def _weights(method: MethodInfo, methods: Iterable[MethodInfo]) -> str:
    weights = method.weights
    name = "no weights" if weights.kind == "none" else weights.name or "unnamed"
    namesakes = sum((other.name, other.weights.name) == (method.name, weights.name) for other in methods)
    return f"{name} ({(weights.sha256 or 'no digest')[:9]})" if namesakes > 1 else name


def _scores(result: Result, metrics: Iterable[MetricInfo], gain: Score | None) -> dict[str, Score]:
    found = {metric.name: _score(result, metric) for metric in metrics}
    if GAIN.name in found and gain is not None:
        found[GAIN.name] = gain
    timing = timing_of(result)
    seconds = timing.seconds if timing else None
    found[SECONDS.name] = Score(seconds, of_metric(seconds, SECONDS))
    return found


def _score(result: Result, metric: MetricInfo) -> Score:
    """Return the mean of one metric; rank 0 if it may be ranked, and ``ranked`` then finds its place."""
    value = None if metric is GAIN else result.means.get(metric.name)
    covered = sum(metric.name in image.metrics for image in result.measured)
    if metric.name in result.sets:
        covered = result.sets[metric.name].images
    may = result.complete and result.run.method.ranked and value is not None
    return Score(value, of_metric(value, metric), 0 if may and covered == result.run.dataset.n_pairs else None)


def _status(result: Result) -> str:
    if result.failed:
        return "failed"
    if not result.complete:
        return "partial"
    return "complete" if result.run.method.ranked else "synthetic weights"


def _gain(result: Result, unrelated: Unrelated) -> Score | None:
    """Return mean PSNR minus that with an unrelated reference, over the images that have both; None if none has."""
    run = result.run
    place = (run.protocol.digest, run.dataset.name, *method_key(run.method))
    without, name = unrelated.get(place, {}), run.protocol.psnr
    gains = [
        image.metrics[name] - without[image.id]
        for image in result.measured
        if math.isfinite(image.metrics.get(name, math.inf) - without.get(image.id, math.inf))
    ]
    if not gains:
        return None
    value = math.fsum(gains) / len(gains)
    may = result.complete and run.method.ranked and len(gains) == run.dataset.n_pairs
    return Score(value, of_metric(value, GAIN), 0 if may else None)
