"""Keeps metrics ready between calls, because some have a network that takes a second to load."""

from __future__ import annotations

from collections.abc import Iterable

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MetricCard
from refsr_bench.core.errors import Misuse
from refsr_bench.evaluation.metrics import Compute, Metric, load_metrics

_READY: dict[tuple[str, str], Metric] = {}


def metrics_of(names: Iterable[str], device: str) -> tuple[Metric, ...]:
    """Return metrics as ``load_metrics`` loads them. One that lacks its weights is tried again the next time.

    Only metrics of single images are kept.
    """
    wanted = list(dict.fromkeys(names))
    for metric in load_metrics([name for name in wanted if (name, device) not in _READY], device):
        _READY[metric.card.name, device] = metric
    found = tuple(_READY[name, device] for name in wanted)
    for metric in found:
        if metric.compute is None:
            del _READY[metric.card.name, device]
    return found


def compute_of(name: str, device: str) -> Compute:
    """Return the function of a metric of single images, ``compute(sr, hr, border, y_rounded)``.

    Raises Misuse for an unknown name and a metric of whole data sets, BenchError when its weights or its package are
    missing.
    """
    ready = _READY.get((name, device))
    if ready and ready.compute:
        return ready.compute
    card: MetricCard = catalogue.get("METRICS", name)
    if card.level == "set":
        raise Misuse(f"{card.title} compares many images; `evaluate` and `score` measure it over a data set.")
    compute = card.load(device, None)
    _READY[name, device] = Metric(card, compute)
    return compute
