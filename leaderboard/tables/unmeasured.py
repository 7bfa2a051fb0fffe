"""Metrics that a protocol asks for and that nobody could measure: what to say about them."""

from __future__ import annotations

from collections.abc import Iterable

from refsr_bench.core import catalogue
from refsr_bench.core.schema import Result


def unmeasured(results: Iterable[Result]) -> tuple[str, ...]:
    """Return a sentence for each metric that some run lacks, and each reason: how many runs, and what to do."""
    runs = [result.run for result in results]
    lacking = [metric for run in runs for metric in run.metrics if metric.lacks != "nothing"]
    known = catalogue.collect("METRICS") if lacking else {}
    found = []
    for (name, lacks), title in {(metric.name, metric.lacks): metric.title for metric in lacking}.items():
        count = sum((metric.name, metric.lacks) == (name, lacks) for metric in lacking)
        where = f" in {count} of {len(runs)} runs" if count < len(runs) else ""
        card = known.get(name)
        get = {"weights": card.get, "package": f"pip install {card.package}"}[lacks] if card else ""
        found.append(f"{title} not measured{where}: {lacks} missing" + (f", {get}." if get else "."))
    return tuple(found)
