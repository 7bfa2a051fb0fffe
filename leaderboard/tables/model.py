"""A table: rows of methods, columns of data sets, and in each cell a score for every metric, ranked by column.

Tables of measured results (``tables.build_tables``) and of published ones (``published.as_published``) have one form,
which pages, exports and statistics read. Text is kept as it was read: what prints it cleans it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from leaderboard.reading.load import LoadedRun, run_key
from leaderboard.reading.published import Source
from leaderboard.text import anchor
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MethodInfo, MetricInfo, ProtocolInfo

OWN = "Own"
GROUPS = ("SISR", "Ref-SR", OWN)
COLUMNS = ("cufed5", "sun80", "urban100", "manga109", "wrsr")  # the order of C²-Matching's Table 1


@dataclass(frozen=True)
class Score:
    """One metric of one cell. value: unrounded, None without one; rank: 1 is best, None when unranked."""

    value: float | None
    text: str
    rank: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class Beside:
    """The published number beside a result. texts, gaps: by metric of the table, as printed, "" where there is none;
    values: the same numbers. source: its place in ``Table.sources``, from 1. caveat: with which weights and on how many
    images the result was measured, where it had weights and lacks images."""

    source: int
    texts: tuple[str, ...]
    gaps: tuple[str, ...]
    values: tuple[float | None, ...]
    caveat: str


@dataclass(frozen=True)
class Cell:
    """One method on one data set. scores: by name, for each of the table's metrics in their order.

    status: "complete", "partial", "failed", "synthetic weights" or "published". run: None for published numbers, and
    all that follows from it is for measured ones alone. seconds: mean per measured image, None where unknown.
    """

    scores: Mapping[str, Score]
    status: str = "published"
    run: LoadedRun | None = None
    seconds: float | None = None
    beside: Beside | None = None

    @cached_property
    def anchor(self) -> str:
        """The same for the same method, weights, data set and protocol in every build."""
        return f"run-{digest(run_key(self.run.result))[:12]}"

    @property
    def href(self) -> str:
        """The address of the evidence, from the page of the table; "" for published numbers."""
        return f"{method_path(self.run.result.run.method)}#{self.anchor}" if self.run else ""

    @cached_property
    def measured(self) -> int:
        return len(self.run.result.measured)

    @property
    def failed(self) -> int:
        return len(self.run.result.failed)

    @property
    def total(self) -> int:
        return self.run.result.run.dataset.n_pairs

    @property
    def covered(self) -> str:
        """The share of images that were measured: "1 of 3 images"."""
        return f"{self.measured} of {self.total} image{'s' if self.total != 1 else ''}"

    @property
    def remark(self) -> str:
        """The reason why it is not ranked; "" when it is ranked or published."""
        if self.run is None or self.status == "complete":
            return ""
        return self.covered if self.measured != self.total else self.status

    @property
    def about(self) -> str:
        """The text that a pointer brings up."""
        return self.covered + ("" if self.seconds is None else f" · {self.seconds:.3g} s per image")

    @property
    def psnr(self) -> Score:
        return self.scores[self.run.result.run.protocol.psnr]

    @property
    def ssim(self) -> Score:
        return self.scores[self.run.result.run.protocol.ssim]


@dataclass(frozen=True)
class Column:
    """One data set. key: its name in exports and addresses; note: the number of its footnote where it is not official,
    or not the only official one; dataset: None for published numbers."""

    key: str
    title: str
    official: bool = True
    note: int | None = None
    dataset: DatasetInfo | None = None

    @property
    def label(self) -> str:
        """The title and what tells it from its namesakes."""
        return f"{self.title} [{self.note}]" if self.note else self.title

    @property
    def about(self) -> str:
        """The footnote."""
        edition = "one of several editions of this set" if self.official else "not the official data set"
        pairs = f"{self.dataset.n_pairs} pair{'s' if self.dataset.n_pairs != 1 else ''}"
        notes = "".join(f" {note}" for note in self.dataset.notes)
        return f"{self.title}: {edition}; {pairs}, manifest {self.dataset.manifest_sha256[:12]}.{notes}"


@dataclass(frozen=True)
class Row:
    """One method with one set of weights; ``cells`` follow the table's columns, None where there is no result.

    line: the small print below its title; weights: their name, with the start of the digest where other weights of that
    method go by the same name, "" where nothing is known of them; references: "none", "one", "many" or "unknown";
    mark: what readers must know of the implementation; verified: it was checked against its authors' (or the number
    read in the source itself). parameters: a count; gmacs: 10^9 multiply-accumulates. method: None for published ones.
    """

    title: str
    group: str
    cells: tuple[Cell | None, ...]
    gan: bool | None = None
    year: int | None = None
    references: str = "unknown"
    verified: bool = True
    weights: str = ""
    mark: str = ""
    line: str = ""
    parameters: float | None = None
    gmacs: float | None = None
    method: MethodInfo | None = None

    @property
    def weights_sha256(self) -> str:
        return (self.method.weights.sha256 if self.method else None) or ""

    @property
    def href(self) -> str:
        """The method's page, from the page of the table; "" for published ones."""
        return method_path(self.method) if self.method else ""


class Group(NamedTuple):
    """Rows of one kind. name: "SISR", "Ref-SR", "Own" (made by code outside the toolkit) or one of the run files'."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Results that may be compared. key: safe as a file name and an anchor, unique in one build.

    kind: "measured" (everything measured under one protocol) or "published" (one source's table as it stands there,
    ranked in itself alone); title: its name in lists; about: in a sentence or two how its numbers were made. metrics:
    all that can be shown; shown: places of those that are at first. rows: group by group. sources: where its published
    numbers stand; remarks: footnotes of single numbers.
    """

    key: str
    kind: str
    title: str
    about: str
    columns: tuple[Column, ...]
    metrics: tuple[MetricInfo, ...]
    shown: tuple[int, ...]
    rows: tuple[Row, ...]
    protocol: ProtocolInfo | None = None
    sources: tuple[Source, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """The protocol's, "" for published numbers."""
        return self.protocol.digest if self.protocol else ""

    @property
    def psnr(self) -> MetricInfo:
        return next(metric for metric in self.metrics if metric.name == self.protocol.psnr)

    @property
    def ssim(self) -> MetricInfo:
        return next(metric for metric in self.metrics if metric.name == self.protocol.ssim)

    @property
    def groups(self) -> tuple[Group, ...]:
        """Rows by group, in order."""
        names = dict.fromkeys(row.group for row in self.rows)
        return tuple(Group(name, tuple(row for row in self.rows if row.group == name)) for name in names)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every result, row by row."""
        return tuple(cell for row in self.rows for cell in row.cells if cell)

    @property
    def csv_name(self) -> str:
        """The file of its long CSV, beside the page."""
        return f"leaderboard-{self.key}.csv"


def method_path(method: MethodInfo) -> str:
    """The page of a method, from the site's root; one for all of its weights."""
    return f"methods/{anchor(method.name)}-{digest(method.name)[:8]}.html"
