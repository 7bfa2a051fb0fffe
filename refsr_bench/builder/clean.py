"""Cleaning: which candidates of a pool can be references, why the others cannot, and in which order.

Every candidate is decoded and measured once. It is dropped when it is undecodable, too small, too soft,
over-compressed, a copy of the query or a cut of one picture with it, or a near duplicate of a better candidate. The
rest is ranked: candidates with verified matches by their number, the others by the similarity of the whole images.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from refsr_bench.builder import engine, tables
from refsr_bench.builder.facts import Facts, examine
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query
from refsr_bench.builder.similarity import embed, index, similar
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import ImageSource, RefPair
from refsr_bench.data.leaks import find_leaks
from refsr_bench.pixels.images import read_image

REMEMBERED = 400  # images whose features a process keeps; at most some 0.4 MB each


@dataclass(frozen=True)
class Task:
    """One query's candidates; picklable, so that any process that sees the project's folder can do it."""

    project: Project
    query: Query
    candidates: tuple[Candidate, ...]
    codebook: Path | None


def clean(
    project: Project, engine_name: str = "local", workers: int = 1, progress: index.Progress | None = None
) -> Counter[str]:
    """Clean what has not been cleaned yet; returns how many rows were added, by the first words of their reason.

    A query is done when every candidate of it has a row; when some came later, all of them are looked at again, since
    ranks and duplicates depend on each other. Raises Misuse when there is nothing to clean.
    """
    with project.lock("clean"):
        pool: dict[str, dict[str, Candidate]] = {}
        for row in project.pool:
            pool.setdefault(row.query, {}).setdefault(row.file, row)
        if not pool:
            raise Misuse(f"{project.path}: the pool is empty. Fill it: refsr-bench build wrsr pool {project.path} ...")
        rows = project.cleaned
        known: dict[str, set[str]] = {}
        for row in rows:
            known.setdefault(row.query, set()).add(row.file)
        waiting = [
            query
            for query in project.kept_queries
            if query.id in pool and known.get(query.id, set()) != set(pool[query.id])
        ]
        stale = {query.id for query in waiting} & set(known)
        if stale:
            tables.write(project.table("clean"), [row for row in rows if row.query not in stale], Cleaned)
        codebook = _codebook(project, waiting, pool)
        tasks = [Task(project, query, tuple(pool[query.id].values()), codebook) for query in waiting]
        tally: Counter[str] = Counter()
        done = len(pool) - len(waiting)
        if progress:
            progress(done, len(pool))
        for cleaned in engine.run(clean_query, tasks, engine_name, workers):
            tables.append(project.table("clean"), cleaned)
            tally.update("kept" if row.kept else kind(row.reason) for row in cleaned)
            done += 1
            if progress:
                progress(done, len(pool))
    return tally


def kind(reason: str) -> str:
    """The reason without its numbers and names."""
    return reason.partition(":")[0].partition(" (")[0]


def _codebook(project: Project, queries: Sequence[Query], pool: dict) -> Path | None:
    """Of the descriptor: the index's where there is one, else learnt on (some of) the candidates."""
    settings, codebook = project.settings, project.path / "index" / "codebook.npz"
    if settings.embedding != "descriptor":
        return None  # a network is loaded by each process for itself
    if codebook.is_file():
        return codebook
    own = project.path / "codebook.npz"
    if own.is_file():
        return own
    files = sorted({row.file for query in queries for row in pool[query.id].values()})
    files += [query.file for query in queries]
    step = max(1, len(files) // embed.LEARN_IMAGES)
    try:
        embed.learn(index.readable([project.file(name) for name in files[::step]])).save(own)
    except BenchError:
        return None  # too little texture in all of them: similarity stays 0, matches decide
    return own


@lru_cache(maxsize=2)
def _descriptor(codebook: Path) -> embed.Descriptor:
    return embed.Descriptor.load(codebook)


@dataclass(frozen=True)
class _Look:
    """What one look at an image gives; no pixels."""

    facts: Facts
    features: similar.Features
    vector: np.ndarray | None


_LOOKS: OrderedDict[tuple, _Look | str] = OrderedDict()  # the latest ones of this process


def _look(path: Path, task: Task) -> _Look | str:
    """One image, or why it cannot be used."""
    settings = task.project.settings
    embedder = None if task.codebook is None else _descriptor(task.codebook)
    if settings.embedding != "descriptor":
        embedder = index.embedder("", settings.embedding, settings.weights)
    key = (path, task.codebook, settings.embedding, settings.weights)
    if key not in _LOOKS:
        try:
            facts = examine(path)
            vector = None if embedder is None else embedder([facts.image])[0]
            bare = dataclasses.replace(facts, image=facts.image[:0, :0])
            found = _Look(bare, similar.features(facts.image), vector)
        except BenchError as error:
            found = str(error).removeprefix(f"{path}: ")
        _LOOKS[key] = found
        while len(_LOOKS) > REMEMBERED:
            _LOOKS.popitem(last=False)
    _LOOKS.move_to_end(key)
    return _LOOKS[key]


def clean_query(task: Task) -> list[Cleaned]:
    """All candidates of one query, in the order of the pool."""
    project, settings = task.project, task.project.settings
    query_path = project.file(task.query.file)
    query = _look(query_path, task)
    if isinstance(query, str):
        raise BenchError(f"{query_path}: {query}")
    rows, looks = [], {}
    for candidate in task.candidates:
        look = _look(project.file(candidate.file), task)
        rows.append(_judged(task, candidate, query, look))
        looks[candidate.file] = look
    rows = _without_copies(task, rows)
    return _ranked(rows, looks, settings.min_inliers, settings.pool_distance)


def _judged(task: Task, candidate: Candidate, query: _Look, look: _Look | str) -> Cleaned:
    """Everything that one candidate and the query tell; ``kept`` is preliminary."""
    settings = task.project.settings
    row = Cleaned(task.query.id, candidate.file, kept=False)
    if isinstance(look, str):
        return dataclasses.replace(row, reason=f"unreadable: {look}")
    facts = look.facts
    row = dataclasses.replace(row, sharpness=facts.sharpness, jpeg_quality=facts.jpeg_quality)
    longest, least = max(look.features.width, look.features.height), settings.ref_min_long_side
    share = settings.ref_min_share * max(query.features.width, query.features.height)
    if facts.sha256 == query.facts.sha256:
        return dataclasses.replace(row, reason="leak: is the query itself")
    if longest < least or longest < share:
        return dataclasses.replace(row, reason=f"too small: {longest} pixels on the long side")
    if facts.sharpness < settings.ref_sharpness:
        return dataclasses.replace(row, reason=f"soft: variance of the Laplacian {facts.sharpness:.0f}")
    if 0 < facts.jpeg_quality < settings.ref_jpeg_quality:
        return dataclasses.replace(row, reason=f"over-compressed: JPEG quality {facts.jpeg_quality}")
    geometry = similar.relate(query.features, look.features)
    likeness = float(query.vector @ look.vector) if query.vector is not None and look.vector is not None else 0.0
    row = dataclasses.replace(row, similarity=likeness, inliers=geometry.inliers, overlap=geometry.overlap)
    if geometry.inliers >= settings.min_inliers:
        row = dataclasses.replace(row, scale=geometry.scale, rotation=geometry.rotation)
    reason = similar.copy_reason(
        query.features, look.features, geometry, settings.hash_distance, settings.leak_share, settings.leak_psnr
    )
    return dataclasses.replace(row, kept=not reason, reason=f"leak: {reason}" if reason else "")


def _without_copies(task: Task, rows: Sequence[Cleaned]) -> list[Cleaned]:
    """Drop what ``datasets.leaks`` finds, the check that finished data sets are put to as well."""

    def source(name: str) -> ImageSource:
        path = task.project.file(name)
        return ImageSource(name, partial(read_image, path), path)

    kept = [source(row.file) for row in rows if row.kept]
    leaks = {leak.ref_name: leak.reason for leak in find_leaks([RefPair("", source(task.query.file), tuple(kept))])}
    return [
        dataclasses.replace(row, kept=False, reason=f"leak: {leaks[row.file]}") if row.file in leaks else row
        for row in rows
    ]


def _ranked(rows: Sequence[Cleaned], looks: dict, verified: int, distance: int) -> list[Cleaned]:
    """Ranks from 1, and duplicates of better ranked candidates dropped."""

    def order(row: Cleaned) -> tuple:
        return (-row.inliers if row.inliers >= verified else 0, -row.similarity, row.file)

    better: list[Cleaned] = []
    final = {}
    for row in sorted((row for row in rows if row.kept), key=order):
        hashed = looks[row.file].features
        twin = next((b for b in better if similar.upright_distance(looks[b.file].features, hashed) <= distance), None)
        if twin is None:
            better.append(row)
            final[row.file] = dataclasses.replace(row, rank=len(better))
        else:
            reason = f"duplicate: of {Path(twin.file).name}, ranked {final[twin.file].rank}"
            final[row.file] = dataclasses.replace(row, kept=False, reason=reason)
    return [final.get(row.file, row) for row in rows]
