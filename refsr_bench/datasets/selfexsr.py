"""The standard SISR sets in the layout of the SelfExSR release, or as a plain folder of HR images.

HR images are ``image_SRF_4/img_NNN_SRF_4_HR.png``. The ``_LR.png`` beside them are ignored, because the protocol makes
its own LR. There are no references: Ref-SR papers use Urban100's own LR image, which the protocol decides as well.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from refsr_bench.core.cards import DatasetCard, PublishedFile
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, first_folder, images_in
from refsr_bench.pixels.images import source

_HR_STEM = re.compile(r"(img_\d+)_SRF_4_HR")
_ANY_STEM = re.compile(r"img_\d+_SRF_\d+_(HR|LR)")

# The release's archives of all results, HR among them, as its README gives them; it has no more addresses for Set5 and
# Set14, which other repositories give. Nobody states digests, so what was unpacked is checked.
_HOME = "https://github.com/jbhuang0604/SelfExSR"
_BOX = "https://uofi.box.com/shared/static/"
RESULTS = {
    "urban100": "65upg43jjd0a4cwsiqgl6o6ixube6klm.zip",
    "bsd100": "qgctsplb8txrksm9to9x01zfa4m61ngq.zip",
    "set5": "kfahv87nfe8ax910l85dksyl2q212voc.zip",
    "set14": "igsnfieh4lz68l926l8xbklwsnnk8we9.zip",
}

# The digests of the release's manifests, for the sets that we could get.
DIGESTS = {
    "set5": "76d6e68fc603a185b23ef375a4d0fe55705d92c244dcef8440388b79eb5d52c8",
    "set14": "cdb3f0c66325b530a88f041c75f571160369f126e02f51a30adac318ffbb7ba9",
}


def _open(name: str, root: Path | None) -> Dataset:
    card = CARDS[name]
    above = ("", f"{card.title}/", f"data/{card.title}/")
    candidates = [f"{folder}{below}" for folder in above for below in ("image_SRF_4", "HR", "")]
    base = first_folder(root, candidates, lambda folder: bool(_released(folder) or _plain(folder)))
    if base is None:
        raise absent(card, root)
    released = _released(base)
    files = released or _plain(base)
    pairs = [RefPair(pair_id, source(path), ()) for pair_id, path in files.items()]
    differences = [] if released else ["file names are not those of the SelfExSR release"]
    return assemble(card, base, pairs, differences, official_digest=DIGESTS.get(name))


def _released(folder: Path) -> dict[str, Path]:
    return by_id(images_in(folder), lambda stem: m[1] if (m := _HR_STEM.fullmatch(stem)) else None)


def _plain(folder: Path) -> dict[str, Path]:
    return by_id(images_in(folder), lambda stem: None if _ANY_STEM.fullmatch(stem) else stem)


def _card(name: str, title: str, published: int, description: str) -> DatasetCard:
    return DatasetCard(
        name=name,
        title=title,
        description=description,
        open=partial(_open, name),
        home=_HOME,
        terms="unknown: the repository carries no licence for the images; do not redistribute",
        withheld="no licence is known",
        layout="image_SRF_4/img_NNN_SRF_4_HR.png, or a plain folder of HR images",
        n_pairs=published,
        refs_per_pair="0",
        folder=title,
        archives=(PublishedFile(RESULTS[name], _HOME, url=f"{_BOX}{RESULTS[name]}"),),
    )


DATASETS = (
    _card("urban100", "Urban100", 100, "Huang et al. 2015: buildings; Ref-SR papers use the LR image as reference."),
    _card("set5", "Set5", 5, "Five classic images; for checking a protocol against published bicubic rows."),
    _card("set14", "Set14", 14, "Fourteen classic images, three of them grey; for checking a protocol."),
    _card("bsd100", "BSD100", 100, "The 100 test images of BSDS300; for checking a protocol."),
)
CARDS = {card.name: card for card in DATASETS}
