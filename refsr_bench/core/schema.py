"""Run files, version 3: every fact of a run as a field, closed sets where a decision is made on it.

``Result`` is ``result.json``; its ``Run`` alone is ``run.json``; a line of ``images.jsonl`` is an ``ImageRecord``.
These structs are parser, validator and JSON Schema at once (``reader``). A set has "unknown" where files of older
versions, or strangers' code, do not say: nothing is guessed.

    python -m refsr_bench.core.schema      writes result.schema.json anew, after a change of a struct
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from refsr_bench.core import files, reader
from refsr_bench.core.reader import Count, Format, Infinite, Name, Real, Sha256, Text

SCHEMA_VERSION = 3
IDENTITY_VERSION = 1
"""Raised when ``Run.identity`` lists other facts, or states the same ones differently."""

LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-image", "opencv-python", "lpips", "numba")
"""The libraries whose code computes SR images and metrics, so that another version may give another number."""

FILE = Path(__file__).with_name("result.schema.json")

Kind = Literal["benchmark", "robustness", "ablation"]  # only benchmarks are ranked
Origin = Literal["measured", "function", "folder", "command", "published", "unknown"]
WeightsKind = Literal["none", "bundled", "authors", "own", "synthetic", "unknown"]
Verified = Literal[
    "real weights", "golden vectors", "golden vectors in part", "unofficial code", "text alone", "nothing", "unknown"
]
LeakKind = Literal["none", "duplicate", "crop", "by construction", "unknown"]
Timing = Literal["measured", "not measurable", "unknown"]
Tiling = Literal["whole", "strips", "tiles", "unknown"]
NumberType = Literal["float64", "float32", "float16", "bfloat16", "fixed point", "unknown"]
References = Literal["none", "one", "many", "unknown"]
Direction = Literal["higher", "lower"]
Level = Literal["image", "set"]
Lacking = Literal["nothing", "weights", "package"]
FoundBy = Literal["sift", "orb", "akaze", "aliked", "disk", "xfeat", "turns", "matches", "flow", "truth", "unknown"]

VERIFIED: dict[Verified, str] = {
    "real weights": "the authors' weights give the authors' outputs",
    "golden vectors": "outputs of the authors' code on weights made by formula",
    "golden vectors in part": "as golden vectors, but for one part, which the first guess names",
    "unofficial code": "outputs of somebody else's implementation on weights made by formula",
    "text alone": "no code to compare with: built from the paper's text as far as it says",
    "nothing": "nothing to verify",
    "unknown": "the run file does not say",
}
MARKS: dict[Verified, str] = {
    "text alone": "from the paper's text alone",
    "unofficial code": "after an unofficial implementation",
}
"""The mark in tables for a method whose implementation could not be checked against its authors'."""

IN_WORDS: dict[str, dict[str, str]] = {
    "weights": {
        "none": "none",
        "bundled": "come with the toolkit",
        "authors": "as the method's authors publish them",
        "own": "trained with this toolkit",
        "synthetic": "made by formula, never trained",
        "unknown": "of unknown origin",
    },
    "origin": {
        "measured": "a method of the catalogue",
        "function": "a function or network of somebody's own, called from Python",
        "command": "a program, run once for each image",
        "folder": "images that other code made",
        "published": "a publication",
        "unknown": "not recorded",
    },
    "timing": {
        "measured": "measured",
        "not measurable": "not measurable, as other code made the images",
        "unknown": "not recorded",
    },
    "tiling": {
        "whole": "whole images",
        "strips": "images in strips",
        "tiles": "images in tiles",
        "unknown": "not recorded",
    },
    "leak": {
        "none": "no leak found",
        "duplicate": "a reference is the ground truth itself",
        "crop": "a reference holds the ground truth, or a part of it",
        "by construction": "references are made from the ground truth",
        "unknown": "not recorded",
    },
    "found_by": {
        "sift": "SIFT",
        "orb": "ORB",
        "akaze": "AKAZE",
        "aliked": "ALIKED",
        "disk": "DISK",
        "xfeat": "XFeat",
        "turns": "a vote over turns and scales",
        "matches": "the method's own matches",
        "flow": "optical flow",
        "truth": "the true transformation",
        "unknown": "something not recorded",
    },
}
"""The names of the values of closed sets on pages and in messages."""

