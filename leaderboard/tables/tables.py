"""From runs to tables in the form of the field's Table 1: pure functions, no files, no HTML.

What may be compared with what is decided here:

* one table, hence one ranking, per protocol digest;
* one column per data set *and* manifest digest, so that other images never stand under the published set's name;
* one row per method and weights;
* a result takes part in the ranking of a metric when its run is complete, its weights mean something and every image
  has that metric;
* numbers that print alike rank alike: two firsts leave no second;
* seconds are shown and never ranked: machines differ.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from msgspec import structs

from leaderboard.reading.load import LoadedRun, dataset_key, run_key, weights_key
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import (
    DatasetInfo,
    MethodInfo,
    MetricInfo,
    ProtocolInfo,
    Result,
)

MISSING = "-"
OWN = "Own"
GROUPS = ("SISR", "Ref-SR", OWN)
GAIN = MetricInfo("reference_gain", "Reference gain", "higher", "dB", 2)
SECONDS = MetricInfo("seconds", "Time", "lower", "s", 2)
# Results of code outside the toolkit say so in place of weights: `refsr-bench score`, and `run --command`.
_OUTSIDE = re.compile(r"SR images from outside|command .*", re.DOTALL)
COLUMNS = ("cufed5", "sun80", "urban100", "manga109", "wrsr")  # the order of C²-Matching's Table 1
MARKS = {1: "best", 2: "second"}

# 'x-rec' (reconstruction loss alone) and 'x.gan' are two trainings of 'x'.
_VARIANT = re.compile(r"[-_. ](rec|gan)$", re.IGNORECASE)
# Characters that break files or reverse the reading order: controls, lone surrogates, bidirectional overrides.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


@dataclass(frozen=True)
class Score:
    """One metric of one run. value: the mean, unrounded, None without one; rank: 1 is best, None when unranked."""

    value: float | None
    text: str
    rank: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class Cell:
    """One run in its table. status: "complete", "partial", "failed" or "synthetic weights"; seconds: mean per measured
    image, or None.

    anchor: the same for the same method, weights, data set and protocol in every build. scores: by metric name, one for
    each of the table's metrics.
    """

    run: LoadedRun
    anchor: str
    psnr: Score
    ssim: Score
    measured: int
    failed: int
    total: int
    status: str
    seconds: float | None
    scores: Mapping[str, Score] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """One data set. note: the number of its footnote where it is not official, or not the only official one."""

    dataset: DatasetInfo
    note: int | None


@dataclass(frozen=True)
class Row:
    """One method with one set of weights; ``cells`` follow the table's columns, None where there is no run.

    weights: their name, with the start of the digest where other weights of that method go by the same name.
    """

    method: MethodInfo
    weights: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Group:
    """Rows of one kind. name: "SISR", "Ref-SR", "Own" (made by code outside the toolkit) or one of the run files'."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Everything measured under one protocol. slug: safe as a file name and an anchor, unique in one build.

    metrics: all that can be shown, the protocol's two first, SECONDS last; with the digits of the run that has most.
    """

    protocol: ProtocolInfo
    psnr: MetricInfo
    ssim: MetricInfo
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    slug: str
    metrics: tuple[MetricInfo, ...] = ()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every method, group by group."""
        return tuple(row for group in self.groups for row in group.rows)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every run of the table, row by row."""
        return tuple(cell for row in self.rows for cell in row.cells if cell)


def clean(text: str) -> str:
    """Text from a run file without characters that could damage a file or disguise what it says."""
    return _UNSAFE.sub("\ufffd", text)


def number(value: float | None, digits: int, leading_zero: bool = True) -> str:
    """A number as tables print it: fixed decimals, "∞", "-" for None; ``.745`` without the zero where asked."""
    if value is None:
        return MISSING
    if math.isinf(value):
        return "∞"
    text = f"{value:.{digits}f}"
    return text if leading_zero else re.sub(r"^(-?)0\.", r"\1.", text)


def build_tables(
    runs: Iterable[LoadedRun], unrelated: Mapping[tuple[str, str, str, str], Mapping[str, float]] | None = None
) -> tuple[Table, ...]:
    """One table per protocol digest: protocols as they ship first, then those with most runs, then by label.

    unrelated: PSNR by image with a reference that has nothing to do with it, by protocol digest, data set, method and
    weights (``robustness.unrelated``); what the references were worth is then a metric of its own, GAIN.
    """
    by_protocol: dict[tuple[str, ...], list[LoadedRun]] = {}
    for run in sorted(runs, key=lambda run: run.path):
        protocol = run.result.run.protocol
        # The headline metrics follow from the digest; they are in the key because a run file may claim otherwise.
        by_protocol.setdefault((protocol.digest, protocol.psnr, protocol.ssim), []).append(run)

    def place(members: list[LoadedRun]) -> tuple[bool, int, str, str]:
        protocol = members[0].result.run.protocol
        return (protocol.label != protocol.name, -len(members), protocol.label, protocol.digest)

    tables: list[Table] = []
    slugs: set[str] = set()
    for members in sorted(by_protocol.values(), key=place):
        table = _table(members, unrelated or {})
        free = next(s for n in count(1) if (s := f"{table.slug}.{n}" if n > 1 else table.slug) not in slugs)
        slugs.add(free)
        tables.append(dataclasses.replace(table, slug=free))
    return tuple(tables)


def _table(runs: Sequence[LoadedRun], unrelated: Mapping[tuple[str, str, str, str], Mapping[str, float]]) -> Table:
    protocol = runs[0].result.run.protocol
    names = dict.fromkeys((protocol.psnr, protocol.ssim))
    names |= dict.fromkeys(metric.name for run in runs for metric in run.result.run.metrics)
    metrics = tuple(_metric(runs, name) for name in names)
    columns = _columns([run.result.run.dataset for run in runs])
    keys = [dataset_key(column.dataset) for column in columns]
    scores = {run_key(run.result): {metric.name: _score(run.result, metric) for metric in metrics} for run in runs}
    gains = {run_key(run.result): score for run in runs if (score := _gain(run.result, unrelated))}
    if gains:
        metrics = (*(metric for metric in metrics if metric.name != GAIN.name), GAIN)
        for place, found in scores.items():
            found[GAIN.name] = gains.get(place, Score(None, MISSING))
    for key in keys:
        of_column = {place: found for place, found in scores.items() if place[1] == key}
        for metric in metrics:
            ranked = _ranked({place: found[metric.name] for place, found in of_column.items()}, metric.direction)
            for place, score in ranked.items():
                scores[place][metric.name] = score
    cells = {run_key(run.result): _cell(run, scores[run_key(run.result)]) for run in runs}
    groups = tuple(
        Group(
            name,
            tuple(
                Row(
                    method,
                    _weights(method, methods),
                    tuple(cells.get((protocol.digest, key, method.name, weights_key(method))) for key in keys),
                )
                for method in methods
            ),
        )
        for name, methods in _methods(runs)
    )
    return Table(
        protocol=protocol,
        psnr=metrics[0],
        ssim=next(metric for metric in metrics if metric.name == protocol.ssim),
        columns=columns,
        groups=groups,
        slug=f"{slug(protocol.label)}-{slug(protocol.digest)[:12]}",
        metrics=(*(metric for metric in metrics if metric.name != SECONDS.name), SECONDS),
    )


def _metric(runs: Sequence[LoadedRun], name: str) -> MetricInfo:
    """A metric's card with the most digits any run asks for, so that no column mixes precisions."""
    cards = [metric for run in runs for metric in run.result.run.metrics if metric.name == name]
    return structs.replace(cards[0], digits=max(card.digits for card in cards))


