"""Makes CUFED5-style sets from albums: inputs with references L1 .. L5 by falling number of verified matches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from refsr_bench.builder import engine, tables
from refsr_bench.builder.engine import HERE, Progress, Workers, silent
from refsr_bench.builder.rescale import reduced
from refsr_bench.builder.rows import Inside
from refsr_bench.builder.settings import Settings
from refsr_bench.builder.similarity import copies, matching
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import Count, Format, Real
from refsr_bench.core.types import Image, RefPair
from refsr_bench.data.leaks import find_leaks
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.images import image_files, read_image, source, write_png

LEVELS = 5  # references of an input, as in CUFED5
TABLE = "levels.csv"


class Level(Format):
    """One image of a group: level 0 is the input, 1 .. 5 its references. Other fields are as in ``rows.Cleaned``."""

    group: Inside
    level: Count
    file: Inside
    source: str
    inliers: Count = 0
    scale: Real = 0.0
    rotation: Real = 0.0
    overlap: Real = 0.0


@dataclass(frozen=True)
class Shape:
    """The shape of a group.

    per_album: inputs taken from each album, evenly spread over its files. long_side: larger images are reduced to it,
    in pixels (CUFED5's 500). scale: the input's sides become multiples of it.
    """

    per_album: int = 1
    long_side: int = 500
    scale: int = 4


CUFED5 = Shape()


def choose(inliers: Sequence[int], count: int = LEVELS) -> list[int]:
    """Return indices of ``count`` candidates from most to fewest matches: first, last, and evenly between."""
    order = sorted(range(len(inliers)), key=lambda i: (-inliers[i], i))
    return [order[round(k * (len(order) - 1) / (count - 1))] for k in range(count)]


def build(
    albums: Path, out: Path, shape: Shape = CUFED5, workers: Workers = HERE, progress: Progress = silent
) -> tuple[int, list[str]]:
    """Make ``out/NNN_0.png .. NNN_5.png`` from the albums, the folders directly inside ``albums``.

    Existing groups are not made again. Returns the number of groups, and why albums were skipped. Raises Misuse when no
    album can be used, Busy when another process makes groups there.
    """
    jobs, notes = _jobs(Path(albums), shape.per_album)
    out = files.make_folder(Path(out))
    with files.locked(out, "Another search for levels"):
        known = _known(out / TABLE)
        number = len(known)
        todo = [job for job in jobs if _name(job.input) not in known]
        before = len(jobs) - len(todo)
        progress(before, len(jobs))
        for done, (job, answer) in enumerate(engine.run(partial(_group, shape=shape), todo, workers), before + 1):
            if isinstance(answer, str):
                notes.append(f"{_name(job.input)}: {answer}")
            else:
                rows, images = answer
                group = f"{number:03d}"
                rows = [replace(row, group=group, file=f"{group}_{row.level}.png") for row in rows]
                for row, image in zip(rows, images, strict=True):
                    write_png(out / row.file, image, below=out)
                tables.append(out / TABLE, rows)
                number += 1
            progress(done, len(jobs))
    if not number:
        raise BenchError(f"{albums}: no album gave a group. {' '.join(notes[:2])}")
    return number, notes


@dataclass(frozen=True)
class _Job:
    """One input, and the photos of its album that may become its references."""

    input: Path
    others: tuple[Path, ...]


def _jobs(albums: Path, per_album: int) -> tuple[list[_Job], list[str]]:
    """Return the inputs of all albums, and why albums were skipped."""
    folders = sorted(path for path in albums.iterdir() if path.is_dir()) if albums.is_dir() else []
    if not folders:
        raise Misuse(f"{albums}: no folders in it. Each album is a folder of photos of one event or place.")
    jobs, notes = [], []
    for folder in folders:
        photos = image_files(folder)
        if len(photos) <= LEVELS:
            notes.append(f"{folder.name}: {len(photos)} photos, at least {LEVELS + 1} are needed")
            continue
        count = min(per_album, len(photos))
        inputs = [photos[int(n * len(photos) / count)] for n in range(count)]
        jobs += [_Job(path, tuple(other for other in photos if other != path)) for path in inputs]
    if not jobs:
        raise Misuse(f"{albums}: no album has {LEVELS + 1} photos.")
    return jobs, notes


def _known(table: Path) -> set[str]:
    """Return the inputs of finished groups, and take the rows of an interrupted group out of the table."""
    rows = tables.read(table, Level)
    counts = Counter(row.group for row in rows)
    whole = [row for row in rows if counts[row.group] == LEVELS + 1]
    if len(whole) < len(rows):
        tables.write(table, whole, Level)
    return {row.source for row in whole if row.level == 0}


def _name(photo: Path) -> str:
    return f"{photo.parent.name}/{photo.name}"


def _group(job: _Job, shape: Shape) -> tuple[_Job, tuple[list[Level], list[Image]] | str]:
    """The rows and images of one input, or why there are none, with the job, because answers come in any order."""
    settings = Settings()
    candidates: list[tuple[Path, matching.Geometry]] = []
    try:
        image = read_image(job.input)
        query = matching.features(image)
        pair = RefPair("", source(job.input), tuple(map(source, job.others)))
        # a copy of the input would be the best match of all, and give the answer away
        leaks = {leak.ref_name for leak in find_leaks([pair])}
        for other in job.others:
            if other.name in leaks:
                continue
            features = matching.features(read_image(other))
            geometry = matching.relate(query, features)
            if not copies.copy_reason(query, features, geometry, settings):
                candidates.append((other, geometry))
    except BenchError as error:
        return job, str(error)
    if len(candidates) < LEVELS:
        return job, f"{len(candidates)} photos beside copies of the input, {LEVELS} are needed"
    chosen = [candidates[i] for i in choose([geometry.inliers for _, geometry in candidates])]
    # group and file get their names once the number of earlier groups is known
    rows = [Level("", 0, "", _name(job.input))]
    images = [mod_crop(_within(image, shape.long_side), shape.scale)]
    for level, (other, g) in enumerate(chosen, 1):
        rows.append(Level("", level, "", _name(other), g.inliers, g.scale, g.rotation, g.overlap))
        images.append(_within(read_image(other), shape.long_side))
    return job, (rows, images)


def _within(image: Image, long_side: int) -> Image:
    return reduced(image, long_side / max(image.shape[:2]))
