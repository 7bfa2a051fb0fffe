"""A small project to choose from, and what its log says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query


def write_project(path: Path, photo: Callable[..., np.ndarray]) -> Project:
    """Three queries of real photos with three candidates each: a shifted cut of the same photo, and two other photos;
    and one query that cleaning left without any."""
    project = Project.create(path)
    queries, pool, cleaned = [], [], []
    photos = [photo(170, 240, which) for which in range(1, 7)]
    for n in range(1, 5):
        name, whole = f"{n:03d}", photos[n - 1]
        Image.fromarray(whole[:150, :200]).save(path / "queries" / f"{name}.png")
        queries.append(Query(name, f"queries/{name}.png", "", 200, 150, category="animal" if n == 3 else ""))
        cuts = [whole[14:, 30:], photos[n], photos[n + 1]]
        for rank, cut in enumerate(cuts, 1):
            file = f"pool/files/{name}_{rank}.png"
            Image.fromarray(cut).save(path / file)
            landing = "javascript:alert(1)" if rank == 2 else "https://example.org/photo"
            pool.append(Candidate(name, file, "local", rank, 0.0, "", 200, 150, landing_url=landing, license="by"))
            inliers, kept = [90, 5, 0][rank - 1], n < 4
            reason = "" if kept else "too blurred"
            cleaned.append(Cleaned(name, file, kept, reason, 300.0, 0, 1 - rank / 10, inliers, rank=rank * kept))
    for table, rows in (("queries", queries), ("pool", pool), ("clean", reversed(cleaned))):
        tables.write(project.table(table), list(rows))
    return project


def lines(project: Project) -> list[dict]:
    """The lines of the log, in order."""
    if not project.selection_log.exists():
        return []
    return [json.loads(line) for line in project.selection_log.read_text().splitlines()]
