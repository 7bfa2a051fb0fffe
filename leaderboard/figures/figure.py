"""Holds everything of a figure except its drawing: title, caption, alternative text, data as table and CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from leaderboard.figures import style
from leaderboard.statistics.estimates import Estimate
from leaderboard.text import MISSING, anchor, csv_text, number
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MethodInfo, ProtocolInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column of a figure's table.

    key: of its records. digits: decimals of a number; None for text. most: characters shown of a digest.
    """

    key: str
    title: str
    digits: int | None = None
    signed: bool = False
    most: int | None = None


@dataclass(frozen=True)
class DataTable:
    """A figure's data in print. numeric: by column. rows: in the order of head."""

    head: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """One figure. kind: the section it stands in. name: safe as a file name and an anchor, the same for the same runs.

    alt: the figure in a sentence or two. csv: every number unrounded. draw(narrow): returns a matplotlib figure; call
    it within ``style.look``.
    """

    kind: str
    name: str
    title: str
    caption: str
    alt: str
    table: DataTable
    csv: str
    draw: Callable[[bool], Drawing] = field(compare=False, repr=False)

    @cached_property
    def svg(self) -> str:
        """Return the drawing for the site: wide, and dark if the page is."""
        return style.svg(self.draw, False, self.title, self.alt)

    @cached_property
    def narrow(self) -> str:
        """Return the drawing for a phone."""
        return style.svg(self.draw, True, self.title, self.alt)

    def file(self, kind: str, narrow: bool = False) -> bytes:
        """Return the figure as a file for a paper. kind: "svg", "png" or "pdf", always on white."""
        if kind == "svg":
            return style.svg(self.draw, narrow, self.title, self.alt, themed=False).encode()
        return style.image(self.draw, narrow, kind)


def name_of(kind: str, words: str, *identity: Any) -> str:
    """Return a figure's name: readable, and with a digest that distinguishes it from every other."""
    return f"{kind}-{anchor(words)[:40].strip('-.')}-{digest(identity)[:8]}"


def table_of(records: Sequence[Record], columns: Sequence[Column]) -> DataTable:
    """Return the records in print; columns in which no record has a value are left out."""
    shown = [column for column in columns if any(record.get(column.key) not in (None, "") for record in records)]
    return DataTable(
        tuple(column.title for column in shown),
        tuple(column.digits is not None for column in shown),
        tuple(tuple(_printed(record.get(column.key), column) for column in shown) for record in records),
    )


def _printed(value: Any, column: Column) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, Estimate):
        mean = _number(value.mean, column)
        return (
            mean if math.isnan(value.low) else f"{mean} [{_number(value.low, column)}, {_number(value.high, column)}]"
        )
    return _number(value, column) if column.digits is not None else str(value)[: column.most]


def _number(value: float, column: Column) -> str:
    text = number(value, column.digits or 0)
    return text.replace("-", "−") if value < 0 else f"+{text}" if column.signed else text


def csv_of(records: Sequence[Record]) -> str:
    """Return the records unrounded, an estimate as three columns (name, name_low, name_high), with formulas defused."""
    keys = list(dict.fromkeys(key for record in records for key in record))
    spread = {key for key in keys if any(isinstance(record.get(key), Estimate) for record in records)}
    head = [name for key in keys for name in ((key, f"{key}_low", f"{key}_high") if key in spread else (key,))]
    lines = []
    for record in records:
        values = [(record.get(key), key in spread) for key in keys]
        lines.append([
            cell for value, wide in values
            for cell in ((value,) if not wide else (value.mean, value.low, value.high) if value else (None,) * 3)
        ])  # fmt: skip
    return csv_text(head, lines)


def method_facts(method: MethodInfo) -> dict[str, Any]:
    """Return the facts that a record has about its method."""
    return {"method": method.name, "title": method.title, "weights": method.weights.name,
            "weights_sha256": method.weights.sha256 or ""}  # fmt: skip


def dataset_words(dataset: DatasetInfo) -> str:
    """Return words such as "CUFED5 (126 pairs, manifest 1234abcd)", as captions name a data set."""
    pairs = f"{dataset.n_pairs} pair{'s' * (dataset.n_pairs != 1)}"
    return f"{dataset.title} ({pairs}, manifest {dataset.manifest_sha256[:8]})"


def protocol_words(protocol: ProtocolInfo) -> str:
    """Return words such as "protocol c2 (digest 1234abcd)"."""
    return f"protocol {protocol.label} (digest {protocol.digest[:8]})"


def titles_of(methods: Sequence[MethodInfo]) -> list[str]:
    """Return titles that distinguish methods with their weights: the weights stand beside titles that several share."""
    plain = [method.title for method in methods]
    named = [f"{m.title}, {m.weights.name}" if plain.count(m.title) > 1 else m.title for m in methods]
    return [
        f"{name} {(method.weights.sha256 or '')[:6]}".rstrip() if named.count(name) > 1 else name
        for name, method in zip(named, methods, strict=True)
    ]
