"""Manga109 as the SR field uses it: one page of each of the 109 volumes, any names, one folder.

The set has no references. Papers draw another page at random. Here the references of a page are *all* other pages in
the order of their names, and the protocol's list says which one is used.
"""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, first_folder, images_in
from refsr_bench.pixels.images import source

CANDIDATES = ("", "Manga109", "manga109", "HR")


def _open(root: Path | None) -> Dataset:
    base = first_folder(root, CANDIDATES, lambda folder: bool(images_in(folder)))
    if base is None:
        for volumes in (root, root / "images"):
            if volumes.is_dir() and sum(1 for folder in volumes.iterdir() if images_in(folder)) > 1:
                raise BenchError(
                    f"{volumes}: holds folders of pages, as the full release does. The SR set is one page per volume "
                    f"({CARD.layout}); which page is published nowhere: copy the pages you compare on into one folder."
                )
        raise absent(CARD, root)
    pages = [source(path) for path in by_id(images_in(base)).values()]
    if len(pages) < 2:
        raise BenchError(f"{base}: one page only ({pages[0].name}); a page's references are the other pages.")
    pairs = [
        RefPair(page.path.stem, page, (*pages[:k], *pages[k + 1 :]), {"source": "Manga109, (c) the authors"})
        for k, page in enumerate(pages)
    ]
    return assemble(CARD, base, pairs)


CARD = DatasetCard(
    name="manga109",
    title="Manga109",
    description="One page of each of 109 manga volumes; the reference is another page, drawn by the protocol.",
    open=_open,
    home="http://www.manga109.org (academic use, on request)",
    terms="academic use; redistribution to third parties forbidden, crops included; attribution to the authors",
    withheld="redistribution is forbidden",
    layout="109 images in one folder, one page per volume, any names",
    n_pairs=109,
    refs_per_pair="108 (every other page)",
    folder="Manga109",
)
DATASETS = (CARD,)
