"""The cards of data sets, metrics, methods and matchers: what each is, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsr_bench.core.types import Dataset, Image, Match, Matches, Upscale


@dataclass(frozen=True)
class DatasetCard:
    """One data set the toolkit knows: what it is, where its owners publish it, how it lies on disk.

    open: ``open(root) -> Dataset``; raises Misuse when nothing is there, BenchError when files are damaged.
    embedded: made by the package itself, needs no root.
    folder: the folder below the data root where it is looked for.
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


@dataclass(frozen=True)
class MetricCard:
    """One metric. ``load(device, weights) -> compute``; ``compute(sr, hr, border, y_rounded) -> float``.

    Both images are ``uint8 H x W x 3 RGB`` of equal size. direction: "higher" or "lower" is better.
    """

    name: str
    title: str
    direction: str
    unit: str
    digits: int
    description: str
    load: Callable[[str, Path | None], Callable[[Image, Image, int, bool], float]]


@dataclass(frozen=True)
class LoadedMethod:
    """A method ready to run: the call, and which weights are behind it.

    weights: a name people recognise ("none", "bundled nano v2", a file name); weights_sha256: None without weights.
    variant: a word for what differs from the method as its card has it; it becomes part of the name in results.
    match: the method's own correspondences, None where it has none to show.
    """

    upscale: Upscale
    weights: str = "none"
    weights_sha256: str | None = None
    parameters: int = 0
    variant: str = ""
    match: Match | None = None


@dataclass(frozen=True)
class MatcherCard:
    """Something that finds correspondences without making an SR image. ``load(weights, device) -> match``."""

    name: str
    title: str
    year: int
    paper: str
    description: str
    load: Callable[[Path | None, str], Match]


@dataclass(frozen=True)
class WeightsFile:
    """A checkpoint that the authors of a method publish: its file name, where, and what is known of it (training data,
    terms)."""

    file: str
    home: str
    facts: str = ""


@dataclass(frozen=True)
class MethodCard:
    """One method. ``load(weights, device) -> LoadedMethod``; weights None means the method's own default.

    group: "SISR" or "Ref-SR". references: "none", "one" or "many", what one call makes use of.
    gan: trained with an adversarial loss (such rows are shaded in tables).
    matching: ways of matching to choose from, the default first; ``load`` then takes one as ``matching=``.
    parameters: of the network as published, trainable ones. gmacs: 10^9 multiply-accumulates for a 160x160 LR image
    (and a 640x640 reference), matching included. files: the checkpoints its authors publish. verified: against what the
    implementation was checked, one of ``VERIFIED``. guesses: what the sources leave open and was decided here.
    importer: ``importer(files, out, name)`` turns the authors' files into the one ``.safetensors`` file ``out``, which
    results then call ``name``, and returns the files it used. system: what training needs
    (``refsr_bench.learning.system.System``). Both are None for methods without weights or with a training of their own.
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
    verified: str = "nothing"
    guesses: tuple[str, ...] = ()
    importer: Callable[[Sequence[Path], Path, str], Sequence[Path]] | None = None
    system: Any = None


VERIFIED = {
    "real weights": "the authors' weights give the authors' outputs",
    "golden vectors": "outputs of the authors' code on weights made by formula",
    "golden vectors in part": "as golden vectors, but for one part, which the first guess names",
    "unofficial code": "outputs of somebody else's implementation on weights made by formula",
    "text alone": "no code to compare with: built from the paper's text as far as it says",
    "nothing": "nothing to verify",
}


@dataclass(frozen=True)
class LoadedMatcher:
    """A matcher with what results record of it. It is called like the function it holds.

    weights, weights_sha256, variant: as in ``LoadedMethod``. oracle: it is given the HR image, with scale 1, in place
    of LR, as a matcher that sees the ground truth must be.
    """

    match: Match
    weights: str = "none"
    weights_sha256: str | None = None
    variant: str = ""
    oracle: bool = False

    def __call__(self, lr: Image, ref: Image, scale: int) -> Matches:
        return self.match(lr, ref, scale)
