"""Turns a data set into Hugging Face ``datasets``: map-style, or streamed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

from PIL import Image as PilImage

from refsr_bench.core.types import Dataset, ImageSource, RefPair


def to_hf(dataset: Dataset, streaming: bool = False):
    """Return a ``datasets.Dataset``, or an ``IterableDataset`` when streaming, with one row per pair.

    Columns: id, hr (Image), refs (list of Image), hr_name, ref_names, levels (None if the set defines none), facts
    (JSON text). Files stay where they are and are decoded as RGB when a row's image is asked for; images without a file
    are held as PNG. Pillow decodes them there, so use ``pixels.images.read_image`` if 16-bit and CMYK files must be
    refused. A row of Manga109 decodes 109 pages, so select the columns that you need first.
    """
    import datasets

    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "hr": datasets.Image(mode="RGB"),
            "refs": datasets.Sequence(datasets.Image(mode="RGB")),
            "hr_name": datasets.Value("string"),
            "ref_names": datasets.Sequence(datasets.Value("string")),
            "levels": datasets.Sequence(datasets.Value("int32")),
            "facts": datasets.Value("string"),
        }
    )
    if streaming:
        return datasets.IterableDataset.from_generator(
            _rows, features=features, gen_kwargs={"pairs": list(dataset.pairs)}
        )
    rows = list(_rows(list(dataset.pairs)))
    return datasets.Dataset.from_dict({column: [row[column] for row in rows] for column in features}, features=features)


def _rows(pairs: list[RefPair]) -> Iterator[dict[str, Any]]:
    for pair in pairs:
        yield {
            "id": pair.id,
            "hr": _image(pair.hr),
            "refs": [_image(ref) for ref in pair.refs],
            "hr_name": pair.hr.name,
            "ref_names": [ref.name for ref in pair.refs],
            "levels": [ref.level for ref in pair.refs],
            "facts": json.dumps(dict(pair.facts), sort_keys=True),
        }


def _image(src: ImageSource) -> dict[str, Any]:
    if src.path is not None:
        return {"path": str(src.path), "bytes": None}
    # An image made in memory has no file to point to.
    png = io.BytesIO()
    PilImage.fromarray(src.load()).save(png, format="PNG")
    return {"path": src.name, "bytes": png.getvalue()}
