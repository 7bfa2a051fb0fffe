"""Shows a result in a notebook: its means, and a strip of small pictures for some pairs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.names import stem
from refsr_bench.core.schema import ImageRecord, Result
from refsr_bench.core.types import Image
from refsr_bench.pixels import saved
from refsr_bench.pixels.images import read_image

PAIRS = 3  # strips that are shown
SIDE = 192  # pixels of a small picture's longer side
MOST_BYTES = 300_000  # of all pictures together: notebooks keep them in their file
CELL = "padding:2px 10px 2px 0;text-align:left;border:0"


def html(result: Result, folder: Path) -> str:
    """Return a result as HTML that stands alone. folder: the run's; without pictures in it, none are shown."""
    run = result.run
    title = f"{run.method.title} on {run.dataset.title}, protocol {run.protocol.label}"
    counted = f"{len(result.measured)} of {run.dataset.n_pairs} pairs"
    parts = [f"<p><b>{escape(title)}</b>, {counted}</p>", _means(result), *_strips(result, folder)]
    if result.failed:
        first = result.failed[0]
        told = f"{len(result.failed)} images failed; the first, {first.id}: {first.error}"
        parts.append(f"<p>{escape(told)}</p>")
    return f'<div class="refsr-bench">{"".join(parts)}</div>'


def _means(result: Result) -> str:
    shown = [metric for metric in result.run.metrics if metric.name in result.means]
    head = "".join(f'<th style="{CELL}">{escape(metric.title)}</th>' for metric in shown)
    cells = "".join(f'<td style="{CELL}">{_number(float(result.means[m.name]), m.digits)}</td>' for m in shown)
    return f"<table><thead><tr>{head}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}"


def _strips(result: Result, folder: Path) -> Iterator[str]:
    left = MOST_BYTES
    for record in result.measured[:PAIRS]:
        try:
            pictures = [(name, _small(image)) for name, image in _pictures(result, record, folder)]
        except BenchError:  # a picture that was removed or damaged since: the numbers stand without it
            continue
        left -= sum(len(data) for _, data in pictures)
        if left < 0:
            return
        if pictures:
            yield _strip(record, pictures, result)


def _strip(record: ImageRecord, pictures: list[tuple[str, str]], result: Result) -> str:
    figures = "".join(
        f'<figure style="display:inline-block;margin:0 6px 6px 0"><img alt="{escape(name)} of {escape(record.id)}" '
        f'src="{data}" style="height:128px;image-rendering:{"pixelated" if name == "LR" else "auto"}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, data in pictures
    )
    headline = next(metric for metric in result.run.metrics if metric.name == result.run.protocol.psnr)
    value = record.metrics.get(headline.name)
    told = "" if value is None else f", {escape(headline.title)} {_number(float(value), headline.digits)}"
    return f"<p>{escape(record.id)}{told}</p><div>{figures}</div>"


def _pictures(result: Result, record: ImageRecord, folder: Path) -> Iterator[tuple[str, Image]]:
    """Yield LR, the first reference, SR and HR of one pair, as far as the run kept them."""
    sr = folder / "images" / f"{stem(record.id)}.png"
    if not sr.is_file():
        return
    found: dict[str, Path] = {}
    for index in sorted((folder.parent / "inputs").glob(f"{stem(record.id)}-*/{saved.INPUTS}")):
        facts = reader.read_json(index, saved.Inputs, saved.MOST_BYTES)
        if facts.id == record.id and facts.protocol_digest == result.run.protocol.digest:
            for file in facts.files:
                found.setdefault(file.role, index.parent / file.file)
    for role, name in (("lr", "LR"), ("ref", "reference")):
        if role in found:
            yield name, read_image(found[role])
    yield result.run.method.title, read_image(sr)
    if "hr" in found:
        yield "HR", read_image(found["hr"])


def _small(image: Image) -> str:
    """Return an image as a data URI of at most SIDE pixels a side."""
    from PIL import Image as PilImage

    picture = PilImage.fromarray(image)
    picture.thumbnail((SIDE, SIDE), PilImage.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=85)
    return f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
