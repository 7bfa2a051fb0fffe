"""CUFED5-style sets from albums: for each input five references L1 .. L5 by falling number of verified matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from refsr_bench.builder import engine, tables
from refsr_bench.builder.project import Settings
from refsr_bench.builder.similarity import matching as similar
from refsr_bench.builder.similarity.index import Progress
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image, RefPair
from refsr_bench.data.leaks import find_leaks
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.images import image_files, read_image, source, write_png
from refsr_bench.pixels.resize import resize_pil_bicubic

LEVELS = 5
TABLE = "levels.csv"


@dataclass(frozen=True)
class Level:
    """One image of a group: level 0 is the input, 1 .. 5 its references. Other fields as in ``rows.Cleaned``."""

    group: str
    level: int
    file: str
    source: str
    inliers: int = 0
    scale: float = 0.0
    rotation: float = 0.0
    overlap: float = 0.0


def choose(inliers: Sequence[int], count: int = LEVELS) -> list[int]:
    """Indices of ``count`` candidates from most to fewest matches: first, last, and evenly spaced ones between."""
    order = sorted(range(len(inliers)), key=lambda i: (-inliers[i], i))
    return [order[round(k * (len(order) - 1) / (count - 1))] for k in range(count)]


def build(
    albums: Path,
    out: Path,
    per_album: int = 1,
    long_side: int = 500,
    scale: int = 4,
    engine_name: str = "local",
    workers: int = 1,
    progress: Progress | None = None,
) -> tuple[int, list[str]]:
    """Make ``out/NNN_0.png .. NNN_5.png`` from the albums, the folders directly inside ``albums``.

    per_album: inputs taken of each, evenly spread over its files. long_side: larger images are reduced to it (CUFED5's
    500). Groups that are there are not made again. Returns how many groups there are, and why albums were passed over.
    Raises Misuse when no album will do.
    """
    folders = sorted(path for path in Path(albums).iterdir() if path.is_dir()) if Path(albums).is_dir() else []
    if not folders:
        raise Misuse(f"{albums}: no folders in it. Each album is a folder of photos of one event or place.")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    jobs, notes = [], []
    for folder in folders:
        files = image_files(folder)
        if len(files) <= LEVELS:
            notes.append(f"{folder.name}: {len(files)} photos, at least {LEVELS + 1} are needed")
            continue
        step = len(files) / per_album
        jobs += [(folder, files[int(n * step)]) for n in range(min(per_album, len(files)))]
    if not jobs:
        raise Misuse(f"{albums}: no album has {LEVELS + 1} photos.")
    known = _known(out / TABLE)
    number = len(known)
    todo = [job for job in jobs if _name(*job) not in known]
    done = len(jobs) - len(todo)
    if progress:
        progress(done, len(jobs))
    for job, answer in engine.run(partial(_group, long_side=long_side, scale=scale), todo, engine_name, workers):
        done += 1
        if isinstance(answer, str):
            notes.append(f"{_name(*job)}: {answer}")
        else:
            rows, images = answer
            group = f"{number:03d}"
            for level, image in enumerate(images):
                write_png(out / f"{group}_{level}.png", image)
            tables.append(out / TABLE, [replace(row, group=group, file=f"{group}_{row.level}.png") for row in rows])
            number += 1
        if progress:
            progress(done, len(jobs))
    if not number:
        raise BenchError(f"{albums}: no album gave a group. {' '.join(notes[:2])}")
    return number, notes


def _known(table: Path) -> set[str]:
    """Inputs of finished groups; rows of a group that a kill cut short are taken out of the table."""
    rows = tables.read(table, Level)
    counts = Counter(row.group for row in rows)
    whole = [row for row in rows if counts[row.group] == LEVELS + 1]
    if len(whole) < len(rows):
        tables.write(table, whole, Level)
    return {row.source for row in whole if row.level == 0}


def _name(folder: Path, path: Path) -> str:
    return f"{folder.name}/{path.name}"


def _group(job: tuple[Path, Path], long_side: int, scale: int):
    """The rows and images of one input, or why there are none; with the job, since answers come in any order."""
    folder, path = job
    settings = Settings()
    try:
        image = read_image(path)
        query = similar.features(image)
        candidates: list[tuple[Path, similar.Geometry]] = []
        others = [other for other in image_files(folder) if other != path]
        leaks = {leak.ref_name for leak in find_leaks([RefPair("", source(path), tuple(map(source, others)))])}
        for other in others:
            if other.name in leaks:
                continue
            features = similar.features(read_image(other))
            geometry = similar.relate(query, features)
            bounds = (settings.hash_distance, settings.leak_share, settings.leak_psnr)
            if not similar.copy_reason(query, features, geometry, *bounds):
                candidates.append((other, geometry))
    except BenchError as error:
        return job, str(error)
    if len(candidates) < LEVELS:
        return job, f"{len(candidates)} photos beside copies of the input, {LEVELS} are needed"
    chosen = [candidates[i] for i in choose([geometry.inliers for _, geometry in candidates])]
    rows = [Level("", 0, "", _name(*job))]
    images = [mod_crop(_within(image, long_side), scale)]
    for level, (other, g) in enumerate(chosen, 1):
        rows.append(Level("", level, "", _name(folder, other), g.inliers, g.scale, g.rotation, g.overlap))
        images.append(_within(read_image(other), long_side))
    return job, (rows, images)


def _within(image: Image, long_side: int) -> Image:
    factor = long_side / max(image.shape[:2])
    if factor >= 1:
        return image
    return resize_pil_bicubic(image, max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
