"""Describes the data set for machines in Croissant 1.0 with its RAI extension (docs.mlcommons.org/croissant)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refsr_bench.builder import licenses
from refsr_bench.builder.export.pairs import Pair, pictures
from refsr_bench.builder.settings import Settings
from refsr_bench.data.layout import file_sha256

_OF_CROISSANT = (
    *("citeAs", "column", "containedIn", "extract", "field", "fileObject", "fileProperty", "fileSet", "format"),
    *("includes", "jsonPath", "key", "path", "recordSet", "references", "repeated", "source", "transform"),
)
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{name: f"cr:{name}" for name in _OF_CROISSANT},
}
_KINDS = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}
_SIDES = {"hr": "input", "ref": "ref"}  # the names of the images in metadata.jsonl, and their folders


def croissant(settings: Settings, pairs: Sequence[Pair], row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the JSON of ``croissant.json``. row: one of ``metadata.jsonl``, which is already in ``folder``."""
    links = {p.row.license_url or licenses.address(*p.license) for p in pictures(pairs)}
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": settings.name,
        "description": f"{settings.title}: {len(pairs)} pairs of an input and a reference for super-resolution.",
        "license": sorted(links),
        "url": "https://huggingface.co/datasets",
        "version": "1.0.0",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "citeAs": "Jiang et al., Robust Reference-based Super-Resolution via C2-Matching, CVPR 2021 (the recipe)",
        "rai:dataCollection": "Query photos; similar images from search; automatic cleaning; a choice per query.",
        "rai:dataBiases": "What search finds and people photograph: landmarks and daylight are over-represented.",
        "rai:personalSensitiveInformation": "Photos may show people in public places; see the contact for removal.",
        "distribution": [
            _named("cr:FileObject", "folder", contentUrl="./", encodingFormat="git+https"),
            _named(
                "cr:FileObject",
                "metadata",
                contentUrl="metadata.jsonl",
                encodingFormat="application/jsonlines",
                sha256=file_sha256(folder / "metadata.jsonl"),
            ),
            *(_image_files(side, place) for side, place in _SIDES.items()),
        ],
        "recordSet": [_pairs(row), *map(_images, _SIDES)],
    }


def _named(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"@type": kind, "@id": name, "name": name, **more}


def _image_files(side: str, place: str) -> dict[str, Any]:
    inside, pattern = {"@id": "folder"}, f"{place}/*.png"
    return _named("cr:FileSet", f"{side}-files", containedIn=inside, encodingFormat="image/png", includes=pattern)


def _pairs(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = []
    for name, value in row.items():
        source = {"fileObject": {"@id": "metadata"}, "extract": {"column": name}}
        fields.append(_field("pairs", name, _KINDS[type(value)], source))
    return _named("cr:RecordSet", "pairs", key={"@id": "pairs/id"}, field=fields)


def _images(side: str) -> dict[str, Any]:
    record, fields = f"{side}-images", []
    for name, kind, what in (("file", "sc:Text", "fullpath"), ("image", "sc:ImageObject", "content")):
        source = {"fileSet": {"@id": f"{side}-files"}, "extract": {"fileProperty": what}}
        fields.append(_field(record, name, kind, source))
    return _named("cr:RecordSet", record, field=fields)


def _field(record: str, name: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": f"{record}/{name}", "name": name, "dataType": kind, "source": source}
