"""Prepares metrics, and applies them to one SR image."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import GatheredSet, MetricCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import Lacking, MetricInfo
from refsr_bench.core.types import Image, Sample
from refsr_bench.evaluation.code_identity import code_of_card
from refsr_bench.protocols.base import Protocol
from refsr_bench.registry.places import located

log = logging.getLogger(__name__)

Compute = Callable[[Image, Image, int, bool], float]


@dataclass(frozen=True)
class Metric:
    """A metric ready to be computed: ``compute(sr, hr, border, y_rounded)``, see ``MetricCard``.

    compute: None if something that it needs is missing, which ``lacks`` names, and for a metric of all images together,
    which has ``gather``, see ``MetricCard``.
    """

    card: MetricCard
    compute: Compute | None
    lacks: Lacking = "nothing"
    gather: Callable[[Sequence[tuple[int, int]], Iterable[tuple[Image, Image]]], GatheredSet] | None = None

    @property
    def info(self) -> MetricInfo:
        card, code = self.card, code_of_card(self.card)
        version = code.sha256 or code.version
        facts = card.name, card.title, card.direction, card.unit, card.digits
        return MetricInfo(*facts, self.lacks, version, card.level)


NO_FILES: Mapping[str, Path] = {}


def files_by_name(options: Sequence[str]) -> dict[str, Path]:
    """Return ``METRIC=FILE`` options as files by metric. Raises Misuse for an unknown metric or one without a file."""
    found = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals or not path:
            raise Misuse(f"--metric-weights {option}: write METRIC=FILE, for example dists=vgg16.pth.")
        if catalogue.get("METRICS", name).file is None:
            raise Misuse(f"--metric-weights {option}: {name} needs no file.")
        found[name] = Path(path)
    return found


def lacking(card: MetricCard) -> Lacking:
    """Return what a metric lacks on this machine, without a download. Raises BenchError for a damaged file."""
    if card.package and find_spec(card.package) is None:
        return "package"
    return "weights" if card.file and located(card.file) is None else "nothing"


def load_metrics(names: Iterable[str], device: str, files: Mapping[str, Path] = NO_FILES) -> tuple[Metric, ...]:
    """Load metrics of the catalogue. files: of their networks, by the metric's name, where a person names them.

    A metric whose weights or package are missing stays without values, which the log says once and results state,
    unless its file was given: then its BenchError is raised.
    """
    ready = []
    for card in [catalogue.get("METRICS", name) for name in names]:
        given = files.get(card.name)
        if card.package and find_spec(card.package) is None:
            log.warning("%s stays empty: %s is not installed.", card.title, card.package)
            ready.append(Metric(card, None, "package"))
            continue
        try:
            loaded = card.load(device, given)
        except BenchError as error:
            if given is not None:
                raise
            log.warning("%s stays empty: %s", card.title, error.__cause__ or error)  # tables say what to do
            ready.append(Metric(card, None, "weights"))
        else:
            whole = card.level == "set"
            ready.append(Metric(card, None if whole else loaded, gather=loaded if whole else None))
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
