"""Describes ``manifest.json`` of a split on disk: every parameter of every reference, and the digests of all files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import MOST_ITEMS, Format, Name, Sha256, Text
from refsr_bench.data import manifests
from refsr_bench.data.manifests import MANIFEST, File
from refsr_bench.geometry.kinds import KINDS, Range
from refsr_bench.geometry.transformation import Size, Transformation

FORMAT = "refsr-bench transform split, version 1"


class Source(Format):
    """The data set that the inputs come from."""

    name: Name
    title: Text
    manifest_sha256: Sha256


class Edges(Format):
    """The ends of the groups, see ``kinds.Edges``. unit: with what changes beside the magnitude."""

    unit: Text
    small: Range
    medium: Range
    large: Range
    numbers: Range
    why: Text
    logarithmic: bool
    other: tuple[Range, ...]


class Entry(Format):
    """One pair. image: the input's id in the source; hr, ref: files below the folder; hr_size: (height, width).

    transformation: None if the reference is another input, whose id is ``unrelated``. visible: the share of the input
    that the reference shows.
    """

    id: Name
    image: Name
    level: Name
    hr: Name
    ref: Name
    hr_size: Size
    transformation: Transformation | None
    unrelated: Text | None
    visible: Annotated[float, Meta(ge=0, le=1)]


class SplitManifest(Format):
    """The whole split. edges: of the groups. files: empty until every file is written. Other fields are for people."""

    format: Literal[FORMAT]
    made_by: Text
    source: Source
    transform: Literal[KINDS]
    levels: tuple[Name, ...]
    edges: Mapping[Name, Edges]
    edges_from: Text
    seed: Text
    interpolation: Text
    pixels: Text
    note: Text
    pairs: Annotated[tuple[Entry, ...], Meta(max_length=MOST_ITEMS)]
    files: Mapping[Name, File] = {}


def read(root: Path) -> SplitManifest:
    """Read the manifest of the split in a folder. Raises BenchError naming the file and the field that does not fit."""
    path = root / MANIFEST
    values = reader.parse_json(files.read_text(path, manifests.MOST_BYTES), str(path))
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:  # checked before the fields, because another version has other fields
        raise BenchError(f"{path}: not {FORMAT!r} but {found!r:.80}. Build the split again.")
    return reader.convert(values, SplitManifest, str(path))
