"""Pairs made of noise, for tests of protocols."""

from pathlib import Path

import numpy as np

from refsr_bench.core.types import Dataset, ImageSource, RefPair


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def image_source(image, name, level=None, path=None):
    return ImageSource(name, lambda: image, path, level)


def make_pair(pair_id="000", hr=(50, 66), refs=((44, 71), (60, 52)), position=None):
    """HR and references of the given sizes; the references have levels 1, 2, ..."""
    sources = tuple(image_source(noise(*size, k), f"{pair_id}_{k}.png", k) for k, size in enumerate(refs, 1))
    return RefPair(pair_id, image_source(noise(*hr), f"{pair_id}_0.png"), sources, position=position)


def manga(k, n=109):
    """Page ``k`` (from 0) of ``n``, with all others as its references, as the loader offers them."""
    pages = [image_source(noise(40, 40, i), f"{chr(97 + i % 26)}{i}.png", None, Path(f"p{i}.png")) for i in range(n)]
    pages.sort(key=lambda page: page.name)
    return RefPair(pages[k].name, pages[k], (*pages[:k], *pages[k + 1 :])), [page.name for page in pages]


def make_dataset(name, images, paths=None, root=None):
    paths = paths or [None] * len(images)
    pairs = tuple(
        RefPair(str(k), image_source(image, f"{k}.png", path=path), ())
        for k, (image, path) in enumerate(zip(images, paths, strict=True))
    )
    return Dataset(name, name, pairs, "0" * 64, False, root=root)
