"""Describes a site for other programs: ``index.json`` lists its runs, protocols, tables, pages and pictures.

``SiteIndex`` is the format, and ``SCHEMA`` its published JSON Schema. Paths are relative to the site's root. Values are
unrounded, with the text that pages print. Numbers of papers are not in it: they are the package's, not the site's.

    python -m leaderboard.exports.site_index     writes index.schema.json anew, after a change of a struct
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from leaderboard.pages.gallery import Gallery, ImagePage, Scene
from leaderboard.pages.pages import Entry
from leaderboard.reading.pictures import Picture as Stored
from leaderboard.tables import model
from leaderboard.text import cleaned
from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Count, Format, Infinite, Real, Sha256, Text, digest

NAME = "index.json"
VERSION = 1
MOST_BYTES = 1 << 28
SCHEMA = Path(__file__).with_name("index.schema.json")

Place = Annotated[Text, Meta(description="From the site's root.")]


class Page(Format):
    """A page. title: of a method, an image or the navigation."""

    kind: Literal["table", "statistics", "figures", "images", "study", "method", "image"]
    title: Text
    path: Place


class Protocol(Format):
    """A protocol. sentence: in the words of a person. fields: every choice, by name."""

    label: Text
    name: Text
    version: Count
    digest: Text
    sentence: Text
    fields: dict[str, Any]


class Run(Format):
    """A run. key: the same in every build for the same method, weights, data set and protocol.

    dataset: its name. protocol: the label. status: "complete", "partial", "failed" or "synthetic weights". identity:
    the digest of what its numbers depend on. evidence: where its page speaks of it.
    """

    key: Text
    method: Text
    title: Text
    group: Text
    weights: Text
    weights_sha256: Sha256 | None
    dataset: Text
    manifest_sha256: Sha256
    protocol: Text
    protocol_digest: Text
    status: Text
    measured: Count
    pairs: Count
    started: Text
    identity: Sha256
    evidence: Place


class Metric(Format):
    """A metric. direction: whether higher or lower is better. digits: decimals when printed."""

    name: Text
    title: Text
    direction: Literal["higher", "lower"]
    unit: Text
    digits: Count


class Column(Format):
    """A data set of a table. key: unique in the table. official: whether it is the published set."""

    key: Text
    title: Text
    dataset: Text
    manifest_sha256: Sha256
    official: bool
    pairs: Count


class Value(Format):
    """The mean of a metric. text: as printed. rank: 1 is best; null when the result is not ranked."""

    metric: Text
    value: Real | Infinite | None
    text: Text
    rank: Count | None


class Result(Format):
    """A cell of a table. column, run: keys."""

    column: Text
    run: Text
    values: tuple[Value, ...]


class Row(Format):
    """A method with its weights."""

    method: Text
    title: Text
    group: Text
    weights: Text
    results: tuple[Result, ...]


class Table(Format):
    """The results under one protocol. path: where they are shown. csv: the same as CSV."""

    key: Text
    title: Text
    protocol_digest: Text
    path: Place
    csv: Place
    metrics: tuple[Metric, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


class Picture(Format):
    """A picture that a page shows. run: the key of the run whose SR it is, "" for HR, LR and references.

    image: the pair's id. name: the reference's. sha256: of the file of the run. width, height: of the picture that the
    run saved; a site of thumbnails has a smaller one at ``path``.
    """

    role: Literal["hr", "lr", "ref", "sr"]
    dataset: Text
    manifest_sha256: Sha256
    image: Text
    protocol_digest: Text
    run: Text
    name: Text
    path: Place
    page: Place
    width: Count
    height: Count
    sha256: Sha256


class SiteIndex(Format):
    """``index.json``. schema_version: any change of the fields raises it."""

    title: Text
    runs: tuple[Run, ...]
    protocols: tuple[Protocol, ...]
    tables: tuple[Table, ...]
    pages: tuple[Page, ...]
    pictures: tuple[Picture, ...]
    generator: Literal["refsr-bench leaderboard"] = "refsr-bench leaderboard"
    kind: Literal["site"] = "site"
    schema_version: Literal[VERSION] = VERSION


def schema() -> dict[str, Any]:
    """Return the JSON Schema of ``index.json``."""
    return reader.json_schema(SiteIndex, f"urn:refsr-bench:site:{VERSION}", "refsr-bench index of a site")


def read(path: Path) -> SiteIndex:
    """Read the ``index.json`` of a site.

    Raises BenchError naming the file for anything else, and for a version that this one does not know.
    """
    value = reader.parse_json(files.read_text(path, MOST_BYTES), str(path))
    if not isinstance(value, dict) or value.get("kind") != "site":
        raise BenchError(f"{path}: not the index of a site, which is called {NAME}.")
    version = value.get("schema_version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        mend = "Update refsr-bench to read it" if newer else f"Build the site again for version {VERSION}"
        raise BenchError(f"{path}: schema_version {str(version)[:40]}; this refsr-bench reads {VERSION}. {mend}.")
    return reader.convert(value, SiteIndex, str(path))


def text(title: str, tables: Iterable[model.Table], gallery: Gallery, entries: Iterable[Entry]) -> str:
    """Return ``index.json`` of a site. entries: its navigation."""
    tables = tuple(tables)
    found = SiteIndex(
        title,
        tuple(_run(cell) for table in tables for cell in table.cells),
        tuple(_protocol(table) for table in tables),
        tuple(map(_table, tables)),
        (*(Page(entry.key, entry.label, entry.path) for entry in entries), *_pages(tables, gallery)),
        tuple(picture for image in gallery.images for picture in _pictures(image)),
    )
    return reader.dumps(cleaned(reader.to_json(found)))


def _run(cell: model.Cell) -> Run:
    run = cell.run.result.run
    method = run.method
    return Run(
        cell.anchor, method.name, method.title, method.group, method.weights.name, method.weights.sha256,
        run.dataset.name, run.dataset.manifest_sha256, run.protocol.label, run.protocol.digest, cell.status,
        cell.measured, cell.total, run.started, digest(run.identity()), cell.href,
    )  # fmt: skip


def _protocol(table: model.Table) -> Protocol:
    protocol = table.protocol
    return Protocol(
        protocol.label, protocol.name, protocol.version, protocol.digest, table.about, dict(protocol.fields)
    )


def _table(table: model.Table) -> Table:
    columns = tuple(
        Column(each.key, each.title, each.dataset.name, each.dataset.manifest_sha256, each.official,
               each.dataset.n_pairs)
        for each in table.columns
    )  # fmt: skip
    metrics = tuple(Metric(each.name, each.title, each.direction, each.unit, each.digits) for each in table.metrics)
    rows = tuple(
        Row(row.method.name, row.title, row.group, row.weights, tuple(
            Result(column.key, cell.anchor, tuple(_value(name, score) for name, score in cell.scores.items()))
            for column, cell in zip(table.columns, row.cells, strict=True) if cell
        ))
        for row in table.rows
    )  # fmt: skip
    place = f"index.html#{table.key}"
    return Table(table.key, table.title, table.digest, place, table.csv_name, metrics, columns, rows)


def _value(name: str, score: model.Score) -> Value:
    value = "inf" if score.value is not None and math.isinf(score.value) else score.value
    return Value(name, value, score.text, score.rank)


def _pages(tables: Iterable[model.Table], gallery: Gallery) -> Iterator[Page]:
    methods = {row.href: row.method for table in tables for row in table.rows}
    yield from (Page("method", method.title, path) for path, method in methods.items())
    yield from (Page("image", image.id, image.path) for image in gallery.images)


def _pictures(image: ImagePage) -> Iterator[Picture]:
    for scene in image.scenes:
        for role, run, name, stored in _stored(scene):
            yield Picture(
                role, image.dataset.name, image.dataset.manifest_sha256, image.id, scene.table.digest, run, name,
                stored.file, image.path, stored.width, stored.height, stored.digest,
            )  # fmt: skip


def _stored(scene: Scene) -> Iterator[tuple[str, str, str, Stored]]:
    """Return (role, key of the run, name, picture) of everything that a scene shows."""
    yield from (("hr", "", "", picture) for picture in [scene.hr] if picture)
    yield from (("lr", "", "", picture) for picture in [scene.lr] if picture)
    yield from (("ref", "", name, picture) for name, picture in scene.refs)
    yield from (("sr", shot.cell.anchor, "", shot.picture) for shot in scene.shots)


if __name__ == "__main__":
    files.write_text(SCHEMA, reader.dumps(schema()))
