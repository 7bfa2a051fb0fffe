"""Opens a split on disk as a data set: one pair per image and level, or only one level."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

from refsr_bench.core import files
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import Variation
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent
from refsr_bench.data.manifests import MANIFEST, file_sha256
from refsr_bench.data.split import manifest
from refsr_bench.data.split.making import NOTES
from refsr_bench.data.split.manifest import Entry
from refsr_bench.geometry.kinds import GIVEN
from refsr_bench.geometry.transformation import check
from refsr_bench.geometry.truth import NoTruth, TransformationTruth
from refsr_bench.pixels.images import source


def open_split(card: DatasetCard, root: Path) -> Dataset:
    """Open a split as one pair per image and level, with ids IMAGE_LEVEL. ``at_level`` takes one level out.

    Raises Misuse when there is no split, BenchError naming what is missing, damaged, or leads out of the folder.
    """
    if not (root / MANIFEST).is_file() or not (root / "input").is_dir():
        raise absent(card, root)
    found = manifest.read(root)
    paths = {name: files.inside(root, name) for name in sorted(found.files)}
    if missing := [name for name, path in paths.items() if not path.is_file()]:
        raise BenchError(f"{root}: {len(missing)} files missing: {some(missing)}. Build the split again.")
    if not paths:
        raise BenchError(f"{root}: begun and not finished. Give the command that began it again.")
    pairs = tuple(_pair(root, found.transform, entry) for entry in found.pairs)
    content = [found.pairs, [[name, file_sha256(path)] for name, path in paths.items()]]
    notes = (*NOTES, f"made from {found.source.name}: {found.transform}, {', '.join(found.levels)}")
    return Dataset(card.name, card.title, pairs, digest(content), False, notes, root, leak="by construction")


def _pair(root: Path, kind: str, entry: Entry) -> RefPair:
    made, truth = entry.transformation, NoTruth
    if made is not None:
        check(made, entry.hr_size, f"pair '{entry.id}'")
        truth = partial(TransformationTruth, made, entry.hr_size)
    hr, ref = (source(files.inside(root, name)) for name in (entry.hr, entry.ref))
    facts = {"level": entry.level, "image": entry.image}
    if entry.unrelated is not None:
        facts["unrelated"] = entry.unrelated
    ref = dataclasses.replace(ref, level=1)
    return RefPair(entry.id, hr, (ref,), facts, truth, Variation(entry.image, kind, entry.level))


def at_level(dataset: Dataset, level: str) -> Dataset:
    """Return the pairs of one level of an opened split, under their images' own ids.

    Raises Misuse naming the known levels.
    """
    pairs = tuple(
        dataclasses.replace(pair, id=pair.variation.base)
        for pair in dataset.pairs
        if pair.variation and pair.variation.level == level
    )
    if not pairs:
        levels = dict.fromkeys(pair.variation.level for pair in dataset.pairs if pair.variation)
        raise Misuse(f"{dataset.name} has no level '{level}'; it has {', '.join(levels) or 'none'}.")
    return dataclasses.replace(
        dataset,
        name=f"{dataset.name}.{level}",
        title=f"{dataset.title}, {level}",
        pairs=pairs,
        manifest_sha256=digest([dataset.manifest_sha256, level]),
        variation=Variation(dataset.name, GIVEN, level, dataset.title),
    )
