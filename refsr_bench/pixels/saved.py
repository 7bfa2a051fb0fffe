"""Pictures that runs leave beside their numbers: ``refsr-bench run --save-images --save-matches``.

    results/<protocol>/<data set>/
        inputs/<pair>-<digest>/         once per protocol and data set, whatever the number of methods
            hr.png lr.png ref-1.png ..  HR as it is scored; LR and references as methods are given them
            inputs.json                 written last; says which pair, data, protocol and references these are
        <method>/images/<pair>.png      SR as it is scored; ``sr_sha256`` of the record is the digest of its pixels
        <method>/matches/<pair>/        where the method found the first reference
            flow.png                    displacements, a pixel per LR pixel: hue is the direction, saturation the length
            confidence.png              the same in grey, black is a cosine of 0; only where the method states one
            patches.png                 HR size: each 4x4 cell shows what was found for it in the reference
            matches.json                written last
        <method>/views/<pair>/          the views that the method was given, if any, in the order of the record
            view-1.png view-2.png ..    as it is scored; hatched where the view shows nothing
            views.json                  written last

Everything is written whole or not at all. The digest in a folder's name is that of its contents: other pixels get
another folder, so nothing is ever overwritten, and several runs may write at once. ``sha256`` in the JSON files is
that of the pixels, ``uint8 H x W x 3 RGB`` row by row, as in records; files may be encoded again.

An id that is no safe file name gets a digest behind it (``stem``); readers find pictures by digests, never by names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from msgspec import Meta
from PIL import Image as PilImage

from refsr_bench.core import files, reader
from refsr_bench.core.names import stem
from refsr_bench.core.reader import Count, Format, Real, Sha256, Text
from refsr_bench.core.types import Correspondence, Image, Sample, View
from refsr_bench.pixels import images

INPUTS, MATCHES, VIEWS = "inputs.json", "matches.json", "views.json"
VERSION: Final = 1
MOST_BYTES = 1 << 20  # limit of either file; a pair with a hundred references has some 30 KB
# full saturation is this many times the median displacement, so wrong matches far away do not pale the rest
LONGEST = 2
GREY = 224  # cells without a match: a light grey, which is no direction's colour
HATCH = 12, 3, 196  # period and width of the lines on that grey, pixels, and their grey: a flat sky has no lines

Role = Literal["hr", "lr", "ref", "flow", "confidence", "patches", "view"]
Side = Annotated[int, Meta(ge=1, le=1_000_000)]


class File(Format):
    """One picture. file: its name in the folder; name: the reference it shows, "" for others; size: (width, height).

    sha256: of the pixels.
    """

    file: Annotated[str, Meta(pattern=r"^(?:hr|lr|(?:ref|view)-\d{1,3}|flow|confidence|patches)\.png\Z", max_length=20)]
    role: Role
    name: Text
    size: tuple[Side, Side]
    sha256: Sha256


class Inputs(Format):
    """``inputs.json``: what was scored and what methods were given. crop: (top, left, height, width) of HR in SR."""

    id: Text
    refs: tuple[Text, ...]
    scale: Side
    crop: tuple[Count, Count, Side, Side]
    dataset: Text
    manifest_sha256: Sha256
    protocol: Text
    protocol_digest: Sha256
    files: tuple[File, ...]
    kind: Literal["inputs"] = "inputs"
    schema_version: Literal[1] = VERSION


class Matches(Format):
    """``matches.json``: where a method found the reference.

    sr_sha256: of the SR picture it belongs to. points: the number of matches inside the scored area, out of so many
    cells. longest: the displacement at full saturation, in HR pixels. mean_confidence: None, and no field in the file,
    if the method states none.
    """

    id: Text
    sr_sha256: Sha256
    reference: Text
    points: Count
    cells: Count
    longest: Real
    files: tuple[File, ...]
    mean_confidence: Real | None = None
    kind: Literal["matches"] = "matches"
    schema_version: Literal[1] = VERSION


class Views(Format):
    """``views.json``: what a method was given beside the references, or instead of them.

    sr_sha256: of the SR picture it belongs to. files: as the record of that picture lists the views.
    """

    id: Text
    sr_sha256: Sha256
    files: tuple[File, ...]
    kind: Literal["views"] = "views"
    schema_version: Literal[1] = VERSION


@dataclass(frozen=True)
class Picture:
    """A picture to be written. role, name: as in ``File``."""

    file: str
    role: Role
    pixels: Image
    name: str = ""

    def described(self) -> File:
        height, width = self.pixels.shape[:2]
        return File(self.file, self.role, self.name, (width, height), pixels_digest(self.pixels))


def pixels_digest(image: Image) -> str:
    """SHA-256 (hex) of the pixels of ``uint8 H x W x 3 RGB``."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def save_inputs(folder: Path, sample: Sample, about: Mapping[str, str]) -> Path:
    """Write what was scored and what methods were given of one pair below ``folder``, unless it exists.

    about: dataset, manifest_sha256, protocol, protocol_digest. Returns the pair's folder. Raises BenchError when it
    cannot be written.
    """
    names = reference_names(sample)
    pictures = [
        Picture("hr.png", "hr", sample.hr),
        Picture("lr.png", "lr", sample.lr),
        *(
            Picture(f"ref-{number}.png", "ref", ref, name)
            for number, (name, ref) in enumerate(zip(names, sample.refs, strict=True), 1)
        ),
    ]
    described = tuple(picture.described() for picture in pictures)
    facts = Inputs(sample.id, sample.ref_names, sample.scale, sample.crop, files=described, **about)  # type: ignore[arg-type]
    return _save(folder / f"{stem(sample.id)}-{reader.digest(facts)[:12]}", INPUTS, facts, pictures)