_Side = Annotated[int, Meta(ge=1, le=1_000_000)]


class Weights(Format):
    """The weights behind a run. name: what people call them. sha256: of the file or files; None if there are none.

    license: the terms under which their owners give them out; "" if unknown.
    """

    kind: WeightsKind
    name: Text
    sha256: Sha256 | None
    license: Text = ""

    @property
    def key(self) -> str:
        """The identity of a set of weights: the digest, or the name if there is none."""
        return self.sha256 or f"name:{self.name}"


LEAST_LR_PSNR = 20.0
"""PSNR in dB of SR, scaled down, against LR, below which the two are different images.

Networks that run as they were trained reach 25 dB even where they invent details; a wrong range gives 5 to 15.
"""

NO_WEIGHTS = Weights("none", "none", None)


class MethodInfo(Format):
    """The method's card at the time of measuring.

    group: "SISR", "Ref-SR", "matcher", or a name of one's own. parameters: network weights, a count; None if unknown.
    verified: what the implementation was checked against. notes: guesses and deviations. gmacs: 10^9
    multiply-accumulates for a 160x160 LR image and a 640x640 reference; None if nobody counted them for a network of
    this size. options: the deviations from the method's card ({"matching": "coarse"}).
    """

    name: Name
    title: Text
    group: Text
    references: References
    gan: bool
    year: Annotated[int, Meta(ge=1900, le=2200)]
    paper: Text
    parameters: Annotated[Count | None, Meta(description="Weights of the network, a count; null where unknown.")]
    weights: Weights
    verified: Verified = "nothing"
    notes: tuple[Text, ...] = ()
    gmacs: Annotated[
        Real | None,
        Meta(description="10^9 multiply-accumulates for a 160x160 LR image and a 640x640 reference."),
    ] = None
    options: Mapping[str, Text] = {}

    @property
    def ranked(self) -> bool:
        """True if numbers of this method can be compared with others; those of synthetic weights cannot."""
        return self.weights.kind != "synthetic" and self.group != "matcher"

    @property
    def mark(self) -> str:
        """A few words that tables show beside the title, empty for none."""
        return MARKS.get(self.verified, "")


class Variation(Format):
    """A data set made from another.

    base: the other's name. kind: what was changed ("rotation"). level: how far. title: the other's.
    """

    base: Name
    kind: Name
    level: Name
    title: Text = ""


class DatasetInfo(Format):
    """The data set at the time of measuring. n_pairs: pairs it holds, whether or not all were measured."""

    name: Name
    title: Text
    manifest_sha256: Sha256
    official: bool
    notes: tuple[Text, ...]
    n_pairs: Annotated[int, Meta(ge=1, le=10**9, description="Pairs the data set holds, measured or not.")]
    variation: Variation | None = None


class ProtocolInfo(Format):
    """The protocol.

    label: name plus overrides. digest: SHA-256 over ``fields``. psnr, ssim: its headline metrics. overrides: the names
    of the fields that differ from the protocol of that name, in alphabetical order.
    """

    label: Text
    name: Text
    version: Annotated[int, Meta(ge=1)]
    digest: Annotated[Sha256, Meta(description="SHA-256 of the fields as canonical JSON.")]
    summary: Text
    psnr: Text
    ssim: Text
    fields: Mapping[str, Any]
    overrides: tuple[Text, ...] = ()


class MetricInfo(Format):
    """One column.

    direction: "higher" or "lower" is better. digits: decimals when printed. lacks: what was missing to measure it;
    "weights" if the metric was asked for and no image has it, because its network's weights were not there, "package"
    if a package was not installed. level: "set" for a metric of all images together.
    version: the card's for a metric of this package, a digest of its code for one from somebody else's.
    """

    name: Name
    title: Text
    direction: Direction
    unit: Text
    digits: Annotated[int, Meta(ge=0, le=9)]
    lacks: Lacking = "nothing"
    version: Text = "1"
    level: Level = "image"


class Code(Format):
    """The code that ran.

    name: a method of this package, a module, or a command. version: the card's, or the distribution's.
    sha256: over the files that make it up; None if the version identifies them.
    """

    name: Text
    version: Text
    sha256: Sha256 | None

    @property
    def key(self) -> str:
        """The identity of the code: the digest of its files, or its name and version where there is none."""
        return self.sha256 or f"{self.name} {self.version}".rstrip()


