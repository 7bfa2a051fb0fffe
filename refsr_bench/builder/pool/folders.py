"""The provider that needs no network: the most similar images of folders on this machine."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from refsr_bench.builder import tables
from refsr_bench.builder.facts import pixels_sha256
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate
from refsr_bench.builder.similarity import index
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import read_image

NAME = "local"
STATED = ("category", "source_url", "landing_url", "creator", "creator_url")
STATED += ("license", "license_version", "license_url")


def gather(
    project: Project,
    folders: Sequence[Path],
    stated: Mapping[str, str] | None = None,
    facts: Path | None = None,
    index_folder: Path | None = None,
    engine: str = "local",
    workers: int = 1,
    progress: index.Progress | None = None,
) -> int:
    """Add the ``top`` most similar images below ``folders`` to the pool of every kept query; returns rows added.

    stated: licence, creator ... of all of these images (fields of STATED). facts: a CSV file that says more of single
    ones (column ``file``, relative to its folder, and fields of STATED). index_folder: where embeddings are kept, the
    project's ``index/`` unless given, so that several projects can share one.
    """
    told = {Path(name): row for name, row in read_facts(facts, STATED).items()} if facts else {}
    settings = project.settings
    with project.lock("pool"):
        found = index.build(
            index_folder or project.path / "index",
            folders,
            settings.embedding,
            settings.weights,
            engine,
            workers,
            progress,
        )
        where = str(index_folder or project.path / "index")
        embed = index.embedder(where, settings.embedding, settings.weights)
        queries = project.kept_queries
        if not queries:
            raise Misuse(f"{project.path}: no queries yet. Add some: refsr-bench build wrsr queries {project.path} ...")
        have: dict[str, set[str]] = {}
        for row in project.pool:
            if row.provider == NAME:
                have.setdefault(row.query, set()).add(row.file)
        files: dict[Path, Candidate] = {}
        added = 0
        wanted = min(settings.top, len(found.paths))
        for query in queries:
            if len(have.get(query.id, ())) >= wanted:
                continue
            vector = embed([read_image(project.file(query.file))])[0]
            hits = found.search(vector, settings.top)
            rows = []
            for rank, hit in enumerate(hits, 1):
                if hit.path not in files:
                    files[hit.path] = _candidate(project, hit.path, stated or {}, told.get(hit.path, {}))
                row = dataclasses.replace(files[hit.path], query=query.id, rank=rank, score=hit.score)
                if row.file not in have.setdefault(query.id, set()):
                    have[query.id].add(row.file)
                    rows.append(row)
            tables.append(project.table("pool"), rows)
            added += len(rows)
    return added


def _candidate(project: Project, path: Path, stated: Mapping[str, str], told: Mapping[str, str]) -> Candidate:
    image = read_image(path)
    try:
        file = project.pool_file(path.read_bytes(), path.suffix)
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror or error}).") from None
    facts = {"source_url": f"{path.parent.name}/{path.name}", **stated, **told}
    return Candidate(
        query="",
        file=file,
        provider=NAME,
        sha256=pixels_sha256(image),
        width=image.shape[1],
        height=image.shape[0],
        retrieved=datetime.now(UTC).date().isoformat(),
        **facts,
    )


def read_facts(path: Path, fields: Sequence[str]) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by absolute file name. Raises Misuse naming an unknown column."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misuse(f"{path}: cannot be read as CSV ({error}).") from None
    columns = set(rows[0]) if rows else {"file"}
    unknown = sorted(str(column) for column in columns - {"file", *fields})
    if unknown or "file" not in columns:
        raise Misuse(f"{path}: columns are file, {', '.join(fields)}; found {', '.join(unknown) or 'no file'}.")
    base = path.resolve().parent
    return {
        str((base / row["file"]).resolve()): {name: row[name] or "" for name in row if name != "file"} for row in rows
    }
