"""Queries: the input images, from folders or from the web, filtered and without duplicates."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from refsr_bench.builder import tables
from refsr_bench.builder.facts import Facts, examine
from refsr_bench.builder.pool.folders import read_facts
from refsr_bench.builder.project import Project, Settings
from refsr_bench.builder.rows import CATEGORIES, DROPPED, KEPT, Query
from refsr_bench.builder.similarity import index
from refsr_bench.builder.similarity import matching as similar
from refsr_bench.core.errors import BenchError, Misuse

STATED = ("category", "text", "source_url", "landing_url", "creator", "creator_url")
STATED += ("license", "license_version", "license_url")
DUPLICATE = 8  # bits of 64 of pHash; different photos of one facade were as near as 10

Progress = Callable[[int, int], None]


def add_folders(
    project: Project,
    folders: Sequence[Path],
    stated: Mapping[str, str] | None = None,
    facts: Path | None = None,
    categories: Sequence[str] = (),
    limit: int = 0,
    progress: Progress | None = None,
) -> Counter[str]:
    """Add every image below the folders (BSDS500's layout or any) as a query; returns rows added by state or reason.

    stated: category, licence, creator ... of all of them. facts: a CSV file that says more of single ones (column
    ``file``, relative to its own folder, and STATED). categories: take these alone. limit: at most so many in all.
    What was looked at before is passed over.
    """
    told = read_facts(facts, STATED) if facts else {}
    paths = [Path(path) for path, _, _ in index.list_images(folders)]
    if not paths:
        raise Misuse(f"{', '.join(map(str, folders))}: no images.")
    bases = [Path(folder).resolve() for folder in folders]

    def items() -> Iterator[_Item]:
        for path in paths:
            base = next(base for base in bases if path.is_relative_to(base))
            origin = (Path(base.name) / path.relative_to(base)).as_posix()
            yield _Item(origin, {**(stated or {}), **told.get(str(path), {})}, path.read_bytes, path.suffix)

    return _add(project, items(), len(paths), categories, limit, progress)


def add_urls(
    project: Project,
    listed: Path,
    stated: Mapping[str, str] | None = None,
    categories: Sequence[str] = (),
    limit: int = 0,
    progress: Progress | None = None,
) -> Counter[str]:
    """Add images from the web. listed: one address per line, or a CSV file with a column ``url`` and any of STATED."""
    from refsr_bench.builder.fetching.fetch import fetch
    from refsr_bench.builder.pool.web import policy_of

    rows = _read_list(listed)
    policy = policy_of(project)
    _ = policy.user_agent  # no contact: say so before anything is fetched

    def items() -> Iterator[_Item]:
        for row in rows:
            url = row["url"]
            facts = {name: value for name, value in row.items() if name in STATED and value}
            facts = {"source_url": url, **(stated or {}), **facts}
            yield _Item(url, facts, lambda url=url: _load(fetch(url, policy)), "")

    return _add(project, items(), len(rows), categories, limit, progress)


def _load(fetched) -> tuple[bytes, str]:
    return fetched.bytes, fetched.suffix


def _read_list(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{path}: cannot be read as text ({error}).") from None
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and not lines[0].lower().startswith(("http://", "https://")):
        rows = [{key: value or "" for key, value in row.items() if key} for row in csv.DictReader(lines)]
        unknown = sorted(set(rows[0]) - {"url", *STATED}) if rows else []
        if not rows or "url" not in rows[0] or unknown:
            raise Misuse(f"{path}: expected addresses, or CSV with url and any of {', '.join(STATED)}.")
        return rows
    if not lines:
        raise Misuse(f"{path}: lists no addresses.")
    return [{"url": line} for line in lines]


@dataclasses.dataclass(frozen=True)
class _Item:
    """One image to look at. origin: what it is told apart by on the next run. load: its bytes (and suffix)."""

    origin: str
    stated: Mapping[str, str]
    load: Callable
    suffix: str


def _add(
    project: Project,
    items: Iterator[_Item],
    count: int,
    categories: Sequence[str],
    limit: int,
    progress: Progress | None,
) -> Counter[str]:
    if unknown := sorted(set(categories) - set(CATEGORIES)):
        raise Misuse(f"category {unknown[0]}: known are {', '.join(CATEGORIES)}.")
    tally: Counter[str] = Counter()
    with project.lock("queries"):
        rows = project.queries
        origins = {(row.source_url, row.sha256 or row.reason) for row in rows}
        hashes = {row.id: _hashed(project, row) for row in rows if row.state == KEPT}
        number = max((int(row.id) for row in rows if row.id.isdecimal()), default=0)
        for done, item in enumerate(items, 1):
            if progress:
                progress(done, count)
            if limit and len(hashes) >= limit:
                break
            row, found = _looked_at(project, item)
            known = (row.source_url, row.sha256 or row.reason) in origins
            if known or (categories and row.category not in categories):
                if found is not None:
                    found.path.unlink(missing_ok=True)
                continue
            origins.add((row.source_url, row.sha256 or row.reason))
            number += 1
            row = dataclasses.replace(row, id=f"{number:03d}")
            if found is not None:
                row = _named(project, row, found, hashes)
            tables.append(project.table("queries"), [row])
            tally[row.state if row.state == KEPT else row.reason.partition(":")[0]] += 1
    return tally


@dataclasses.dataclass(frozen=True)
class _Found:
    facts: Facts
    path: Path


def _looked_at(project: Project, item: _Item) -> tuple[Query, _Found | None]:
    """The row as far as the image alone decides it, and the file put beside the others under a name of its own."""
    stated = dict(item.stated)
    if stated.get("category", "") not in ("", *CATEGORIES):
        raise Misuse(f"{item.origin}: category {stated['category']!r}; known are {', '.join(CATEGORIES)}.")
    row = Query("", "", state=DROPPED, retrieved=datetime.now(UTC).date().isoformat(), **stated)
    row = dataclasses.replace(row, source_url=row.source_url or item.origin)
    try:
        loaded = item.load()
        data, suffix = loaded if isinstance(loaded, tuple) else (loaded, item.suffix)
        path = project.path / "queries" / f".{hashlib.sha256(data).hexdigest()[:16]}{suffix.lower()}"
        path.write_bytes(data)
        try:
            facts = examine(path)
        except BenchError as error:
            path.unlink()
            raise BenchError(str(error).replace(str(path), item.origin)) from None
    except BenchError as error:
        return dataclasses.replace(row, reason=f"unreadable: {error}"), None
    except OSError as error:
        return dataclasses.replace(row, reason=f"unreadable: {error.strerror or error}"), None
    row = dataclasses.replace(
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
    if facts.sharpness < settings.query_sharpness:
        return f"soft: variance of the Laplacian {facts.sharpness:.0f}"
    if 0 < facts.jpeg_quality < settings.query_jpeg_quality:
        return f"over-compressed: JPEG quality {facts.jpeg_quality}"
    return ""


def _named(project: Project, row: Query, found: _Found, hashes: dict[str, similar.Features]) -> Query:
    """The row kept, with its file in place, or dropped as a duplicate of a kept one or for the reason it has."""
    if not row.reason:
        features = similar.features(found.facts.image, count=1)
        twin = next((i for i, f in hashes.items() if similar.hash_distance(f, features) <= DUPLICATE), None)
        if twin is None:
            hashes[row.id] = features
            target = project.path / "queries" / f"{row.id}{found.path.suffix}"
            found.path.replace(target)
            return dataclasses.replace(row, file=project.relative(target), state=KEPT)
        row = dataclasses.replace(row, reason=f"duplicate: of query {twin}")
    found.path.unlink(missing_ok=True)
    return row


def _hashed(project: Project, row: Query) -> similar.Features:
    from refsr_bench.pixels.images import read_image

    return similar.features(read_image(project.file(row.file)), count=1)
