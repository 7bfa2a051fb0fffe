"""Defines what to measure: a plan, and the predictor that it measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from refsr_bench.core.names import slug
from refsr_bench.core.schema import (
    UNKNOWN_ARITHMETIC,
    UNKNOWN_LEAK,
    Arithmetic,
    Code,
    DatasetInfo,
    Kind,
    Leak,
    MethodInfo,
    MetricInfo,
    Origin,
    ProtocolInfo,
    Run,
)
from refsr_bench.core.types import Correspondence, Dataset, Prediction, RefPair, Sample
from refsr_bench.evaluation.machine import describe_machine
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.protocols.base import Protocol

Pictures = Literal["none", "images", "matches"]
"""The pictures that a run keeps: none; SR, and HR, LR and references once per data set; also correspondences."""


@dataclass(frozen=True)
class Predictor:
    """Something that gives an SR image per pair: a method, a matcher, or a folder of images that somebody else made.

    predict(pair, sample): SR of size LR x scale, uint8 (h, w, 3). match(sample, prediction): the correspondence with
    the first reference, seen as the prediction saw it; None if there is none to show. always_matches: its predictions
    already hold their correspondence. guessed: see ``LoadedMethod``.
    """

    info: MethodInfo
    predict: Callable[[RefPair, Sample], Prediction]
    device: str = "cpu"
    match: Callable[[Sample, Prediction], Correspondence] | None = None
    origin: Origin = "measured"
    code: Code | None = None
    arithmetic: Arithmetic = UNKNOWN_ARITHMETIC
    always_matches: bool = False
    guessed: bool = False

    @property
    def shows_matches(self) -> bool:
        """True if correspondences can be asked for."""
        return self.always_matches or self.match is not None


@dataclass(frozen=True)
class Extra:
    """Measures other than those of SR images.

    measure(pair, sample, prediction): the measures that can be taken, by name.
    """

    metrics: tuple[MetricInfo, ...]
    measure: Callable[[RefPair, Sample, Prediction], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """One predictor on one data set under one protocol.

    pairs: those to measure; None for all. kind: see ``schema.Run``. notes: facts about the data that results must
    carry. leaks: what ``checks`` found, by pair id; absent pairs were not checked. extra: measures of something other
    than the SR image.
    """

    predictor: Predictor
    dataset: Dataset
    protocol: Protocol
    metrics: tuple[Metric, ...]
    pairs: tuple[RefPair, ...] | None = None
    kind: Kind = "benchmark"
    notes: tuple[str, ...] = ()
    leaks: Mapping[str, Leak] = field(default_factory=dict)
    extra: Extra | None = None
    pictures: Pictures = "none"
    command: str = ""

    @property
    def chosen(self) -> tuple[RefPair, ...]:
        return self.dataset.pairs if self.pairs is None else self.pairs

    def folder(self, out: Path) -> Path:
        """Return the run's folder below a results folder: ``<protocol>/<dataset>/<method>``."""
        return out / slug(self.protocol.label) / slug(self.dataset.name) / self.predictor.info.name

    def leak(self, pair: RefPair) -> Leak:
        if self.dataset.leak == "by construction":
            return Leak("by construction")
        return self.leaks.get(pair.id, UNKNOWN_LEAK)

    def describe(self) -> Run:
        """Return the plan as ``run.json`` states it."""
        predictor = self.predictor
        return Run(
            method=predictor.info,
            dataset=_dataset_info(self.dataset, self.notes),
            protocol=_protocol_info(self.protocol),
            metrics=(*(metric.info for metric in self.metrics), *(self.extra.metrics if self.extra else ())),
            pair_ids=tuple(pair.id for pair in self.chosen),
            machine=describe_machine(predictor.device),
            kind=self.kind,
            origin=predictor.origin,
            code=predictor.code,
            timing="not measurable" if predictor.origin == "folder" else "measured",
            arithmetic=predictor.arithmetic,
            command=self.command,
            started=now(),
        )


def now() -> str:
    """Return the date and time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _dataset_info(dataset: Dataset, notes: tuple[str, ...]) -> DatasetInfo:
    return DatasetInfo(
        name=dataset.name,
        title=dataset.title,
        manifest_sha256=dataset.manifest_sha256,
        official=dataset.official,
        notes=(*dataset.notes, *notes),
        n_pairs=dataset.n_pairs,
        variation=dataset.variation,
    )


def _protocol_info(protocol: Protocol) -> ProtocolInfo:
    return ProtocolInfo(
        label=protocol.label,
        name=protocol.name,
        version=protocol.version,
        digest=protocol.digest,
        summary=protocol.summary,
        psnr=protocol.psnr,
        ssim=protocol.ssim,
        fields=protocol.fields(),
        overrides=tuple(protocol.overrides),
    )
