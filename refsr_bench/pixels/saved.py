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

Everything is written whole or not at all. The digest in a folder's name is that of its contents: other pixels get
another folder, so nothing is ever overwritten, and several runs may write at once. ``sha256`` in the JSON files is
that of the pixels, ``uint8 H x W x 3 RGB`` row by row, as in records; files may be encoded again.

An id that is no safe file name gets a digest behind it (``stem``); readers find pictures by digests, never by names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from PIL import Image as PilImage

from refsr_bench.core import files, reader
from refsr_bench.core.names import stem
from refsr_bench.core.reader import Count, Format, Name, Real, Sha256, Text
from refsr_bench.core.types import Correspondence, Image, Sample
from refsr_bench.pixels import images

INPUTS, MATCHES = "inputs.json", "matches.json"
VERSION = 1
LONGEST = 2  # times the median displacement is full saturation: wrong matches far away do not pale the rest


class SavedPicture(Format):
    """One file beside the index. role: "hr", "lr", "ref", or of correspondences; name: the reference's, "" of others;
    size: (width, height); sha256: of the pixels."""

    file: Annotated[str, Meta(pattern=r"^(hr|lr|ref-[0-9]{1,3}|flow|confidence|patches)\.png\Z", max_length=16)]
    role: Literal["hr", "lr", "ref", "flow", "confidence", "patches"]
    name: Text
    size: tuple[Count, Count]
    sha256: Sha256


class SavedInputs(Format):
    """``inputs.json``. refs: names; crop: (top, left, height, width) of HR in what LR was made of."""

    kind: Literal["inputs"]
    schema_version: Literal[1]
    id: Name
    refs: tuple[Text, ...]
    scale: Count
    crop: tuple[Count, Count, Count, Count]
    dataset: Text
    manifest_sha256: Sha256
    protocol: Text
    protocol_digest: Sha256
    files: tuple[SavedPicture, ...]


class SavedMatches(Format):
    """``matches.json``. points: matches inside the image; cells: it has; longest: the displacement in pixels at full
    saturation; mean_confidence: None where the method states none."""

    kind: Literal["matches"]
    schema_version: Literal[1]
    id: Name
    sr_sha256: Sha256
    reference: Text
    points: Count
    cells: Count
    longest: Real
    files: tuple[SavedPicture, ...]
    mean_confidence: Real | None = None


