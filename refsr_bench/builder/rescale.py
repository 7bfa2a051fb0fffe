"""Finished pairs: HR cut to a multiple of the scale, references brought to a comparable scale."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project, Settings
from refsr_bench.builder.rows import Cleaned, Rescaled
from refsr_bench.builder.similarity.index import Progress
from refsr_bench.core.errors import Misuse
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.images import read_image, write_png
from refsr_bench.pixels.resize import resize_pil_bicubic

RESAMPLING = "pil-bicubic"  # antialiased


def factor(hr: tuple[int, int], ref: tuple[int, int], scale: float, settings: Settings) -> float:
    """What a reference's sides are multiplied by, at most 1. hr, ref: (width, height). scale: pixels of the reference
    per pixel of HR, 0 where it is unknown.

    With a scale, a reference that shows more than ``max_ratio`` pixels per pixel of HR is reduced to one per pixel;
    without, one whose long side is more than ``max_ratio`` times HR's is reduced to HR's long side. Never above
    ``max_long_ratio`` times HR's long side, and no reduction by the scale below ``ref_min_share`` of it.
    """
    long_hr, long_ref = max(hr), max(ref)
    if scale > 0:
        wanted = 1 / scale if scale > settings.max_ratio else 1.0
        wanted = max(wanted, min(1.0, settings.ref_min_share * long_hr / long_ref))
        return min(wanted, 1.0, settings.max_long_ratio * long_hr / long_ref)
    return min(1.0, long_hr / long_ref) if long_ref > settings.max_ratio * long_hr else 1.0


def rescale(project: Project, progress: Progress | None = None) -> int:
    """Write the pairs of ``selected.csv`` that are not there yet; pairs whose choice changed are made again.

    Returns how many were made. Raises Misuse when nothing was selected.
    """
    with project.lock("rescale"):
        queries = {query.id: query for query in project.kept_queries}
        chosen = [row for row in project.selected if row.file and row.query in queries]
        if not chosen:
            raise Misuse(f"{project.path}: no pairs yet. Choose: refsr-bench build wrsr select {project.path}")
        table = project.table("rescaled")
        before = project.rescaled
        wanted = {(row.query, row.file) for row in chosen}
        rows = [row for row in before if (row.query, row.file) in wanted and _whole(project, row)]
        if rows != before:
            tables.write(table, rows, Rescaled)
        have = {(row.query, row.file) for row in rows}
        measured = {(row.query, row.file): row for row in project.cleaned}
        made = 0
        for done, row in enumerate(chosen, 1):
            if (row.query, row.file) not in have:
                finished = _pair(project, queries[row.query].file, measured.get((row.query, row.file)), row)
                tables.append(table, [finished])
                made += 1
            if progress:
                progress(done, len(chosen))
    return made


def _whole(project: Project, row: Rescaled) -> bool:
    return project.file(row.input).is_file() and project.file(row.ref).is_file()


def _pair(project: Project, query_file: str, measured: Cleaned | None, row) -> Rescaled:
    image, ref = read_image(project.file(query_file)), read_image(project.file(row.file))
    hr = mod_crop(image, project.settings.scale)
    size, ref_size = (hr.shape[1], hr.shape[0]), (ref.shape[1], ref.shape[0])
    by = factor(size, ref_size, measured.scale if measured else 0.0, project.settings)
    small = ref
    if by < 1:
        small = resize_pil_bicubic(ref, max(1, round(ref.shape[0] * by)), max(1, round(ref.shape[1] * by)))
    names = [Path("rescaled", "input", f"{row.query}.png"), Path("rescaled", "ref", f"{row.query}_ref.png")]
    for name, pixels in zip(names, (hr, small), strict=True):
        write_png(project.path / name, pixels)
    return Rescaled(
        row.query,
        row.file,
        names[0].as_posix(),
        names[1].as_posix(),
        image.shape[1],
        image.shape[0],
        *size,
        *ref_size,
        small.shape[1],
        small.shape[0],
        by,
        RESAMPLING if by < 1 else "none",
    )
