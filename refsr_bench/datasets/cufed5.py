"""CUFED5: 126 inputs with five references each.

``NNN_0.png`` is the ground truth, and ``NNN_1`` .. ``NNN_5`` are L1 .. L5.
"""

from __future__ import annotations

import re
from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, first_folder, images_in, require, size_differences
from refsr_bench.pixels.images import image_size, source

LEVELS = range(1, 6)
CANDIDATES = ("", "CUFED5", "CUFED/CUFED5", "CUFED/test/CUFED5", "test/CUFED5")
_STEM = re.compile(r"(\d{3})_([0-5])")


def _open(root: Path | None) -> Dataset:
    base = first_folder(root, CANDIDATES, lambda folder: any(_STEM.fullmatch(p.stem) for p in images_in(folder)))
    if base is None:
        raise absent(CARD, root)
    files = by_id(images_in(base), lambda stem: stem if _STEM.fullmatch(stem) else None)
    ids = sorted({stem[:3] for stem in files})
    require([f"{i}_{k}" for i in ids for k in (0, *LEVELS) if f"{i}_{k}" not in files], "images", base)
    pairs = [
        RefPair(
            id=i,
            hr=source(files[f"{i}_0"]),
            refs=tuple(source(files[f"{i}_{k}"], level=k) for k in LEVELS),
            facts={"source": "CUFED event albums (Flickr)"},
        )
        for i in ids
    ]
    differences = []
    if ids != [f"{n:03d}" for n in range(len(ids))]:
        differences.append(f"numbers are not 000 .. {len(ids) - 1:03d}")
    sizes = {path.name: image_size(path) for path in files.values()}
    differences += size_differences(sizes, lambda w, h: max(w, h) <= 500, "at most 500 pixels on the long side")
    return assemble(CARD, base, pairs, differences=differences)


CARD = DatasetCard(
    name="cufed5",
    title="CUFED5",
    description="Test set of SRNTT: photos from event albums, five references of falling similarity each.",
    open=_open,
    home="https://github.com/ZZUTK/SRNTT (download links in its README)",
    terms="unknown: no licence found for the images; do not redistribute",
    withheld="no licence is known, and private persons are in it",
    layout="NNN_0.png (input) with NNN_1.png .. NNN_5.png (references L1 .. L5)",
    n_pairs=126,
    refs_per_pair="5 (L1 .. L5)",
    folder="CUFED5",
)
DATASETS = (CARD,)
