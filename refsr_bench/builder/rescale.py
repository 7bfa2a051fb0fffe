"""Makes finished pairs: HR is cut to a multiple of the scale, and references are brought to a comparable scale."""

from __future__ import annotations

from refsr_bench.builder import tables
from refsr_bench.builder.engine import Progress, silent
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import Query, Rescaled, Selected
from refsr_bench.builder.settings import Settings
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.crop import mod_crop
from refsr_bench.pixels.images import read_image, write_png
from refsr_bench.pixels.resize import resize_pil_bicubic

RESAMPLING = "pil-bicubic"  # antialiased: fine stripes become grey instead of aliasing to another frequency


def factor(hr: tuple[int, int], ref: tuple[int, int], scale: float, settings: Settings) -> float:
    """Return the factor, at most 1, for the sides of a reference.

    hr, ref: (width, height) in pixels. scale: pixels of the reference per pixel of HR; 0 if unknown.

    If the scale is known and the reference shows more than ``max_ratio`` pixels per pixel of HR, it is reduced to one
    per pixel, but not below ``ref_min_share`` of HR's long side. If the scale is unknown and the reference's long side
    is more than ``max_ratio`` times HR's, it is reduced to HR's long side. The long side never exceeds
    ``max_long_ratio`` times HR's.
    """
    long_hr, long_ref = max(hr), max(ref)
    if scale > 0:
        wanted = 1 / scale if scale > settings.max_ratio else 1.0
        # one pixel per pixel could leave a close-up only a few pixels large
        wanted = max(wanted, min(1.0, settings.ref_min_share * long_hr / long_ref))
        return min(wanted, 1.0, settings.max_long_ratio * long_hr / long_ref)
    return min(1.0, long_hr / long_ref) if long_ref > settings.max_ratio * long_hr else 1.0


def rescale(project: Project, progress: Progress = silent) -> int:
    """Write the pairs of ``selected.csv`` that do not exist yet; pairs whose choice changed are made again.

    Returns the number of pairs made. Raises Misuse when nothing was selected.
    """
    with project.lock("rescale"):
        queries = {query.id: query for query in project.kept_queries}
        chosen = [row for row in project.selected if row.file and row.query in queries]
        if not chosen:
            choose = command("build", "wrsr", "select", project.path)
            raise Misuse(f"{project.path}: no pairs yet. Choose: {choose}")
        wanted = {(row.query, row.file) for row in chosen}
        # rows whose choice changed, or whose files somebody removed, are made again
        before = project.rescaled
        rows = [
            row for row in before
            if (row.query, row.file) in wanted and all(project.file(name).is_file() for name in (row.input, row.ref))
        ]  # fmt: skip
        if rows != before:
            tables.write(project.table("rescaled"), rows, Rescaled)
        have = {(row.query, row.file) for row in rows}
        scales = {(row.query, row.file): row.scale for row in project.cleaned}
        for done, row in enumerate(chosen, 1):
            if (row.query, row.file) not in have:
                pair = _pair(project, queries[row.query], row, scales.get((row.query, row.file), 0.0))
                tables.append(project.table("rescaled"), [pair])
            progress(done, len(chosen))
    return len(wanted - have)


def reduced(image: Image, factor: float) -> Image:
    """The image at ``factor`` of its size by antialiased bicubic interpolation; from 1 upwards, the image itself."""
    if factor >= 1:
        return image
    return resize_pil_bicubic(image, max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))


def _pair(project: Project, query: Query, chosen: Selected, scale: float) -> Rescaled:
    """Write one pair. scale: pixels of the reference per pixel of the input; 0 if unknown."""
    image, ref = read_image(project.file(query.file)), read_image(project.file(chosen.file))
    hr = mod_crop(image, project.settings.scale)
    if not hr.size:
        raise BenchError(f"{query.file}: smaller than the scale, {project.settings.scale} pixels.")
    size, ref_size = (hr.shape[1], hr.shape[0]), (ref.shape[1], ref.shape[0])
    by = factor(size, ref_size, scale, project.settings)
    small = reduced(ref, by)
    names = f"rescaled/input/{query.id}.png", f"rescaled/ref/{query.id}_ref.png"
    for name, pixels in zip(names, (hr, small), strict=True):
        write_png(project.file(name), pixels)
    return Rescaled(
        chosen.query,
        chosen.file,
        *names,
        input_width_before=image.shape[1],
        input_height_before=image.shape[0],
        input_width=size[0],
        input_height=size[1],
        ref_width_before=ref_size[0],
        ref_height_before=ref_size[1],
        ref_width=small.shape[1],
        ref_height=small.shape[0],
        factor=by,
        resampling=RESAMPLING if by < 1 else "none",
    )
