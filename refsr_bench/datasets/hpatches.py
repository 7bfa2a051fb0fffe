"""HPatches and other folders of real photo pairs with a homography, which gives the place of every pixel.

The scenes are planar, or the camera only turned.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import natural, some
from refsr_bench.core.reader import digest
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, images_in, read_list, size_of
from refsr_bench.geometry.kinds import GIVEN
from refsr_bench.geometry.transformation import MIN_VISIBLE, Matrix, TooLittle, Transformation, check
from refsr_bench.geometry.truth import TransformationTruth
from refsr_bench.pixels.images import source

CANDIDATES = ("", "hpatches-sequences-release", "HPatches", "hpatches")
_MATRIX = re.compile(r"H_?1(?:_|to)(\d+)p?(?:\.txt)?")
_CHANGES = {"v_": "viewpoint", "i_": "illumination"}


def _open(root: Path | None) -> Dataset:
    base, found = root, []
    for candidate in CANDIDATES:
        base = root / candidate
        if base.is_dir() and (found := list(_pairs(base))):
            break
    if not found:
        raise absent(CARD, root)
    pairs, matrices, hidden = [], [], []
    for pair_id, first, other, file in found:
        hr, ref = source(first), source(other, 1)
        made, size = Transformation("homography", GIVEN, read_homography(file), size_of(ref)), size_of(hr)
        try:
            check(made, size, f"pair '{pair_id}' ({file})")
        except TooLittle:
            hidden.append(pair_id)
            continue
        facts = {"sequence": file.parent.name}
        if change := _CHANGES.get(file.parent.name[:2]):
            facts["change"] = change
        pairs.append(RefPair(pair_id, hr, (ref,), facts, partial(TransformationTruth, made, size)))
        matrices.append([pair_id, made.matrix])
    if not pairs:
        raise BenchError(f"{base}: none of {len(found)} pairs shows {MIN_VISIBLE:.0%} of its first photo.")
    left_out = f"left out, since less than {MIN_VISIBLE:.0%} of the first photo is in the other: {some(hidden)}"
    opened = assemble(CARD, base, pairs, notes=[left_out] if hidden else [])
    # The matrices are part of what is measured, and no image file holds them.
    return dataclasses.replace(opened, manifest_sha256=digest([opened.manifest_sha256, matrices]))


def _pairs(base: Path) -> Iterator[tuple[str, Path, Path, Path]]:
    """Return (id, first photo, other photo, matrix file) of every pair, whichever layout the folder has."""
    for folder in sorted((path for path in base.iterdir() if path.is_dir()), key=lambda path: natural(path.name)):
        yield from _sequence(folder, f"{folder.name}_")
    yield from _sequence(base, "")
    if (base / "h").is_dir():
        first, other = (by_id(images_in(base / name)) for name in ("1", "2"))
        for file in _texts(base / "h"):
            yield file.stem, _one(first, file.stem, file), _one(other, file.stem, file), file
    photos = by_id(images_in(base))
    for file in _texts(base):
        if not _MATRIX.fullmatch(file.name) and f"{file.stem}_1" in photos and f"{file.stem}_2" in photos:
            yield file.stem, photos[f"{file.stem}_1"], photos[f"{file.stem}_2"], file


def _sequence(folder: Path, prefix: str) -> Iterator[tuple[str, Path, Path, Path]]:
    files = {int(match[1]): path for path in folder.iterdir() if (match := _MATRIX.fullmatch(path.name))}
    if not files:
        return
    photos = by_id(images_in(folder), lambda stem: stem.removeprefix("img"))
    for k, file in sorted(files.items()):
        yield f"{prefix}1_{k}", _one(photos, "1", file), _one(photos, str(k), file), file


def _one(photos: dict[str, Path], stem: str, file: Path) -> Path:
    if stem in photos:
        return photos[stem]
    turn = command("data", "prepare", CARD.name, "--from", "DIR")
    raise BenchError(f"{file}: its photo '{stem}' is missing beside it. PPM photos are turned into PNG by: {turn}")


def _texts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt" and path.is_file())


def read_homography(path: Path) -> Matrix:
    """Read the nine numbers of a 3x3 matrix, separated by blanks, commas or lines.

    Raises BenchError naming the file.
    """
    try:
        values = [float(value) for value in read_list(path).replace(",", " ").split()]
    except ValueError as error:
        raise BenchError(f"{path}: not nine numbers of a 3x3 matrix ({error}).") from None
    if len(values) != 9:
        raise BenchError(f"{path}: a 3x3 matrix has nine numbers, this file has {len(values)}.")
    if not all(map(math.isfinite, values)):
        raise BenchError(f"{path}: the numbers of a 3x3 matrix must be finite.")
    a, b, c, d, e, f, g, h, i = values
    return (a, b, c), (d, e, f), (g, h, i)


CARD = DatasetCard(
    name="hpatches",
    title="HPatches and homography folders",
    description="Planar scenes photographed several times, with their homographies: true correspondences.",
    open=_open,
    home="https://github.com/hpatches/hpatches-dataset (full image sequences)",
    terms="repository under MIT; the photographs come from several earlier data sets, named in its references.txt",
    withheld="the photographs have several owners",
    layout=(
        "SEQUENCE/1.png .. 6.png with H_1_2 .. H_1_6 (HPatches), img1.png .. with H1to2p .. (Oxford), 1/X.png and "
        "2/X.png with h/X.txt (EVD), or X_1.png and X_2.png with X.txt; the 3x3 matrix maps pixels of the first to the "
        "other"
    ),
    n_pairs=580,
    folder="HPatches",
)
DATASETS = (CARD,)
