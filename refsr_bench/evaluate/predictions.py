"""Somebody else's SR images, measured like a method: find each pair's file, check its size, hand it to the runner."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import MethodInfo, Weights
from refsr_bench.core.types import Dataset, Image, ImageSource, RefPair, Sample
from refsr_bench.evaluate.runner import Predictor
from refsr_bench.pixels import images
from refsr_bench.protocols.base import Protocol


def find_predictions(folder: Path, protocol: Protocol, dataset: Dataset) -> dict[str, Path]:
    """The SR image of every pair in a folder of images, by pair id; pairs without one are left out.

    A file belongs to a pair when its stem is the pair's id, the stem of its HR file, or the stem of its reference (the
    C2-Matching authors name outputs so), tried in this order; failing that, when it is the only file whose stem is one
    of the three followed by ``_``, ``-`` or ``.`` and anything. Raises Misuse when the folder is absent or empty,
    BenchError when two files fit one pair.
    """
    if not folder.is_dir():
        raise Misuse(f"There is no folder {folder} with SR images.")
    files = images.image_files(folder)
    if not files:
        raise Misuse(f"The folder {folder} holds no images.")
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(file.stem, []).append(file)
    found = {}
    for pair in dataset.pairs:
        refs = [Path(ref.name).stem for ref in _chosen(pair, protocol, dataset)]
        stems = dict.fromkeys((pair.id, Path(pair.hr.name).stem, *refs[:1]))
        exact = next((by_stem[stem] for stem in stems if stem in by_stem), None)
        matches = exact or [f for f in files if any(re.match(rf"{re.escape(stem)}[_.-]", f.stem) for stem in stems)]
        if len(matches) > 1:
            raise BenchError(f"Pair '{pair.id}' fits {len(matches)} files: {matches[0].name} and {matches[1].name}.")
        if matches:
            found[pair.id] = matches[0]
    return found


def _chosen(pair: RefPair, protocol: Protocol, dataset: Dataset) -> Sequence[ImageSource]:
    try:
        return protocol.references(pair, dataset.name)
    except BenchError:  # no reference fits: measuring somebody's image needs none
        return ()


def folder_predictor(title: str, group: str, gan: bool, found: Mapping[str, Path]) -> Predictor:
    """Predictions read from files, uint8 RGB. A file must have the size of the scored HR image, or of the whole HR
    image, which is then cut at the bottom and right as the protocol cut HR."""

    def predict(pair: RefPair, sample: Sample) -> Image:
        if pair.id not in found:
            raise BenchError(f"No SR image was found for pair '{pair.id}'.")
        sr = images.read_image(found[pair.id])
        height, width = sample.hr.shape[:2]
        whole = pair.hr.load().shape
        if sr.shape not in (sample.hr.shape, whole):
            raise BenchError(
                f"{found[pair.id].name} is {sr.shape[1]}x{sr.shape[0]} pixels, and pair '{pair.id}' is measured at "
                f"{width}x{height}."
            )
        canvas = np.zeros((sample.lr.shape[0] * sample.scale, sample.lr.shape[1] * sample.scale, 3), np.uint8)
        top, left = sample.crop[:2]
        canvas[top : top + height, left : left + width] = sr[:height, :width]
        return canvas

    total = hashlib.sha256()
    for pair_id in sorted(found):
        total.update(pair_id.encode() + found[pair_id].read_bytes())
    info = MethodInfo(
        name=slug(title),
        title=title,
        group=group,
        references="unknown",
        gan=gan,
        year=datetime.now(UTC).year,
        paper="",
        parameters=None,
        weights=Weights("unknown", "SR images from outside", total.hexdigest()),
        verified="unknown",
    )
    return Predictor(info, predict, origin="folder")