def save_matches(folder: Path, sample: Sample, matches: Correspondence, sr: Image) -> Path | None:
    """Write pictures of where a method found the first reference of one pair; return None if it found nothing.

    sr: the method's image, which the file names by its digest. Raises BenchError like ``save_inputs``.
    """
    drawn = _drawn(matches, sample)
    if drawn is None:
        return None
    pictures, numbers = drawn
    facts = Matches(
        id=sample.id,
        sr_sha256=pixels_digest(sr),
        reference=sample.ref_names[0] if sample.ref_names else "",
        files=tuple(picture.described() for picture in pictures),
        **numbers,
    )
    return _save(folder / stem(sample.id), MATCHES, facts, pictures)


def save_views(folder: Path, sample: Sample, views: Sequence[View], sr: Image) -> Path:
    """Write pictures of views of one pair, cut to the scored area. sr: the method's image.

    Raises BenchError like ``save_inputs``.
    """
    names = reference_names(sample)
    pictures = [
        Picture(f"view-{number}.png", "view", hatched(view), names[view.reference])
        for number, view in enumerate(views, 1)
    ]
    described = tuple(picture.described() for picture in pictures)
    return _save(folder / stem(sample.id), VIEWS, Views(sample.id, pixels_digest(sr), described), pictures)


def hatched(view: View) -> Image:
    """Return what a view shows, uint8 (H, W, 3), hatched in grey where it shows nothing."""
    period, width, grey = HATCH
    y, x = np.indices(view.valid.shape)
    lines = np.where((x + y) % period < width, grey, GREY).astype(np.uint8)
    return np.where(view.valid[..., None], view.image, lines[..., None])


def reference_names(sample: Sample) -> tuple[str, ...]:
    """Return a name for each reference as the method was given it; joined ones share one image."""
    return sample.ref_names if len(sample.ref_names) == len(sample.refs) else (" + ".join(sample.ref_names),)


