"""The cards of data sets, metrics, methods and matchers: what each is, and how to load it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refsr_bench.core.schema import NO_WEIGHTS, UNKNOWN_ARITHMETIC, Arithmetic, Code, Level, Origin, Verified, Weights
from refsr_bench.core.types import Dataset, Match, Predict, PredictViews


@dataclass(frozen=True)
class PublishedFile:
    """A file that its owners publish: its name, or a pattern of it, its place, and notes (training data, terms).

    home: a page. url: the direct address; "" where a person has to get the file. sha256: its digest, or the first
    digits of it, as they or a catalogue of such files state it; "" if nobody does. license: "" if unknown.
    """

    file: str
    home: str
    facts: str = ""
    name: str = ""
    url: str = ""
    sha256: str = ""
    license: str = ""

    @property
    def is_pattern(self) -> bool:
        """True if the name is not known exactly."""
        return "*" in self.file


@dataclass(frozen=True)
class DatasetCard:
    """One data set that refsr-bench knows: what it is, where its owners publish it, how it lies on disk.

    open: ``open(root) -> Dataset``; raises Misuse when nothing is there, BenchError when files are damaged.
    embedded: the package itself makes the set, which needs no root.
    folder: the folder below the data root where it is looked for.
    withheld: why nobody may publish its pictures without a permission of their own; "" where anybody may.
    archives: the files in which its owners publish it, all of which are needed; those that have a direct address.
    """

    name: str
    title: str
    description: str
    open: Callable[[Path | None], Dataset]
    home: str
    terms: str
    layout: str
    n_pairs: int | None = None
    refs_per_pair: str = "1"
    folder: str = ""
    embedded: bool = False
    withheld: str = ""
    archives: tuple[PublishedFile, ...] = ()


@dataclass(frozen=True)
class WeightsFile(PublishedFile):
    """A file of weights. name: what commands call it; its file name if "". companion: of use beside another alone."""

    companion: bool = False


@dataclass(frozen=True)
class GatheredSet:
    """The value of a metric of a whole set. parts: the crops that it was computed from, a count."""

    value: float
    parts: int


@dataclass(frozen=True)
class MetricCard:
    """One metric. ``load(device, weights) -> compute``; ``compute(sr, hr, border, y_rounded) -> float``.

    Both images are ``uint8 H x W x 3 RGB`` of equal size. level: "image", or "set" for a metric of all images together.
    ``load`` of such a one returns ``gather(sizes, pairs) -> GatheredSet``: sizes are (height, width) of all images
    without their borders, pairs these images, (SR, HR). direction: "higher" or "lower" is better. version: raised when
    the metric gives different values. get: what to do when the weights of its network are missing, in a sentence; ""
    for a metric without weights. file: these weights. package: a distribution that it needs and that is installed on
    its own.
    """

    name: str
    title: str
    direction: str
    unit: str
    digits: int
    description: str
    load: Callable[[str, Path | None], Callable[..., Any]]
    version: int = 1
    get: str = ""
    file: WeightsFile | None = None
    package: str = ""
    level: Level = "image"


@dataclass(frozen=True)
class LoadedMethod:
    """A method ready to run: the call, and the facts that results record about it.

    parameters: the network's, a count; None if unknown. variant: a word for the deviation from the method's card; it
    becomes part of the name in results. options: the same deviation as fields. match: finds the method's own
    correspondences with one reference; None if it has none to show. origin: "command" for a program that runs once per
    image, "function" for somebody's own Python. code: the code that runs, if it is not the card's own module.
    arithmetic: tiling and numbers of the network. predict_views: like ``predict``, for a method that chooses between
    views of a reference and the reference itself. scale: the only scale that it gives; None if it takes any. guessed:
    its file was recognised and does not tell all that the network depends on, so each SR image is compared with LR.
    bytes_per_pixel: memory that it takes at most for each pixel of SR, with a reference of twice that size; None if
    nobody measured it, 0 for a method that looks after its memory itself. deep: LR may be uint16 too, and SR is then
    uint16.
    """

    predict: Predict
    weights: Weights = NO_WEIGHTS
    parameters: int | None = 0
    variant: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    match: Match | None = None
    origin: Origin = "measured"
    code: Code | None = None
    arithmetic: Arithmetic = UNKNOWN_ARITHMETIC
    predict_views: PredictViews | None = None
    bytes_per_pixel: int | None = None
    deep: bool = False
    scale: int | None = None
    guessed: bool = False


@dataclass(frozen=True)
class LoadedMatcher:
    """A matcher ready to run. weights, variant, code: as in ``LoadedMethod``.

    oracle: the matcher gets the HR image, with scale 1, instead of LR, because it has to see the ground truth.
    """

    match: Match
    weights: Weights = NO_WEIGHTS
    variant: str = ""
    oracle: bool = False
    code: Code | None = None


@dataclass(frozen=True)
class MatcherCard:
    """A card of something that finds correspondences without making an SR image.

    ``load(weights, device)`` makes it ready.
    """

    name: str
    title: str
    year: int
    paper: str
    description: str
    load: Callable[[Path | None, str], LoadedMatcher]
    version: int = 1


@dataclass(frozen=True)
class MethodCard:
    """One method. ``load(weights, device) -> LoadedMethod``; weights None means the method's own default.

    group: "SISR" or "Ref-SR". references: "none", "one" or "many", what one call uses.
    gan: trained with an adversarial loss (such rows are shaded in tables).
    matching: ways of matching to choose from, the default first; ``load`` then takes one as ``matching=``.
    parameters: trainable ones of the network as published. gmacs: 10^9 multiply-accumulates for a 160x160 LR image (and
    a 640x640 reference), matching included. files: the checkpoints that its authors publish. verified: what the
    implementation was checked against, see ``schema.VERIFIED``. version: raised when the method gives different images.
    guesses: decisions that the sources leave open.
    bundled: the file of weights that comes with the package; None for most. system: the network, how weights are read
    into it and how it is trained (``refsr_bench.learning.system.System``); None for methods without one.
    """

    name: str
    title: str
    group: str
    references: str
    gan: bool
    year: int
    paper: str
    description: str
    load: Callable[..., LoadedMethod]
    matching: tuple[str, ...] = ()
    parameters: int = 0
    gmacs: float = 0.0
    files: tuple[WeightsFile, ...] = ()
    verified: Verified = "nothing"
    version: int = 1
    guesses: tuple[str, ...] = ()
    bundled: Path | None = None
    system: Any = None
