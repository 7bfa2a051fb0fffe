"""From runs to tables in the form of the field's Table 1: pure functions, no files, no HTML.

What may be compared with what is decided here:

* one table, hence one ranking, per protocol digest;
* one column per data set *and* manifest digest, so that other images never stand under the published set's name;
* one row per method and weights;
* a result takes part in the ranking of a metric when its run is complete, its weights mean something and every image
  has that metric;
* numbers that print alike rank alike: two firsts leave no second.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from leaderboard.load import LoadedRun, dataset_key, run_key, weights_key
from refsr_bench.results import DatasetInfo, MethodInfo, MetricInfo, ProtocolInfo, Result, digest

MISSING = "-"
GROUPS = ("SISR", "Ref-SR")
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

    anchor: the same for the same method, weights, data set and protocol in every build.
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
    """Rows of one kind. name: "SISR", "Ref-SR" or one of the run files' own."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Everything measured under one protocol. slug: safe as a file name and an anchor, unique in one build."""

    protocol: ProtocolInfo
    psnr: MetricInfo
    ssim: MetricInfo
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    slug: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every run of the table, row by row."""
        return tuple(cell for group in self.groups for row in group.rows for cell in row.cells if cell)


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


def build_tables(runs: Iterable[LoadedRun]) -> tuple[Table, ...]:
    """One table per protocol digest: protocols as they ship first, then those with most runs, then by label."""
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
        table = _table(members)
        free = next(s for n in count(1) if (s := f"{table.slug}.{n}" if n > 1 else table.slug) not in slugs)
        slugs.add(free)
        tables.append(dataclasses.replace(table, slug=free))
    return tuple(tables)


def _table(runs: Sequence[LoadedRun]) -> Table:
    protocol = runs[0].result.run.protocol
    psnr, ssim = (_metric(runs, name) for name in (protocol.psnr, protocol.ssim))
    columns = _columns([run.result.run.dataset for run in runs])
    keys = [dataset_key(column.dataset) for column in columns]
    cells = {run_key(run.result): _cell(run, psnr, ssim) for run in runs}
    for key in keys:
        of_column = {place: cell for place, cell in cells.items() if place[1] == key}
        for field in ("psnr", "ssim"):
            for place, score in _ranked({k: getattr(c, field) for k, c in of_column.items()}).items():
                cells[place] = dataclasses.replace(cells[place], **{field: score})
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
    return Table(protocol, psnr, ssim, columns, groups, f"{slug(protocol.label)}-{slug(protocol.digest)[:12]}")


def _metric(runs: Sequence[LoadedRun], name: str) -> MetricInfo:
    """A metric's card with the most digits any run asks for, so that no column mixes precisions."""
    cards = [metric for run in runs for metric in run.result.run.metrics if metric.name == name]
    return dataclasses.replace(cards[0], digits=max(card.digits for card in cards))


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
        by_group.setdefault(run.result.run.method.group, []).append(run.result.run.method)
    groups = []
    for name in sorted(by_group, key=lambda g: (GROUPS.index(g) if g in GROUPS else len(GROUPS), g)):
        methods = by_group[name]
        first: dict[str, int] = {}
        for method in methods:
            first[_family(method)] = min(method.year, first.get(_family(method), method.year))

        def place(method: MethodInfo, first: dict[str, int] = first) -> tuple:
            family = _family(method)
            rec = method.name.lower().endswith("rec") and family != method.name.lower()
            return (first[family], family, rec, method.title.lower(), method.name, method.weights, weights_key(method))

        groups.append((name, sorted(methods, key=place)))
    return groups


def _family(method: MethodInfo) -> str:
    return _VARIANT.sub("", method.name).lower()


def _weights(method: MethodInfo, methods: Iterable[MethodInfo]) -> str:
    name = "no weights" if method.weights in ("", "none") and not method.weights_sha256 else method.weights or "unnamed"
    namesakes = sum((other.name, other.weights) == (method.name, method.weights) for other in methods)
    return f"{name} ({(method.weights_sha256 or 'no digest')[:9]})" if namesakes > 1 else name


def _cell(run: LoadedRun, psnr: MetricInfo, ssim: MetricInfo) -> Cell:
    result = run.result
    measured = [image for image in result.images if image.error is None]
    seconds = [image.cost["seconds"] for image in measured if "seconds" in image.cost]
    total = result.run.dataset.n_pairs

    def score(metric: MetricInfo, leading_zero: bool) -> Score:
        value = result.means.get(metric.name)
        covered = sum(metric.name in image.metrics for image in measured)
        text = number(value, metric.digits, leading_zero)
        # rank 0: may be ranked; _ranked() sets the place.
        ranked = result.complete and result.run.method.ranked and value is not None and covered == total
        return Score(value, text, 0 if ranked else None)

    return Cell(
        run=run,
        anchor=f"run-{digest(run_key(result))[:12]}",
        psnr=score(psnr, True),
        ssim=score(ssim, False),
        measured=len(measured),
        failed=len(result.failed),
        total=total,
        status=_status(result),
        seconds=math.fsum(seconds) / len(seconds) if seconds else None,
    )


def _status(result: Result) -> str:
    if result.failed:
        return "failed"
    if not result.complete:
        return "partial"
    return "complete" if result.run.method.ranked else "synthetic weights"


def _ranked(scores: dict[tuple, Score]) -> dict[tuple, Score]:
    """Places among the scores that may be ranked (rank 0), higher being better: 1, 1, 3 when two print alike.

    A column with one contender has no ranking, so nothing is marked in it.
    """
    contenders = {key: score for key, score in scores.items() if score.rank is not None}

    def printed(score: Score) -> float:
        return math.inf if score.text == "∞" else float(score.text)

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
    writer.writerow([*CSV_COLUMNS, *(_plain(name) for name in names)])
    for table in tables:
        for cell in table.cells:
            run, means = cell.run.result.run, cell.run.result.means
            method, dataset = run.method, run.dataset
            # fmt: off
            values = (
                run.protocol.label, run.protocol.digest, method.group, method.name, method.title, method.year,
                str(method.gan).lower(), method.references, method.parameters, method.weights,
                method.weights_sha256 or "", method.mark,
                dataset.name, dataset.manifest_sha256, str(dataset.official).lower(),
                cell.measured, cell.total, cell.status, "" if cell.seconds is None else cell.seconds,
                cell.psnr.rank or "", cell.ssim.rank or "",
            )
            # fmt: on
            writer.writerow([_plain(value) for value in values] + [means.get(name, "") for name in names])
    return text.getvalue()


def _plain(value: object) -> object:
    """Text that a spreadsheet does not take for a formula."""
    if not isinstance(value, str):
        return value
    value = clean(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value
