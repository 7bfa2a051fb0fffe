"""Prepares metrics, and applies them to one SR image."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MetricCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import MetricInfo
from refsr_bench.core.types import Image, Sample
from refsr_bench.evaluation.code_identity import code_of_card
from refsr_bench.protocols.base import Protocol

log = logging.getLogger(__name__)

Compute = Callable[[Image, Image, int, bool], float]


@dataclass(frozen=True)
class Metric:
    """A metric ready to be computed: ``compute(sr, hr, border, y_rounded)``, see ``MetricCard``.

    compute: None if the weights of its network are missing.
    """

    card: MetricCard
    compute: Compute | None

    @property
    def info(self) -> MetricInfo:
        card, code = self.card, code_of_card(self.card)
        lacks = "weights" if self.compute is None else "nothing"
        version = code.sha256 or code.version
        return MetricInfo(card.name, card.title, card.direction, card.unit, card.digits, lacks, version)


NO_FILES: Mapping[str, Path] = {}


def load_metrics(names: Iterable[str], device: str, files: Mapping[str, Path] = NO_FILES) -> tuple[Metric, ...]:
    """Load metrics of the catalogue. files: those of their networks by the name of the metric, where a person names one.

    A metric whose weights cannot be had stays without values, which the log says once and results state, unless its
    file was given: then its BenchError is raised.
    """
    ready = []
    for card in [catalogue.get("METRICS", name) for name in names]:
        given = files.get(card.name)
        try:
            ready.append(Metric(card, card.load(device, given)))
        except BenchError as error:
            if given is not None:
                raise
            log.warning("%s stays empty: %s", card.title, error.__cause__ or error)  # tables say what to do
            ready.append(Metric(card, None))
    return tuple(ready)


def score(sr: Image, sample: Sample, protocol: Protocol, metrics: Sequence[Metric]) -> dict[str, float]:
    """Return unrounded values by metric of an SR image of the scored size, uint8 (H, W, 3).

    A metric that cannot be computed on so small an image is left out; a headline metric raises BenchError instead.
    """
    values = {}
    for metric in metrics:
        if metric.compute is None:
            continue
        try:
            values[metric.card.name] = float(metric.compute(sr, sample.hr, protocol.border, protocol.y_rounded))
        except BenchError:
            if metric.card.name in (protocol.psnr, protocol.ssim):
                raise
    return values
