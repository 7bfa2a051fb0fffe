"""``manifest.json``: the SHA-256 of every file of a data set, written when it is prepared or built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Count, Format, Name, Sha256, Text
from refsr_bench.pixels.images import EXTENSIONS, image_size

MANIFEST = "manifest.json"
MOST_BYTES = 256 << 20  # of a file, or a manifest: CUFED's training pairs, a split at five levels, have 70 MiB

Side = Annotated[int, Meta(ge=1, le=1_000_000)]


class File(Format):
    """One file. width, height: of an image, upright, in pixels; None for other files, which then lack these fields."""

    sha256: Sha256
    bytes: Count
    width: Side | None = None
    height: Side | None = None


class Manifest(Format):
    """A prepared data set. pairs: their number. manifest_sha256: of the opened set. files: by name below the folder."""

    dataset: Name
    made_by: Text
    pairs: Count
    manifest_sha256: Sha256
    files: Mapping[Name, File]


class _Digest(msgspec.Struct, frozen=True):
    sha256: Sha256


class _Files(msgspec.Struct, frozen=True):
    """The part that manifests of prepared sets, splits and exported sets share, which ``verify`` reads."""

    files: Mapping[Name, _Digest]


def describe(path: Path) -> File:
    """Return the entry of one file. Raises BenchError when it cannot be read."""
    width, height = image_size(path) if path.suffix.lower() in EXTENSIONS else (None, None)
    return File(file_sha256(path), path.stat().st_size, width, height)


def write(folder: Path, manifest: msgspec.Struct) -> None:
    """Write the manifest of a folder. Raises BenchError when the disk refuses."""
    values = reader.to_json(manifest)
    for name, file in values["files"].items():
        values["files"][name] = {key: value for key, value in file.items() if value is not None}
    files.write_text(folder / MANIFEST, reader.dumps(values))


def recorded(folder: Path) -> dict[str, str] | None:
    """Return SHA-256 of every file that the folder's manifest names; None without one.

    Raises BenchError for a damaged one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    return {name: file.sha256 for name, file in reader.read_json(path, _Files, MOST_BYTES).files.items()}


def file_sha256(path: Path) -> str:
    """Return SHA-256 (hex) of a file's bytes. Raises BenchError when it cannot be read or is larger than an image."""
    try:
        with files.opened(path, MOST_BYTES) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}).") from None