def _columns(datasets: Iterable[DatasetInfo]) -> tuple[Column, ...]:
    """Data sets in the order of the paper's Table 1, others by title; each before its unofficial namesakes."""
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
    return tuple(Column(dataset, noted.index(dataset) + 1 if dataset in noted else None) for dataset in ordered)


def _methods(runs: Iterable[LoadedRun]) -> list[tuple[str, list[MethodInfo]]]:
    """Groups with their methods by year, the two trainings of one method side by side, '-rec' second.

    A method measured at different times is described as the run started last describes it.
    """
    latest: dict[tuple[str, str], LoadedRun] = {}
    for run in sorted(runs, key=lambda run: (run.result.run.started, run.path)):
        method = run.result.run.method
        latest[method.name, weights_key(method)] = run
    by_group: dict[str, list[MethodInfo]] = {}
    for run in latest.values():
        by_group.setdefault(group_of(run.result.run.method), []).append(run.result.run.method)
    groups = []
    for name in sorted(by_group, key=lambda g: (GROUPS.index(g) if g in GROUPS else len(GROUPS), g)):
        methods = by_group[name]
        first: dict[str, int] = {}
        for method in methods:
            first[_family(method)] = min(method.year, first.get(_family(method), method.year))

        def place(method: MethodInfo, first: dict[str, int] = first) -> tuple:
            family = _family(method)
            rec = method.name.lower().endswith("rec") and family != method.name.lower()
            names = (method.title.lower(), method.name, method.weights.name, weights_key(method))
            return (first[family], family, rec, *names)

        groups.append((name, sorted(methods, key=place)))
    return groups


def group_of(method: MethodInfo) -> str:
    """The group a method stands in: its own, or OWN where the SR images were made by code outside the toolkit."""
    return OWN if _OUTSIDE.fullmatch(method.weights.name) else method.group


def _family(method: MethodInfo) -> str:
    return _VARIANT.sub("", method.name).lower()


def _weights(method: MethodInfo, methods: Iterable[MethodInfo]) -> str:
    weights = method.weights
    name = "no weights" if weights.kind == "none" else weights.name or "unnamed"
    namesakes = sum((other.name, other.weights.name) == (method.name, weights.name) for other in methods)
    return f"{name} ({(method.weights.sha256 or 'no digest')[:9]})" if namesakes > 1 else name