def pixels_digest(image: Image) -> str:
    """SHA-256 (hex) of the pixels of ``uint8 H x W x 3 RGB``."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def save_inputs(folder: Path, sample: Sample, about: dict[str, str]) -> Path:
    """Write what was scored and what methods were given of one pair below ``folder``; nothing where it is there.

    about: dataset, manifest_sha256, protocol, protocol_digest. Returns the pair's folder. Raises BenchError and OSError
    when it cannot be written.
    """
    pictures = [("hr.png", "hr", "", sample.hr), ("lr.png", "lr", "", sample.lr)]
    names = sample.ref_names if len(sample.ref_names) == len(sample.refs) else (" + ".join(sample.ref_names),)
    for number, (name, ref) in enumerate(zip(names, sample.refs, strict=True), 1):
        pictures.append((f"ref-{number}.png", "ref", name, ref))
    facts = {
        "kind": "inputs",
        "schema_version": VERSION,
        "id": sample.id,
        "refs": sample.ref_names,
        "scale": sample.scale,
        "crop": sample.crop,
        **about,
    }
    return _save(folder, sample.id, facts, pictures, INPUTS, versions=True)


def save_matches(folder: Path, sample: Sample, matches: Correspondence, sr: Image) -> Path | None:
    """Write pictures of where a method found the first reference of one pair; None where it found nothing.

    sr: the method's image, which the file names by its digest. Raises BenchError and OSError as ``save_inputs``.
    """
    drawn = _drawn(matches, sample)
    if drawn is None:
        return None
    pictures, facts = drawn
    facts |= {
        "kind": "matches",
        "schema_version": VERSION,
        "id": sample.id,
        "sr_sha256": pixels_digest(sr),
        "reference": sample.ref_names[0] if sample.ref_names else "",
    }
    return _save(folder, sample.id, facts, pictures, MATCHES, versions=False)


def _save(
    folder: Path, pair_id: str, facts: dict[str, Any], pictures: Iterable[tuple[str, str, str, Image]], index: str,
    versions: bool,
) -> Path:  # fmt: skip
    pictures = list(pictures)
    facts["files"] = [
        {"file": file, "role": role, "name": name, "size": [image.shape[1], image.shape[0]],
         "sha256": pixels_digest(image)}
        for file, role, name, image in pictures
    ]  # fmt: skip
    target = folder / (f"{stem(pair_id)}-{reader.digest(facts)[:12]}" if versions else stem(pair_id))
    text = reader.dumps(facts)
    written = target / index
    if written.is_file() and written.read_text(encoding="utf-8") == text:
        return target
    target.mkdir(parents=True, exist_ok=True)
    for file, _, _, image in pictures:
        images.write_png(target / file, image)
    files.write_text(written, text)
    return target


# -- correspondences as pictures -----------------------------------------------------------------------------------


def _drawn(matches: Correspondence, sample: Sample) -> tuple[list[tuple[str, str, str, Image]], dict[str, Any]] | None:
    """The three pictures and what they show, on the scored area; None without a match inside it."""
    scale, (top, left, height, width) = sample.scale, sample.crop
    points = np.asarray(matches.points, np.float64) - (left, top)
    targets = np.asarray(matches.targets, np.float64)
    inside = np.isfinite(points).all(1) & np.isfinite(targets).all(1)
    inside &= (points >= -0.5).all(1) & (points < (width - 0.5, height - 0.5)).all(1)
    points, targets = points[inside], targets[inside]
    if not len(points):
        return None
    flow = targets - points
    rows, columns = -(-height // scale), -(-width // scale)
    x, y = np.floor((points + 0.5) / scale).astype(int).T
    length = np.hypot(*flow.T)
    longest = max(1.0, LONGEST * float(np.median(length)))
    hsv = np.zeros((rows, columns, 3), np.uint8)
    hsv[..., 2] = 224  # cells without a match: light grey
    hue = (np.arctan2(flow[:, 1], flow[:, 0]) / (2 * np.pi)) % 1
    hsv[y, x] = np.stack((hue * 255, np.clip(length / longest, 0, 1) * 255, np.full(len(hue), 255)), 1).round()
    rgb = np.asarray(PilImage.fromarray(hsv, "HSV").convert("RGB"))
    pictures = [("flow.png", "flow", "", rgb)]
    facts: dict[str, Any] = {"points": len(points), "cells": rows * columns, "longest": round(longest, 2)}
    if matches.confidence is not None:
        confidence = np.asarray(matches.confidence, np.float64)[inside]
        grey = np.zeros((rows, columns), np.uint8)
        grey[y, x] = (np.clip(confidence, 0, 1) * 255).round()
        pictures.append(("confidence.png", "confidence", "", np.repeat(grey[..., None], 3, 2)))
        facts["mean_confidence"] = round(float(confidence.mean()), 4)
    if sample.refs:
        pictures.append(("patches.png", "patches", "", _patches(sample.refs[0], points, targets, height, width, scale)))
    return pictures, facts


def _patches(ref: Image, points: np.ndarray, targets: np.ndarray, height: int, width: int, scale: int) -> Image:
    """Each cell of an HR image filled with the reference's pixels that its point was found at; grey without a match."""
    canvas = np.full((height, width, 3), 224, np.uint8)
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
    """How many pictures lie below some folders, and their bytes."""
    files = [path for folder in folders if folder.is_dir() for path in folder.rglob("*.png") if path.is_file()]
    return len(files), sum(path.stat().st_size for path in files)