def _save(target: Path, index: str, facts: Inputs | Matches | Views, pictures: Iterable[Picture]) -> Path:
    """Write the pictures, then the index; if an existing index says the same, all pictures exist already."""
    values = {key: value for key, value in reader.to_json(facts).items() if value is not None}
    text = reader.dumps(values)
    written = target / index
    if written.is_file() and written.read_bytes() == text.encode():
        return target
    for picture in pictures:
        images.write_png(target / picture.file, picture.pixels, target.parents[1])
    files.write_text(written, text)
    return target


# -- correspondences as pictures -----------------------------------------------------------------------------------


def _drawn(matches: Correspondence, sample: Sample) -> tuple[list[Picture], dict[str, Any]] | None:
    """Draw two or three pictures of the scored area, with the numbers of ``Matches``; None without any match."""
    scale, (top, left, height, width) = sample.scale, sample.crop
    points = np.asarray(matches.points, np.float64) - (left, top)
    targets = np.asarray(matches.targets, np.float64)
    inside = np.isfinite(points).all(1) & np.isfinite(targets).all(1)
    inside &= (points >= -0.5).all(1) & (points < (width - 0.5, height - 0.5)).all(1)
    points, targets = points[inside], targets[inside]
    if not len(points):
        return None
    shape = (-(-height // scale), -(-width // scale))
    # Coordinates are whole at pixel centres, and cells begin half a pixel before.
    x, y = np.floor((points + 0.5) / scale).astype(int).T
    length = np.hypot(*(targets - points).T)
    longest = max(1.0, LONGEST * float(np.median(length)))  # a pixel, if most matches stay in place
    pictures = [Picture("flow.png", "flow", _flow(targets - points, length / longest, (y, x), shape))]
    numbers = {"points": len(points), "cells": shape[0] * shape[1], "longest": round(longest, 2)}
    if matches.confidence is not None:
        confidence = np.asarray(matches.confidence, np.float64)[inside]
        grey = np.zeros(shape, np.uint8)
        grey[y, x] = (np.clip(confidence, 0, 1) * 255).round()
        pictures.append(Picture("confidence.png", "confidence", np.repeat(grey[..., None], 3, 2)))
        numbers["mean_confidence"] = round(float(confidence.mean()), 4)
    if sample.refs:
        patches = _patches(sample.refs[0], points, targets, sample.crop[2:], scale)
        pictures.append(Picture("patches.png", "patches", patches))
    return pictures, numbers


def _flow(
    flow: np.ndarray, saturation: np.ndarray, cells: tuple[np.ndarray, np.ndarray], shape: tuple[int, int]
) -> Image:
    """Draw displacements (n, 2) as colours of their cells (rows, columns): hue is the direction."""
    hsv = np.zeros((*shape, 3), np.uint8)
    hsv[..., 2] = GREY
    hue = (np.arctan2(flow[:, 1], flow[:, 0]) / (2 * np.pi)) % 1
    hsv[cells] = np.stack((hue * 255, np.clip(saturation, 0, 1) * 255, np.full(len(hue), 255)), 1).round()
    return np.asarray(PilImage.fromarray(hsv, "HSV").convert("RGB"))


def _patches(ref: Image, points: np.ndarray, targets: np.ndarray, size: tuple[int, int], scale: int) -> Image:
    """Fill each cell of an HR image with the reference's pixels at its match; grey without a match."""
    height, width = size
    canvas = np.full((height, width, 3), GREY, np.uint8)
    corners = (np.floor((points + 0.5) / scale) * scale).astype(int)
    shift = np.rint(targets - points).astype(int)
    for dy in range(scale):
        for dx in range(scale):
            pixels = corners + np.array((dx, dy))
            x, y = pixels.T
            u, v = (pixels + shift).T
            kept = (x < width) & (y < height) & (u >= 0) & (v >= 0) & (u < ref.shape[1]) & (v < ref.shape[0])
            canvas[y[kept], x[kept]] = ref[v[kept], u[kept]]
    return canvas


def size(folders: Iterable[Path]) -> tuple[int, int]:
    """Return the number of pictures below some folders, and their bytes."""
    found = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.png") if path.is_file()]
    return len(found), sum(path.stat().st_size for path in found)