def _cell(run: LoadedRun, scores: Mapping[str, Score]) -> Cell:
    result = run.result
    measured = [image for image in result.images if image.error is None]
    taken = [image.cost["seconds"] for image in measured if "seconds" in image.cost]
    seconds = math.fsum(taken) / len(taken) if taken else None
    protocol = result.run.protocol
    return Cell(
        run=run,
        anchor=f"run-{digest(run_key(result))[:12]}",
        psnr=scores[protocol.psnr],
        ssim=scores[protocol.ssim],
        measured=len(measured),
        failed=len(result.failed),
        total=result.run.dataset.n_pairs,
        status=_status(result),
        seconds=seconds,
        scores={**scores, SECONDS.name: Score(seconds, number(seconds, SECONDS.digits))},
    )


def _score(result: Result, metric: MetricInfo) -> Score:
    """The mean of one metric; rank 0 where it may be ranked, and ``_ranked`` finds its place."""
    value = result.means.get(metric.name)
    covered = sum(metric.name in image.metrics for image in result.images if image.error is None)
    ranked = result.complete and result.run.method.ranked and value is not None
    # Shares without a unit (SSIM, LPIPS) are printed as papers do: .745
    text = number(value, metric.digits, leading_zero=metric.unit != "" or metric.digits < 3)
    return Score(value, text, 0 if ranked and covered == result.run.dataset.n_pairs else None)


def _status(result: Result) -> str:
    if result.failed:
        return "failed"
    if not result.complete:
        return "partial"
    return "complete" if result.run.method.ranked else "synthetic weights"


def _gain(result: Result, unrelated: Mapping[tuple[str, str, str, str], Mapping[str, float]]) -> Score | None:
    """Mean PSNR minus that with an unrelated reference, over the images that have both; None where none has."""
    run = result.run
    place = (run.protocol.digest, run.dataset.name, run.method.name, weights_key(run.method))
    without, name = unrelated.get(place, {}), run.protocol.psnr
    gains = [
        image.metrics[name] - without[image.id]
        for image in result.images
        if image.error is None and math.isfinite(image.metrics.get(name, math.inf) - without.get(image.id, math.inf))
    ]
    if not gains:
        return None
    value = math.fsum(gains) / len(gains)
    ranked = result.complete and run.method.ranked and len(gains) == run.dataset.n_pairs
    return Score(value, number(value, GAIN.digits), 0 if ranked else None)


def _ranked(scores: Mapping[tuple, Score], direction: str = "higher") -> dict[tuple, Score]:
    """Places among the scores that may be ranked (rank 0), best first: 1, 1, 3 when two print alike.

    A column with one contender has no ranking, so nothing is marked in it.
    """
    contenders = {key: score for key, score in scores.items() if score.rank is not None}
    sign = -1 if direction == "lower" else 1

    def printed(score: Score) -> float:
        return sign * (math.inf if score.text == "∞" else float(score.text))

    places = dict(scores)
    for key, score in contenders.items():
        rank = 1 + sum(printed(other) > printed(score) for other in contenders.values())
        mark = MARKS.get(rank, "") if len(contenders) > 1 else ""
        places[key] = dataclasses.replace(score, rank=rank, mark=mark)
    return places


def slug(text: str) -> str:
    """Text as part of a file name or an anchor: ``a-z 0-9 . _ -`` alone, at most 60 characters, never empty."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:60] or "x"


CSV_COLUMNS = (
    "protocol",
    "protocol_digest",
    "group",
    "method",
    "title",
    "year",
    "gan",
    "references",
    "parameters",
    "weights",
    "weights_sha256",
    "mark",
    "dataset",
    "dataset_manifest_sha256",
    "dataset_official",
    "images_measured",
    "images_total",
    "status",
    "seconds_per_image",
    "psnr_rank",
    "ssim_rank",
)


def to_csv(tables: Sequence[Table]) -> str:
    """Tables in long form, one line per run: CSV_COLUMNS, then the unrounded mean of every metric any run has."""
    names = sorted({name for table in tables for cell in table.cells for name in cell.run.result.means})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(plain_cell(name) for name in names)])
    for table in tables:
        for cell in table.cells:
            run, means = cell.run.result.run, cell.run.result.means
            method, dataset = run.method, run.dataset
            # fmt: off
            values = (
                run.protocol.label, run.protocol.digest, method.group, method.name, method.title, method.year,
                str(method.gan).lower(), method.references, method.parameters, method.weights.name,
                method.weights.sha256 or "", method.mark,
                dataset.name, dataset.manifest_sha256, str(dataset.official).lower(),
                cell.measured, cell.total, cell.status, "" if cell.seconds is None else cell.seconds,
                cell.psnr.rank or "", cell.ssim.rank or "",
            )
            # fmt: on
            writer.writerow([plain_cell(value) for value in values] + [means.get(name, "") for name in names])
    return text.getvalue()


def plain_cell(value: object) -> object:
    """Text that a spreadsheet does not take for a formula."""
    if not isinstance(value, str):
        return value
    value = clean(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value
