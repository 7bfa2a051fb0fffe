"""Defines a table: rows of methods, columns of data sets, and in each cell a score for every metric, ranked by column.

Tables of measured results (``tables.build_tables``) and of published ones (``published.as_published``) have one form,
which pages, exports and statistics read. Text is kept as it was read; the code that prints it cleans it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from leaderboard.reading.failures import shortfall
from leaderboard.reading.load import LoadedRun, run_key
from leaderboard.reading.published import Source
from leaderboard.tables.timing import Timing
from leaderboard.text import anchor
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MethodInfo, MetricInfo, ProtocolInfo

OWN = "Own"
GROUPS = ("SISR", "Ref-SR", OWN)
COLUMNS = ("cufed5", "sun80", "urban100", "manga109", "wrsr")  # the order of C²-Matching's Table 1


@dataclass(frozen=True)
class Score:
    """One metric of one cell.

    value: unrounded; None without one. rank: 1 is best; None when unranked. note: a mark beside the number, which a
    line under the table explains.
    """

    value: float | None
    text: str
    rank: int | None = None
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Beside:
    """The published number beside a result.

    texts, gaps: by metric of the table, as printed; "" if there is none. values: the same numbers. source: its position
    in ``Table.sources``, from 1. caveat: the weights and the number of images that the result was measured with, if it
    has weights and lacks images.
    """

    source: int
    texts: tuple[str, ...]
    gaps: tuple[str, ...]
    values: tuple[float | None, ...]
    caveat: str


@dataclass(frozen=True)
class Cell:
    """One method on one data set. scores: by name, for each of the table's metrics in their order.

    status: "complete", "partial", "failed", "synthetic weights" or "published". run: None for published numbers; fields
    that follow from it are for measured results alone. timing: None if unknown.
    """

    scores: Mapping[str, Score]
    status: str = "published"
    run: LoadedRun | None = None
    timing: Timing | None = None
    beside: Beside | None = None

    @property
    def seconds(self) -> float | None:
        """The mean time of a measured image; None if unknown."""
        return self.timing.seconds if self.timing else None

    @cached_property
    def anchor(self) -> str:
        """An anchor that is the same for the same method, weights, data set and protocol in every build."""
        return f"run-{digest(run_key(self.run.result))[:12]}"

    @property
    def href(self) -> str:
        """The address of the evidence, relative to the page of the table; "" for published numbers."""
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
        """The reason why the result is not ranked; "" when it is ranked or published."""
        if self.run is None or self.status == "complete":
            return ""
        return self.covered if self.measured != self.total else self.status

    @property
    def why(self) -> str:
        """The shortfall of the run, with the first reasons; "" if every image was measured."""
        return shortfall(self.run.result) if self.run else ""

    @property
    def about(self) -> str:
        """The text of the tooltip."""
        return (self.why or self.covered) + (f" · {self.timing.about}" if self.timing else "")

    @property
    def psnr(self) -> Score:
        return self.scores[self.run.result.run.protocol.psnr]

    @property
    def ssim(self) -> Score:
        return self.scores[self.run.result.run.protocol.ssim]


@dataclass(frozen=True)
class Column:
    """One data set.

    key: its name in exports and addresses. note: the number of its footnote if it is not official, or not the only
    official one. dataset: None for published numbers.
    """

    key: str
    title: str
    official: bool = True
    note: int | None = None
    dataset: DatasetInfo | None = None

    @property
    def label(self) -> str:
        """The title and what distinguishes it from columns of the same title."""
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
    """One method with one set of weights; ``cells`` follow the table's columns, None if there is no result.

    line: the small print below its title. weights: their name, with the start of the digest if other weights of that
    method have the same name; "" if nothing is known about them. references: "none", "one", "many" or "unknown". mark:
    what readers must know about the implementation. verified: whether it was checked against its authors' (or the
    number was read in the source itself). parameters: a count. gmacs: 10^9 multiply-accumulates. method: None for
    published ones.
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
        """The method's page, relative to the page of the table; "" for published ones."""
        return method_path(self.method) if self.method else ""


class Group(NamedTuple):
    """Rows of one kind. name: "SISR", "Ref-SR", "Own" (made by code outside the toolkit) or one of the run files'."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """Results that may be compared. key: safe as a file name and an anchor, unique in one build.

    kind: "measured" (everything measured under one protocol) or "published" (one source's table as published, ranked
    only within itself). title: its name in lists. about: how its numbers were made, in a sentence or two. metrics: all
    that can be shown. shown: positions of those that are shown at first. rows: group by group. sources: of its
    published numbers. remarks: footnotes of single numbers. times: the
    machines behind its times, in words; "" without times. unmeasured: a sentence for each metric
    whose weights were missing.
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
    times: str = ""
    unmeasured: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The protocol's digest; "" for published numbers."""
        return self.protocol.digest if self.protocol else ""

    @property
    def psnr(self) -> MetricInfo:
        return next(metric for metric in self.metrics if metric.name == self.protocol.psnr)

    @property
    def ssim(self) -> MetricInfo:
        return next(metric for metric in self.metrics if metric.name == self.protocol.ssim)

    @property
    def shown_names(self) -> tuple[str, ...]:
        """The names of the metrics that are shown at first."""
        return tuple(self.metrics[place].name for place in self.shown)

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
    def lacking(self) -> tuple[tuple[str, str, str], ...]:
        """The title, data set and shortfall of every result that does not cover its data set."""
        return tuple(
            (row.title, column.label, cell.why)
            for row in self.rows for column, cell in zip(self.columns, row.cells, strict=True) if cell and cell.why
        )  # fmt: skip

    @property
    def csv_name(self) -> str:
        """The file of its long CSV, beside the page."""
        return f"leaderboard-{self.key}.csv"


def method_path(method: MethodInfo) -> str:
    """Return the address of a method's page, from the site's root; all of its weights share it."""
    return f"methods/{anchor(method.name)}-{digest(method.name)[:8]}.html"
