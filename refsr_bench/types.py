"""The words of refsr-bench: images, pairs, samples, and the four kinds of cards.

Everything that crosses a boundary between two parts of the toolkit is defined here, with numpy alone.
An *image* is always ``uint8 H x W x 3 RGB``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

Image: TypeAlias = np.ndarray  # uint8, H x W x 3, RGB

Upscale: TypeAlias = Callable[[Image, Sequence[Image], int], Image]
"""``upscale(lr, refs, scale) -> sr``: LR (h, w, 3), any number of references of any size, SR (h*s, w*s, 3)."""


@dataclass(frozen=True)
class Matches:
    """Where points of an input image were found in a reference.

    points, targets (n, 2) float32, (x, y): pixels of the HR image, and of the reference; the first pixel's centre is
    (0, 0). A matcher need not find every point. confidence (n,): 0 .. 1 (a cosine, say), None where nothing is stated.
    """

    points: np.ndarray
    targets: np.ndarray
    confidence: np.ndarray | None = None


Match: TypeAlias = Callable[[Image, Image, int], Matches]
"""``match(lr, ref, scale)``: where pixels of the HR image that LR was made from lie in the reference."""


class BenchError(Exception):
    """Something a person can mend. The message says what is wrong, where, and what to do; no traceback is shown."""

    exit_code = 1


class Misuse(BenchError):
    """The command itself is wrong (unknown name, impossible option, absent dataset): exit code 2."""

    exit_code = 2


class NoWeights(Misuse):
    """A method was asked for that comes without weights, and none were given."""


@dataclass(frozen=True)
class ImageSource:
    """One image that is read when asked for.

    name: what results and messages call it (a file name, normally).
    load: reads it, ``uint8 H x W x 3 RGB``; raises BenchError naming the file when it cannot.
    path: the file behind it; None for images made by the package.
    level: similarity level of a reference, 1 = most similar (CUFED5's L1); None where the data set defines none.
    """

    name: str
    load: Callable[[], Image]
    path: Path | None = None
    level: int | None = None


@dataclass(frozen=True)
class RefPair:
    """One evaluation item: an HR image and its ordered references (most similar first)."""

    id: str
    hr: ImageSource
    refs: tuple[ImageSource, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """What a protocol makes of a RefPair.

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
    """A data set opened at a root: cards and pairs, no pixels until a pair is asked for them.

    manifest_sha256: digest over the names and contents of every file of the pairs.
    official: True when the pairs are the published ones; ``notes`` says why not otherwise.
    """

    name: str
    title: str
    pairs: tuple[RefPair, ...]
    manifest_sha256: str
    official: bool
    notes: tuple[str, ...] = ()
    root: Path | None = None

    def to_hf(self, streaming: bool = False):
        """The pairs as a Hugging Face ``datasets.Dataset`` (or ``IterableDataset`` when streaming)."""
        from refsr_bench.datasets.hf import to_hf

        return to_hf(self, streaming=streaming)


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
    (``baselines._system.System``). Both are None for methods without weights or with a training of their own.
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
