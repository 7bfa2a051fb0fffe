"""CUFED training set of SRNTT: 11,871 pairs of 160x160 patches, ``input/`` and ``ref/`` with the same names."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, first_folder, images_in, require, size_differences
from refsr_bench.pixels.images import image_size, source

SIZE = (160, 160)
CANDIDATES = ("", "CUFED/train", "train", "CUFED")
_FACTS = {"source": "CUFED event albums (Flickr)"}


def _open(root: Path | None) -> Dataset:
    base = first_folder(root, CANDIDATES, lambda folder: (folder / "input").is_dir() or (folder / "ref").is_dir())
    if base is None:
        raise absent(CARD, root)
    hr, ref = by_id(images_in(base / "input")), by_id(images_in(base / "ref"))
    if not hr:
        raise BenchError(f"{base / 'input'}: holds no images. Expected {CARD.layout}.")
    require([path.name for stem, path in hr.items() if stem not in ref], "references", base / "ref")
    require([path.name for stem, path in ref.items() if stem not in hr], "inputs", base / "input")
    pairs = [RefPair(stem, source(path), (source(ref[stem]),), _FACTS) for stem, path in hr.items()]
    # References are not all 160x160 in the published set either, so only the inputs are checked.
    sizes = {path.name: image_size(path) for path in hr.values()}
    differences = size_differences(sizes, lambda w, h: (w, h) == SIZE, "160x160")
    return assemble(CARD, base, pairs, differences=differences)


CARD = DatasetCard(
    name="cufed-train",
    title="CUFED (training)",
    description="Training pairs of SRNTT, used by nearly every Ref-SR paper.",
    open=_open,
    home="https://github.com/ZZUTK/SRNTT (download links in its README)",
    terms="unknown: no licence found for the images; do not redistribute",
    withheld="no licence is known",
    layout="input/ and ref/ with the same file names",
    n_pairs=11871,
    folder="CUFED",
)
DATASETS = (CARD,)