class Machine(Format):
    """The machine that ran it. What is unknown is None.

    device: torch's name. versions: of libraries. threads: processor threads that the process may use. system: the
    operating system with its version, and the kind of processor. memory_mb: MiB that the process may use at most.
    accelerator: the GPU behind ``device``, by name.
    """

    device: Text
    versions: Mapping[str, Text]
    processor: Text | None = None
    threads: Count | None = None
    system: Text | None = None
    memory_mb: Annotated[Count | None, Meta(description="MiB that the process may use at most.")] = None
    accelerator: Text | None = None


class Arithmetic(Format):
    """The way the network ran, and its number format.

    tiling: on whole images; in strips, which give the same numbers; in tiles, which do not.
    """

    tiling: Tiling
    numbers: NumberType


UNKNOWN_ARITHMETIC = Arithmetic("unknown", "unknown")


class Leak(Format):
    """A leak of the ground truth through a reference. value: the correlation that revealed it; None for "none"."""

    kind: LeakKind
    value: Real | None = None


NO_LEAK, UNKNOWN_LEAK = Leak("none"), Leak("unknown")


class Run(Format):
    """``run.json``: what was measured and how. ``identity`` lists what its numbers depend on.

    kind: only benchmarks are ranked. origin: the source of the SR images. code: None if unknown. timing: whether
    ``cost`` says anything about the method. more_machines: those other than ``machine`` on which a resumed run went on.
    """

    method: MethodInfo
    dataset: DatasetInfo
    protocol: ProtocolInfo
    metrics: tuple[MetricInfo, ...]
    pair_ids: Annotated[
        tuple[Name, ...],
        Meta(
            max_length=reader.MOST_ITEMS,
            description="Pairs that were to be measured, in order.",
            extra_json_schema={"uniqueItems": True},
        ),
    ]
    machine: Machine
    kind: Kind = "benchmark"
    origin: Origin = "measured"
    code: Code | None = None
    timing: Timing = "measured"
    arithmetic: Arithmetic = UNKNOWN_ARITHMETIC
    more_machines: tuple[Machine, ...] = ()
    command: Text = ""
    started: Text = ""
    schema_version: Annotated[int, Meta(extra_json_schema={"const": SCHEMA_VERSION})] = SCHEMA_VERSION

    def identity(self) -> dict[str, Any]:
        """Return everything that the run's numbers depend on, pair by pair, as JSON values.

        Records are reused for an equal identity alone. Titles, notes and the like are no part of it, nor is the
        version of this package: an upgrade that changes no number measures nothing again.
        """
        versions = self.machine.versions
        return {
            "version": IDENTITY_VERSION,
            "kind": self.kind,
            "origin": self.origin,
            "method": {"name": self.method.name, "options": dict(self.method.options)},
            "weights": self.method.weights.key,
            "code": self.code.key if self.code else None,
            "arithmetic": reader.to_json(self.arithmetic),
            "dataset": {"name": self.dataset.name, "manifest_sha256": self.dataset.manifest_sha256},
            "protocol": self.protocol.digest,
            "metrics": {metric.name: metric.version for metric in self.metrics if metric.lacks == "nothing"},
            "libraries": {name: versions[name] for name in LIBRARIES if name in versions},
        }


Share = Annotated[float, Meta(ge=0, le=1)]
Place = tuple[Real, Real]


class ViewRecord(Format):
    """A view of a reference that a method was given.

    found_by: what told how the reference lies. reference: its number among those that the method was given, from 0.
    valid: the share of the scored image that it shows. share: the share that the method took from it; None if it does
    not tell. place: where the motion of most of the view puts the centres of the scored image's corner pixels in the
    reference, (x, y) in its pixels, clockwise from the top left; None if there is no such motion.
    """

    found_by: FoundBy
    reference: Count
    valid: Annotated[Share, Meta(description="Share of the scored image that the view shows, 0 to 1.")]
    share: Annotated[
        Share | None, Meta(description="Share that the method took from it; null if it does not tell.")
    ] = None
    place: Annotated[
        tuple[Place, Place, Place, Place] | None,
        Meta(description="Reference pixels (x, y) of the scored image's corners, clockwise from the top left."),
    ] = None


