"""Makes the split in memory: the same inputs, each with one reference that is made from it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import Variation
from refsr_bench.core.types import Dataset, Image, ImageSource, RefPair
from refsr_bench.data.layout import size_of
from refsr_bench.data.leaks import BY_CONSTRUCTION
from refsr_bench.data.split.manifest import FORMAT
from refsr_bench.geometry.drawing import VERSION, draw
from refsr_bench.geometry.kinds import UNRELATED, level_name
from refsr_bench.geometry.transformation import Size, Transformation
from refsr_bench.geometry.truth import NoTruth, TransformationTruth
from refsr_bench.geometry.warping import apply

NOTES = (BY_CONSTRUCTION, "there is no published set: numbers compare only with runs on the same manifest digest")


@dataclass(frozen=True)
class Made:
    """The reference of one pair: its own input under ``transformation``, or the input of ``other``.

    size: (height, width) of the input.
    """

    original: RefPair
    size: Size
    transformation: Transformation | None = None
    other: RefPair | None = None

    def pair(self) -> RefPair:
        """Return the pair with that reference, which is made when it is asked for."""
        pair, made = self.original, self.transformation
        if made is None:
            ref = dataclasses.replace(self.other.hr, level=1)
            return RefPair(pair.id, pair.hr, (ref,), {**pair.facts, UNRELATED: self.other.id}, NoTruth)
        ref = ImageSource(f"{pair.id}_{made.kind}_{made.level}.png", partial(_load, pair.hr, made), level=1)
        return RefPair(pair.id, pair.hr, (ref,), pair.facts, partial(TransformationTruth, made, self.size))


def transformed(dataset: Dataset, kind: str, level: str | float, only: Iterable[str] | None = None) -> Dataset:
    """Return the same inputs, each with itself under a transformation, or with another input, as reference.

    kind, level: see ``drawing.draw``. only: ids of the pairs to keep; a pair's reference does not depend on the others.
    Raises Misuse for a level out of range or an unknown id, BenchError naming a pair of which too little stays visible.
    """
    if level == UNRELATED:
        return unrelated(dataset, only)
    level = level_name(kind, level)
    made = references(dataset, kind, level, only)
    drawn = [[each.original.id, each.transformation] for each in made]
    title = f"{dataset.title}, {kind}, {level}"
    return _dataset(dataset, title, Variation(dataset.name, kind, level, dataset.title), made, drawn)


def unrelated(dataset: Dataset, only: Iterable[str] | None = None) -> Dataset:
    """Return the same inputs, each with another pair's input as reference, which has no related content.

    The ids of the whole data set seed the assignment; no pair gets its own image. Raises BenchError when the data set
    has only one image.
    """
    made = _strangers(dataset, only)
    drawn = [[each.original.id, each.other.id] for each in made]
    # only the inputs count, whatever the references were
    own = dataset.variation
    base, title = (own.base, own.title) if own else (dataset.name, dataset.title)
    change = Variation(base, UNRELATED, UNRELATED, title)
    return _dataset(dataset, f"{dataset.title}, unrelated references", change, made, drawn)


def references(dataset: Dataset, kind: str, level: str, only: Iterable[str] | None = None) -> list[Made]:
    """Return the reference of every pair at one level, as ``level_name`` spells it; no image is made yet."""
    if level == UNRELATED:
        return _strangers(dataset, only)
    sizes = [(pair, size_of(pair.hr)) for pair in _chosen(dataset, only)]
    return [Made(pair, size, draw(kind, level, pair.id, size)) for pair, size in sizes]


def _strangers(dataset: Dataset, only: Iterable[str] | None) -> list[Made]:
    others = _deranged(dataset)
    return [Made(pair, size_of(pair.hr), other=others[pair.id]) for pair in _chosen(dataset, only)]


def _dataset(dataset: Dataset, title: str, variation: Variation, made: list[Made], drawn: list[Any]) -> Dataset:
    change = UNRELATED if variation.kind == UNRELATED else f"{variation.kind}.{variation.level}"
    return Dataset(
        name=f"{dataset.name}.{change}",
        title=title,
        pairs=tuple(each.pair() for each in made),
        manifest_sha256=digest([FORMAT, VERSION, dataset.manifest_sha256, drawn]),
        official=False,
        notes=(*NOTES, f"made from {dataset.name}"),
        variation=variation,
        leak="by construction",
    )


def _chosen(dataset: Dataset, only: Iterable[str] | None) -> list[RefPair]:
    if only is None:
        return list(dataset.pairs)
    wanted = set(only)
    if strange := sorted(wanted - {pair.id for pair in dataset.pairs}):
        raise Misuse(f"{dataset.name} has no pair called {some(strange)}.")
    return [pair for pair in dataset.pairs if pair.id in wanted]


def _load(hr: ImageSource, made: Transformation) -> Image:
    return apply(hr.load(), made)


def _deranged(dataset: Dataset) -> dict[str, RefPair]:
    """Assign another pair to every id by one round trip through all images in the order of their ids' SHA-256."""
    first: dict[str, RefPair] = {}  # several pairs may share one input
    for pair in sorted(dataset.pairs, key=lambda pair: pair.id):
        first.setdefault(str(pair.hr.path or pair.hr.name), pair)
    if len(first) < 2:
        raise BenchError(f"{dataset.name}: an unrelated reference needs a second image, and there is only one.")
    seed = f"{UNRELATED}|{VERSION}"
    images = sorted(first, key=lambda image: hashlib.sha256(f"{first[image].id}|{seed}".encode()).digest())
    # the last image is followed by the first
    after = {image: first[images[n - len(images) + 1]] for n, image in enumerate(images)}
    return {pair.id: after[str(pair.hr.path or pair.hr.name)] for pair in dataset.pairs}
