"""Several methods on several data sets under several protocols: the plans of ``refsr-bench run``, one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Result
from refsr_bench.core.types import Dataset
from refsr_bench.evaluation.checks import must_stack, refuse_leaks
from refsr_bench.evaluation.loading import ALL, Choice, load_methods
from refsr_bench.evaluation.loop import Track, evaluate
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.evaluation.plan import Pictures, Plan
from refsr_bench.evaluation.predictors import method_predictor, stacking, tiling, viewing
from refsr_bench.evaluation.run_folder import Reuse, results_folder
from refsr_bench.protocols.base import Protocol
from refsr_bench.views.using import proposals_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """The measurements that a person asks for.

    name: another name for the one method's row and folder. limit: only the first pairs; such runs are never ranked.
    allow_leaks: measure pairs whose reference gives the answer away; their records say so. made: methods that are ready
    already, instead of those of ``choice``.
    """

    choice: Choice
    datasets: tuple[Dataset, ...]
    protocols: tuple[Protocol, ...]
    metrics: tuple[Metric, ...]
    name: str | None = None
    limit: int | None = None
    allow_leaks: bool = False
    pictures: Pictures = "none"
    command: str = ""
    made: tuple[tuple[MethodCard, LoadedMethod], ...] = ()


def run_session(
    session: Session, out: Path, reuse: Reuse = "missing", track: Callable[[str], Track] | None = None
) -> Iterator[tuple[Result, Path]]:
    """Carry out every plan of a session; yield sealed results and their folders, one after the other.

    Missing or impossible input is reported before hours pass: leaks are looked for, and named methods loaded, before
    the first pair is predicted. track: makes a progress bar from a few words. Raises like ``evaluate`` and
    ``load_methods``.
    """
    several = len(session.choice.names or session.choice.weights) > 1
    if session.name and (several or ALL in session.choice.names):
        raise Misuse("--name is for a single --method.")
    loading = iter(session.made) if session.made else load_methods(session.choice)
    if ALL not in session.choice.names:
        loading = list(loading)  # loads named methods now; of ``all``, one at a time is held
        _check_scales(loading, session.protocols)
    tasks = []
    for dataset, protocol in product(session.datasets, session.protocols):
        pairs = dataset.pairs[: session.limit]
        leaks = refuse_leaks(dataset, protocol, pairs, session.allow_leaks)
        tasks.append({"dataset": dataset, "protocol": protocol, "pairs": pairs, "leaks": leaks})
    results_folder(out)
    views = proposals_of(session.choice.views) if session.choice.views else None
    for card, loaded in loading:
        for task in tasks:
            predictor = method_predictor(card, loaded, session.choice.device, session.name, session.choice.depends)
            plan = Plan(predictor, metrics=session.metrics, pictures=session.pictures, command=session.command, **task)
            if must_stack(predictor.info, plan.protocol, plan.dataset, plan.chosen):
                log.warning("%s takes one reference: all are stacked into one image.", predictor.info.name)
                plan = replace(plan, predictor=stacking(predictor))
            plan = replace(plan, predictor=viewing(plan.predictor, loaded, views))
            plan = replace(plan, predictor=tiling(plan.predictor, loaded, session.choice.tiling))
            what = f"{plan.predictor.info.name} on {plan.dataset.name}"
            yield evaluate(plan, out, reuse=reuse, standing=True, **({"track": track(what)} if track else {}))


def _check_scales(loading: Sequence[tuple[MethodCard, LoadedMethod]], protocols: Sequence[Protocol]) -> None:
    """Raise Misuse for a method that gives another scale than a protocol asks for."""
    for card, loaded in loading:
        for protocol in protocols:
            if loaded.scale not in (None, protocol.scale):
                raise Misuse(
                    f"{card.title} is for x{loaded.scale}, and the protocol {protocol.label} asks for "
                    f"x{protocol.scale}. --set scale={loaded.scale} measures it, under a protocol of its own."
                )
