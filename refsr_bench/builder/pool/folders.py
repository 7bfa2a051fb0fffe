"""The provider without a network: it takes the most similar images of folders on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from refsr_bench.builder import tables
from refsr_bench.builder.engine import HERE, Progress, Workers, silent
from refsr_bench.builder.facts import MOST_BYTES, pixels_sha256
from refsr_bench.builder.pool import Gathered
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate
from refsr_bench.builder.similarity import index
from refsr_bench.builder.similarity.embed import Embedding
from refsr_bench.builder.stated import SILENT, Statements
from refsr_bench.core import files
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.pixels.images import read_image

NAME = "local"


def gather(
    project: Project,
    folders: Sequence[Path],
    stated: Statements = SILENT,
    index_folder: Path | None = None,
    workers: Workers = HERE,
    progress: Progress = silent,
) -> Gathered:
    """Add the ``top`` most similar images below ``folders`` to the pool of every kept query.

    index_folder: the folder of the embeddings. It is the project's ``index/`` by default; several projects can share
    one. Raises Misuse when there are no queries or no images.
    """
    where = index_folder or project.path / "index"
    embedding = Embedding(project.settings.embedding, project.settings.weights)
    with project.lock("pool"):
        found = index.build(where, folders, embedding, workers, progress)
        embed = index.embedder(where, embedding)
        queries = project.kept_queries
        if not queries:
            add = command("build", "wrsr", "queries", "--help")
            raise Misuse(f"{project.path}: no queries yet. To add some: {add}")
        have: dict[str, set[str]] = {query.id: set() for query in queries}
        for row in project.pool:
            if row.provider == NAME and row.query in have:
                have[row.query].add(row.file)
        taken: dict[Path, Candidate] = {}  # an image that several queries find is copied and measured once
        added = 0
        for query in queries:
            if len(have[query.id]) >= min(project.settings.top, len(found.paths)):
                continue
            vector = embed([read_image(project.file(query.file))])[0]
            rows = []
            for rank, hit in enumerate(found.search(vector, project.settings.top), 1):
                if hit.path not in taken:
                    taken[hit.path] = _candidate(project, hit.path, stated)
                if taken[hit.path].file not in have[query.id]:
                    have[query.id].add(taken[hit.path].file)
                    rows.append(replace(taken[hit.path], query=query.id, rank=rank, score=hit.score))
            tables.append(project.table("pool"), rows)
            added += len(rows)
    unusable = len(found.errors)
    notes = (f"{unusable} files cannot be used; the first: {found.errors[0]}",) if unusable else ()
    return Gathered({NAME: added}, notes)


def _candidate(project: Project, path: Path, stated: Statements) -> Candidate:
    image = read_image(path)
    return Candidate(
        query="",
        file=project.pool_file(files.read_bytes(path, MOST_BYTES), path.suffix),
        provider=NAME,
        sha256=pixels_sha256(image),
        width=image.shape[1],
        height=image.shape[0],
        retrieved=datetime.now(UTC).date().isoformat(),
        **{"source_url": f"{path.parent.name}/{path.name}", **stated.of(path)},
    )
