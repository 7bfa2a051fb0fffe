"""Metrics that a protocol asks for and that nobody could measure: what to say about them."""

from __future__ import annotations

from collections.abc import Iterable

from refsr_bench.core import catalogue
from refsr_bench.core.schema import Result


def unmeasured(results: Iterable[Result]) -> tuple[str, ...]:
    """Return a sentence for each metric that some run lacks because of its weights: how many runs, and what to do."""
    runs = [result.run for result in results]
    lacking = [metric for run in runs for metric in run.metrics if metric.lacks == "weights"]
    known = catalogue.collect("METRICS") if lacking else {}
    found = []
    for name, title in {metric.name: metric.title for metric in lacking}.items():
        count = sum(metric.name == name for metric in lacking)
        get = known[name].get if name in known else ""
        where = f" in {count} of {len(runs)} runs" if count < len(runs) else ""
        found.append(f"{title} not measured{where}: weights missing" + (f", {get}." if get else "."))
    return tuple(found)
