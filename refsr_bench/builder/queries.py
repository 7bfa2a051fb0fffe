"""Queries are the input images. They come from folders or from the web, filtered and without duplicates."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from refsr_bench.builder import tables
from refsr_bench.builder.engine import Progress, silent
from refsr_bench.builder.facts import MOST_BYTES, Facts, examine
from refsr_bench.builder.fetching.fetch import Client
from refsr_bench.builder.pool.web import policy_of
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import CATEGORIES, DROPPED, KEPT, Query, StatedQuery, fault
from refsr_bench.builder.settings import Settings
from refsr_bench.builder.similarity import copies, index, matching
from refsr_bench.builder.stated import SILENT, Statements, said
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.images import read_image

DUPLICATE = 8  # bits of the 64 of pHash; different photos of one facade came as near as 10


@dataclass(frozen=True)
class Wanted:
    """Which images become queries.

    categories: only these are kept; empty keeps any. limit: the number of kept queries in all; 0 keeps any number.
    Raises Misuse for an unknown category.
    """

    categories: Sequence[str] = ()
    limit: int = 0

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.categories) - set(CATEGORIES)):
            raise Misuse(f"category {unknown[0]}: choose from {', '.join(CATEGORIES)}.")


ANY = Wanted()


class _Address(StatedQuery, kw_only=True):
    url: str


@dataclass(frozen=True)
class _Item:
    """One image to look at. origin: what identifies it on the next run. load: returns its bytes and suffix."""

    origin: str
    stated: Mapping[str, str]
    load: Callable[[], tuple[bytes, str]]


def add_folders(
    project: Project,
    folders: Sequence[Path],
    stated: Statements = SILENT,
    wanted: Wanted = ANY,
    progress: Progress = silent,
) -> Counter[str]:
    """Add every image below the folders as a query; return the number of rows added by state or fault.

    Images that were looked at before are skipped.
    """
    paths = [Path(path) for path, _, _ in index.list_images(folders)]
    if not paths:
        raise Misuse(f"{', '.join(map(str, folders))}: no images.")
    bases = [Path(folder).resolve() for folder in folders]

    def items() -> Iterator[_Item]:
        for path in paths:
            base = next(base for base in bases if path.is_relative_to(base))
            origin = (Path(base.name) / path.relative_to(base)).as_posix()
            yield _Item(origin, stated.of(path), lambda path=path: (files.read_bytes(path, MOST_BYTES), path.suffix))

    return _add(project, items(), len(paths), wanted, progress)


def add_urls(
    project: Project,
    listed: Path,
    common: Mapping[str, str] | None = None,
    wanted: Wanted = ANY,
    progress: Progress = silent,
) -> Counter[str]:
    """Add images from the web.

    listed: one address per line, or a CSV file with a column ``url`` and any field of ``StatedQuery``. common: fields
    that all of them share.
    """
    rows = _addresses(listed)
    client = Client(policy_of(project))
    _ = client.policy.user_agent  # raises now if there is no contact, before anything is fetched

    def load(url: str) -> tuple[bytes, str]:
        fetched = client.image(url)
        return fetched.bytes, fetched.suffix

    items = (
        _Item(row.url, {"source_url": row.url, **(common or {}), **said(row)}, lambda url=row.url: load(url))
        for row in rows
    )
    return _add(project, items, len(rows), wanted, progress)


def _addresses(path: Path) -> list[_Address]:
    try:
        text = files.read_bytes(path).decode("utf-8-sig")
    except (BenchError, UnicodeDecodeError) as error:
        raise Misuse(f"{path}: cannot be read as text ({error}).") from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise Misuse(f"{path}: lists no addresses.")
    if lines[0].lower().startswith(("http://", "https://")):
        return [_Address(url=line) for line in lines]
    try:
        return tables.given(path, _Address)
    except Misuse as error:
        raise Misuse(f"{error} Expected addresses, one per line, or CSV with a column url.") from None


def _add(project: Project, items: Iterable[_Item], count: int, wanted: Wanted, progress: Progress) -> Counter[str]:
    """Look at the items in order until there are enough; every row is on the disk before the next item."""
    with project.lock("queries"):
        table = _Table(project, wanted)
        for done, item in enumerate(items, 1):
            progress(done, count)
            if wanted.limit and len(table.kept) >= wanted.limit:
                break
            table.take(item)
    return table.tally


class _Table:
    """The existing queries, and how the next one compares with them. kept: their hashes, by query."""

    def __init__(self, project: Project, wanted: Wanted) -> None:
        rows = project.queries
        self.project, self.wanted, self.tally = project, wanted, Counter[str]()
        self.kept = {row.id: _hashed(read_image(project.file(row.file))) for row in rows if row.state == KEPT}
        self._seen = {(row.source_url, row.sha256) for row in rows}
        # counts only our own numbers, because a person may have written any id
        self._number = max((int(row.id) for row in rows if re.fullmatch("[0-9]{1,9}", row.id)), default=0)

    def take(self, item: _Item) -> None:
        """Look at one item and give it a row, unless it is not wanted or was looked at before."""
        row, found = _looked_at(self.project, item)
        seen = (row.source_url, row.sha256) in self._seen  # an image that is unreadable again has no digest again
        if seen or (self.wanted.categories and row.category not in self.wanted.categories):
            if found is not None:
                found.path.unlink(missing_ok=True)
            return
        self._seen.add((row.source_url, row.sha256))
        self._number += 1
        row = replace(row, id=f"{self._number:03d}")
        if found is not None:
            row = self._settled(row, found)
        tables.append(self.project.table("queries"), [row])
        self.tally[row.state if row.state == KEPT else fault(row.reason)] += 1

    def _settled(self, row: Query, found: _Found) -> Query:
        """The final row: kept with its file in place, or dropped as a duplicate of a kept one or for its own reason."""
        if not row.reason:
            features = _hashed(found.facts.image)
            twin = next((i for i, f in self.kept.items() if copies.hash_distance(f, features) <= DUPLICATE), None)
            if twin is None:
                self.kept[row.id] = features
                name = f"queries/{row.id}{found.path.suffix}"
                files.move(found.path, self.project.path / name)
                return replace(row, file=name, state=KEPT)
            row = replace(row, reason=f"duplicate: of query {twin}")
        found.path.unlink(missing_ok=True)
        return row


@dataclass(frozen=True)
class _Found:
    """An image that decodes, stored in the project under a temporary hidden name."""

    facts: Facts
    path: Path


def _looked_at(project: Project, item: _Item) -> tuple[Query, _Found | None]:
    """Return the row as far as the image alone decides it, and the image if it decodes."""
    category = item.stated.get("category", "")
    if category not in ("", *CATEGORIES):
        raise Misuse(f"{item.origin}: category {category!r}; choose from {', '.join(CATEGORIES)}.")
    stated = {"source_url": item.origin, **item.stated}
    row = Query("", "", state=DROPPED, retrieved=datetime.now(UTC).date().isoformat(), **stated)
    try:
        data, suffix = item.load()
    except BenchError as error:
        return replace(row, reason=f"unreadable: {error}"), None
    path = project.path / "queries" / f".{hashlib.sha256(data).hexdigest()[:16]}{suffix.lower()}"
    files.write_bytes(path, data)
    try:
        facts = examine(path)
    except BenchError as error:
        path.unlink()
        reason = str(error).replace(str(path), item.origin)  # the hidden name would tell the reader nothing
        return replace(row, reason=f"unreadable: {reason}"), None
    row = replace(
        row,
        sha256=facts.sha256,
        width=facts.width,
        height=facts.height,
        sharpness=facts.sharpness,
        jpeg_quality=facts.jpeg_quality,
        reason=_fault(facts, project.settings),
    )
    return row, _Found(facts, path)


def _fault(facts: Facts, settings: Settings) -> str:
    longest = max(facts.width, facts.height)
    if longest < settings.query_min_long_side:
        return f"too small: {longest} pixels on the long side"
    if 0 < settings.query_max_long_side < longest:
        return f"too large: {longest} pixels on the long side"
    return facts.fault(settings.query_sharpness, settings.query_jpeg_quality)


def _hashed(image: Image) -> matching.Features:
    return matching.features(image, count=1)  # only the hashes count here, not the key points