class ImageRecord(Format):
    """One image.

    metrics: by name, unrounded. refs: names of the references used. hr_size: (width, height) in pixels, as scored.
    cost: seconds, peak_memory_mb in MiB, and load, the cores that other processes kept busy. error: why it failed; None
    for an image that was measured. views: those of the references that the method was given, if any. lr_psnr: PSNR in
    dB of SR, scaled down, against LR, for a method that was recognised by its weights; None for others. tile: the side
    of the tiles that the image was made in, LR pixels; None for the whole image at once.
    """

    id: Text
    metrics: Mapping[str, Real | Infinite] = {}
    refs: tuple[Text, ...] = ()
    hr_size: Annotated[
        tuple[_Side, _Side] | None, Meta(description="Width and height that were scored, in pixels.")
    ] = None
    sr_sha256: Annotated[
        Sha256 | None, Meta(description="SHA-256 of the SR pixels, uint8 H x W x 3 RGB, row by row.")
    ] = None
    error: Annotated[Text | None, Meta(description="Why the image failed; null for one that was measured.")] = None
    cost: Annotated[
        Mapping[str, Annotated[float, Meta(ge=0, le=reader.LARGEST)]],
        Meta(description="seconds; peak_memory_mb in MiB; load: cores that other processes kept busy meanwhile."),
    ] = {}
    leak: Leak = UNKNOWN_LEAK
    views: tuple[ViewRecord, ...] = ()
    lr_psnr: Annotated[
        Real | None, Meta(description="PSNR in dB of SR, scaled down, against LR; null where it was not checked.")
    ] = None
    tile: Annotated[
        _Side | None, Meta(description="Side of the tiles it was made in, LR pixels; null for the whole image at once.")
    ] = None

    def __post_init__(self) -> None:
        if "inf" in self.metrics.values():
            finite = {name: math.inf if value == "inf" else value for name, value in self.metrics.items()}
            msgspec.structs.force_setattr(self, "metrics", finite)


class SetValue(Format):
    """The origin of the value of a metric of all images together.

    images: those it was computed from. parts: their crops, as the metric cuts them. of: SHA-256 over ``sr_sha256`` of
    these images, in their order.
    """

    value: Real
    images: Count
    parts: Annotated[Count, Meta(description="Crops of the images, as the metric cuts them.")]
    of: Sha256


class Result(Format):
    """``result.json``: a run with its records in the order of its pairs, and the plain means over measured images.

    sets: the values of metrics of all images together, which stand among ``means`` too.
    """

    run: Run
    images: tuple[ImageRecord, ...]
    means: Annotated[
        Mapping[str, Real | Infinite],
        Meta(description="Plain mean per metric over the images that have it; the value of a metric of the whole set."),
    ]
    finished: Annotated[Text, Meta(description="When the last image was measured, ISO 8601, UTC.")] = ""
    sets: Mapping[str, SetValue] = {}

    def __post_init__(self) -> None:
        if "inf" in self.means.values():
            finite = {name: math.inf if value == "inf" else value for name, value in self.means.items()}
            msgspec.structs.force_setattr(self, "means", finite)

    @property
    def measured(self) -> tuple[ImageRecord, ...]:
        """The images that were measured, without those that failed."""
        return tuple(image for image in self.images if image.error is None)

    @property
    def failed(self) -> tuple[ImageRecord, ...]:
        return tuple(image for image in self.images if image.error is not None)

    @property
    def sealed(self) -> bool:
        """True if every pair that was to be measured has a record, even one of a failure."""
        return len(self.images) == len(self.run.pair_ids)

    @property
    def complete(self) -> bool:
        """True if the result is fit for a ranking, because every pair of the data set was measured."""
        return self.sealed and not self.failed and len(self.run.pair_ids) == self.run.dataset.n_pairs


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``result.json`` as this version writes it."""
    return reader.json_schema(Result, f"urn:refsr-bench:result:{SCHEMA_VERSION}", "refsr-bench run file")


@cache
def published() -> dict[str, Any]:
    """Return the schema as shipped."""
    return json.loads(FILE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    files.write_text(FILE, json.dumps(result_schema(), indent=1, ensure_ascii=False) + "\n")
