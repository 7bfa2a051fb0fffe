"""The embedded data set: CUFED5's shape (one input, references L1 .. L5) from photographs inside scikit-image.

Two pairs are real: input and references come from the left and the right photo of the Middlebury stereo pair
*motorcycle*, whose true disparity is known. The references of the others are synthetic: they are cut and warped from
the very photo that the input was cut from, which is far easier than a photo from the web. L5 is always another photo.
``data.sample_pictures`` makes the pixels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.types import Dataset, ImageSource, RefPair
from refsr_bench.data import sample_pictures
from refsr_bench.data.sample_pictures import MANIFEST_SHA256, PHOTOS, SCENES, WARPS, Scene


def _open(root: Path | None) -> Dataset:
    """Open the set. root is ignored, because the set is made in memory.

    Raises BenchError when scikit-image's files are not the known ones.
    """
    digest = sample_pictures.digest()
    notes = ("two real stereo pairs, six pairs with synthetic references: for trying things, not for ranking methods",)
    if digest != MANIFEST_SHA256:
        notes += ("the pixels made here differ from those of other machines; please report it",)
    pairs = tuple(_pair(pair_id, scene) for pair_id, scene in SCENES.items())
    return Dataset(CARD.name, CARD.title, pairs, digest, digest == MANIFEST_SHA256, notes)


def _pair(pair_id: str, scene: Scene) -> RefPair:
    hr, *refs = (
        ImageSource(f"{pair_id}_{level}.png", partial(sample_pictures.load, pair_id, level), level=level or None)
        for level in range(6)
    )
    truth = partial(sample_pictures.stereo_truth, pair_id) if scene.real else None
    return RefPair(pair_id, hr, tuple(refs), _facts(scene), truth)


def _facts(scene: Scene) -> dict[str, str]:
    files = list(dict.fromkeys(PHOTOS[key].file for key in (scene.photo, scene.other)))
    return {
        "kind": "real stereo pair" if scene.real else "synthetic views of one photo",
        "source": "scikit-image: " + ", ".join(files),
        "licence": PHOTOS[scene.photo].terms,
        "L1": "the right photo" if scene.real else WARPS[0][0],
        "L2": WARPS[1][0],
        "L3": WARPS[2][0],
        "L4": "another part of the photo",
        "L5": f"unrelated photo, scikit-image: {PHOTOS[scene.unrelated[0]].file}",
    }


CARD = DatasetCard(
    name="sample",
    title="Sample (scikit-image photographs)",
    description="Embedded, no download: eight pairs of CUFED5's shape, two of them real stereo photographs.",
    open=_open,
    home="https://scikit-image.org (inside its wheel)",
    terms="per photo, as scikit-image documents it (CC0, public domain, Middlebury 2014); nothing is redistributed",
    layout="made in memory",
    n_pairs=len(SCENES),
    refs_per_pair="5 (L1 .. L5)",
    embedded=True,
)
DATASETS = (CARD,)
