"""Cleaning decides which candidates of a pool can be references, why the others cannot, and how the rest rank.

Every candidate is decoded and measured once. It is dropped when it cannot be decoded, is too small, too soft or
over-compressed, copies the query or comes from the same picture, or nearly duplicates a better candidate. The remaining
candidates are ranked: those with verified matches by the number of matches, the others by the similarity of the whole
images.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from refsr_bench.builder import engine, tables
from refsr_bench.builder.engine import HERE, Progress, Workers, silent
from refsr_bench.builder.facts import Facts, examine
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query, fault
from refsr_bench.builder.similarity import copies, embed, index, matching
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import ImageSource, RefPair
from refsr_bench.data.leaks import find_leaks
from refsr_bench.pixels.images import read_image

REMEMBERED = 400  # images whose features a process keeps (at most some 0.4 MB each), because queries share candidates


@dataclass(frozen=True)
class Task:
    """One query's candidates. It is picklable, so any process that sees the project's folder can do it.

    codebook: the descriptor's; None when a network embeds or when the images have too little texture.
    """

    project: Project
    query: Query
    candidates: tuple[Candidate, ...]
    codebook: Path | None


def clean(project: Project, workers: Workers = HERE, progress: Progress = silent) -> Counter[str]:
    """Clean every query that has candidates without a row; return the number of rows added, by fault or as kept.

    A query is done when every candidate of it has a row. When candidates came later, all of them are looked at again,
    because ranks and duplicates depend on each other. Raises Misuse when there is nothing to clean.
    """
    with project.lock("clean"):
        pool: dict[str, dict[str, Candidate]] = {}
        for row in project.pool:
            pool.setdefault(row.query, {}).setdefault(row.file, row)
        if not pool:
            fill = command("build", "wrsr", "pool", "--help")
            raise Misuse(f"{project.path}: the pool is empty. To fill it: {fill}")
        waiting = _waiting(project, pool)
        codebook = _codebook(project, waiting, pool)
        tasks = [Task(project, query, tuple(pool[query.id].values()), codebook) for query in waiting]
        tally: Counter[str] = Counter()
        before = len(pool) - len(waiting)
        progress(before, len(pool))
        for done, cleaned in enumerate(engine.run(clean_query, tasks, workers), before + 1):
            tables.append(project.table("clean"), cleaned)
            tally.update("kept" if row.kept else fault(row.reason) for row in cleaned)
            progress(done, len(pool))
    return tally


def _waiting(project: Project, pool: Mapping[str, Mapping[str, Candidate]]) -> list[Query]:
    """Return the queries to do, and take the rows of partly done queries out of the table."""
    rows = project.cleaned
    known: dict[str, set[str]] = {}
    for row in rows:
        known.setdefault(row.query, set()).add(row.file)
    waiting = [q for q in project.kept_queries if q.id in pool and known.get(q.id, set()) != set(pool[q.id])]
    if stale := {query.id for query in waiting} & set(known):
        tables.write(project.table("clean"), [row for row in rows if row.query not in stale], Cleaned)
    return waiting


def _codebook(project: Project, queries: Sequence[Query], pool: Mapping[str, Mapping]) -> Path | None:
    """Return the descriptor's codebook: the index's if there is one, else one learnt on (some of) the candidates."""
    if project.settings.embedding != embed.DESCRIPTOR:
        return None  # each process loads the network for itself
    own = project.path / "codebook.npz"
    for there in (project.path / "index" / "codebook.npz", own):
        if there.is_file():
            return there
    files = sorted({row.file for query in queries for row in pool[query.id].values()})
    files += [query.file for query in queries]
    step = max(1, len(files) // embed.LEARN_IMAGES)
    try:
        embed.learn(index.readable([project.file(name) for name in files[::step]])).save(own)
    except BenchError:
        return None  # all images have too little texture: similarity stays 0 and matches decide
    return own


@lru_cache(maxsize=2)
def _descriptor(codebook: Path) -> embed.Descriptor:
    return embed.Descriptor.load(codebook)


@dataclass(frozen=True)
class _Look:
    """The outcome of one look at an image, without its pixels. vector: None when nothing embeds."""

    facts: Facts
    features: matching.Features
    vector: np.ndarray | None


_LOOKS: OrderedDict[tuple, _Look | str] = OrderedDict()  # the latest looks of this process


def _look(path: Path, task: Task) -> _Look | str:
    """Look at one image; return the outcome, or the reason why the image cannot be used."""
    embedding = embed.Embedding(task.project.settings.embedding, task.project.settings.weights)
    key = (path, task.codebook, embedding)
    if key not in _LOOKS:
        embedder = None if task.codebook is None else _descriptor(task.codebook)
        if embedding.name != embed.DESCRIPTOR:
            embedder = index.embedder(None, embedding)
        try:
            facts = examine(path)
            vector = None if embedder is None else embedder([facts.image])[0]
            bare = dataclasses.replace(facts, image=facts.image[:0, :0].copy())  # a view would keep the pixels
            _LOOKS[key] = _Look(bare, matching.features(facts.image), vector)
        except BenchError as error:
            _LOOKS[key] = str(error).removeprefix(f"{path}: ")
        while len(_LOOKS) > REMEMBERED:
            _LOOKS.popitem(last=False)
    _LOOKS.move_to_end(key)
    return _LOOKS[key]


def clean_query(task: Task) -> list[Cleaned]:
    """Clean all candidates of one query; the rows are in the order of the pool."""
    query_path = task.project.file(task.query.file)
    query = _look(query_path, task)
    if isinstance(query, str):
        raise BenchError(f"{query_path}: {query}")
    # leaks are sought among candidates that passed, duplicates only among those that are ranked
    rows, looks = [], {}
    for candidate in task.candidates:
        look = _look(task.project.file(candidate.file), task)
        row = Cleaned(task.query.id, candidate.file, kept=False)
        unreadable = isinstance(look, str)
        rows.append(replace(row, reason=f"unreadable: {look}") if unreadable else _judged(row, query, look, task))
        looks[candidate.file] = look
    return _ranked(_without_leaks(task, rows), looks, task)


def _judged(row: Cleaned, query: _Look, look: _Look, task: Task) -> Cleaned:
    """Judge one candidate by itself and against the query; ``kept`` is preliminary."""
    settings, facts = task.project.settings, look.facts
    row = replace(row, sharpness=facts.sharpness, jpeg_quality=facts.jpeg_quality)
    longest = max(look.features.width, look.features.height)
    share = settings.ref_min_share * max(query.features.width, query.features.height)
    if facts.sha256 == query.facts.sha256:
        return replace(row, reason="leak: is the query itself")
    if longest < settings.ref_min_long_side or longest < share:
        return replace(row, reason=f"too small: {longest} pixels on the long side")
    if poor := facts.fault(settings.ref_sharpness, settings.ref_jpeg_quality):
        return replace(row, reason=poor)
    # the most expensive step, so only candidates that passed everything else get here
    geometry = matching.relate(query.features, look.features)
    likeness = float(query.vector @ look.vector) if query.vector is not None and look.vector is not None else 0.0
    row = replace(row, similarity=likeness, inliers=geometry.inliers, overlap=geometry.overlap)
    if geometry.inliers >= settings.min_inliers:
        row = replace(row, scale=geometry.scale, rotation=geometry.rotation)
    reason = copies.copy_reason(query.features, look.features, geometry, settings)
    return replace(row, kept=not reason, reason=f"leak: {reason}" if reason else "")


def _without_leaks(task: Task, rows: Sequence[Cleaned]) -> list[Cleaned]:
    """Drop what ``data.leaks`` finds; finished data sets go through the same check."""

    def source(name: str) -> ImageSource:
        path = task.project.file(name)
        return ImageSource(name, partial(read_image, path), path)

    kept = tuple(source(row.file) for row in rows if row.kept)
    leaks = {leak.ref_name: leak.reason for leak in find_leaks([RefPair("", source(task.query.file), kept)])}
    return [replace(row, kept=False, reason=f"leak: {leaks[row.file]}") if row.file in leaks else row for row in rows]


def _ranked(rows: Sequence[Cleaned], looks: Mapping[str, _Look], task: Task) -> list[Cleaned]:
    """Assign ranks from 1 and drop duplicates of better ranked candidates."""
    settings = task.project.settings

    def order(row: Cleaned) -> tuple:
        # Fewer matches can be chance, so such candidates follow by similarity. The name breaks ties alike on every
        # machine.
        return (-row.inliers if row.inliers >= settings.min_inliers else 0, -row.similarity, row.file)

    better: list[Cleaned] = []
    final: dict[str, Cleaned] = {}
    for row in sorted((row for row in rows if row.kept), key=order):
        ours = looks[row.file].features
        near = (b for b in better if copies.upright_distance(looks[b.file].features, ours) <= settings.pool_distance)
        if twin := next(near, None):
            reason = f"duplicate: of {Path(twin.file).name}, ranked {twin.rank}"
            final[row.file] = replace(row, kept=False, reason=reason)
        else:
            final[row.file] = replace(row, rank=len(better) + 1)
            better.append(final[row.file])
    return [final.get(row.file, row) for row in rows]
