"""The words of refsr-bench: images, pairs, samples, and the four kinds of cards.

Everything that crosses a boundary between two parts of the toolkit is defined here, without heavy libraries.
An *image* is always ``uint8 H x W x 3 RGB``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias, overload

import numpy as np

from refsr_bench.core.schema import FoundBy, LeakKind, Variation

Image: TypeAlias = np.ndarray  # uint8, H x W x 3, RGB


@dataclass(frozen=True)
class Correspondence:
    """Positions at which points of an input image were found in a reference.

    points, targets (n, 2) float32, (x, y): pixels of the HR image and of the reference; the centre of the first pixel
    is (0, 0). A matcher need not find every point. confidence (n,): 0 to 1 (a cosine, for instance); None if not
    stated.
    """

    points: np.ndarray
    targets: np.ndarray
    confidence: np.ndarray | None = None


Match: TypeAlias = Callable[[Image, Image, int], Correspondence]
"""``match(lr, ref, scale)`` finds where pixels of the HR image that LR was made from lie in the reference."""


@dataclass(frozen=True)
class Upright:
    """A whole reference that is turned and scaled as the image is, on a canvas of its own.

    image: uint8 (H, W, 3). source: float32 (H, W, 2), (x, y), the place in the reference that each pixel shows.
    """

    image: Image
    source: np.ndarray


@dataclass(frozen=True)
class View:
    """A reference warped into the frame of the HR image that LR was made from.

    image: uint8 (h*scale, w*scale, 3). source: float32 (h*scale, w*scale, 2), (x, y), the place in the reference that
    each pixel shows, in its pixels. valid: bool (h*scale, w*scale), False where the view shows nothing that can be
    trusted. found_by: what told how the reference lies. reference: its number, from 0. upright: the whole reference,
    for whoever looks for matches in the rest of it; None if it stands as the image does already.
    """

    image: Image
    source: np.ndarray
    valid: np.ndarray
    found_by: FoundBy
    reference: int = 0
    upright: Upright | None = None


Propose: TypeAlias = Callable[[int, Correspondence | None], Sequence[View]]
"""``propose(reference, correspondence)`` proposes views of one reference, the best first; none if none is believed.

correspondence: what the method itself found in that reference; None if it finds nothing of its own.
"""


@dataclass(frozen=True)
class Prediction:
    """A method's output for one LR image. sr: (h*scale, w*scale, 3). correspondence: with its first reference.

    views: those that were used. shares: the share of the image that took each, 0 to 1, as far as the method tells.
    tile: the side of the tiles that it was made in, in LR pixels; None for the whole image at once.
    """

    sr: Image
    correspondence: Correspondence | None = None
    views: tuple[View, ...] = ()
    shares: tuple[float, ...] = ()
    tile: int | None = None


Predict: TypeAlias = Callable[[Image, Sequence[Image], int], Prediction]
"""``predict(lr, refs, scale)`` takes LR (h, w, 3) and any number of references of any size."""

PredictViews: TypeAlias = Callable[[Image, Sequence[Image], int, Propose], Prediction]
"""``predict_views(lr, refs, scale, propose)`` uses views beside the untouched references and chooses for each patch."""


@dataclass(frozen=True)
class ImageSource:
    """One image that is read when asked for.

    name: its name in results and messages (normally a file name).
    load: reads it, ``uint8 H x W x 3 RGB``; raises BenchError naming the file when it cannot.
    path: the file behind it; None for images made by the package.
    level: similarity level of a reference, 1 = most similar (CUFED5's L1); None if the data set defines none.
    """

    name: str
    load: Callable[[], Image]
    path: Path | None = None
    level: int | None = None


class Truth(Protocol):
    """The true correspondence of a pair: where points of the HR image lie in the first reference."""

    def targets(self, points: np.ndarray) -> np.ndarray:
        """Map (n, 2) HR pixels (x, y) to (n, 2) reference pixels, float64; arbitrary where ``valid`` is False."""

    def valid(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: whether the point is inside the HR image and visible in the reference."""


@dataclass(frozen=True)
class RefPair:
    """One evaluation item: an HR image and its ordered references (most similar first).

    facts: what a person may read about the pair, by name; no decision depends on them.
    truth: makes the true correspondence with the first reference; None if unknown.
    variation: the image that the pair was made from and how, in a data set that holds several levels.
    position: the pair's number in the published set, from 1, if fixed lists of references count by it.
    """

    id: str
    hr: ImageSource
    refs: tuple[ImageSource, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    truth: Callable[[], Truth] | None = None
    variation: Variation | None = None
    position: int | None = None


@dataclass(frozen=True)
class Sample:
    """A pair as a protocol hands it to a method.

    hr: the pixels that are scored. lr: what the method gets. refs: what the method gets, in order.
    crop: (top, left, height, width) of ``hr`` inside the method's output; the rest of the output is padding.
    ref_names: the references chosen, as results record them.
    """

    id: str
    hr: Image
    lr: Image
    refs: tuple[Image, ...]
    scale: int
    crop: tuple[int, int, int, int]
    ref_names: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A data set opened at a root: cards and pairs; a pair reads its pixels when asked.

    It counts, yields and indexes its pairs: ``len(data)``, ``data[0]``. A slice, ``data[:10]``, is a part of the same
    data set: runs of parts share records and are never ranked.

    manifest_sha256: digest over the names and contents of every file of the pairs, those of the whole set in a part.
    official: True when the pairs are the published ones; otherwise ``notes`` says why not.
    variation: the data set that this one was made from, and how; None for an original one.
    leak: "by construction" if the references were made from HR images. "none" says nothing about single pairs, which
    ``data.leaks`` checks. whole: the number of pairs of the whole set, in a part of it; None for the whole set.
    """

    name: str
    title: str
    pairs: tuple[RefPair, ...]
    manifest_sha256: str
    official: bool
    notes: tuple[str, ...] = ()
    root: Path | None = None
    variation: Variation | None = None
    leak: LeakKind = "none"
    whole: int | None = None

    @property
    def n_pairs(self) -> int:
        """The number of pairs of the whole data set."""
        return len(self.pairs) if self.whole is None else self.whole

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[RefPair]:
        return iter(self.pairs)

    @overload
    def __getitem__(self, place: int) -> RefPair: ...

    @overload
    def __getitem__(self, place: slice) -> Dataset: ...

    def __getitem__(self, place: int | slice) -> RefPair | Dataset:
        if isinstance(place, slice):
            return replace(self, pairs=self.pairs[place], whole=self.n_pairs)
        return self.pairs[place]

    def __bool__(self) -> bool:
        return True
