"""Several methods on several data sets under several protocols: the plans of ``refsr-bench run``, one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Leak, Result
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.evaluate.checks import must_stack, refuse_leaks
from refsr_bench.evaluate.loading import ALL, Choice, load_methods
from refsr_bench.evaluate.loop import Track, evaluate
from refsr_bench.evaluate.metrics import Metric
from refsr_bench.evaluate.plan import Pictures, Plan
from refsr_bench.evaluate.predictors import method_predictor, stacking
from refsr_bench.protocols.base import Protocol

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """The measurements that a person asks for.

    name: another name for the one method's row and folder. limit: only the first pairs; such runs are never ranked.
    allow_leaks: measure pairs whose reference gives the answer away; their records say so.
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


@dataclass(frozen=True)
class _Task:
    dataset: Dataset
    protocol: Protocol
    pairs: tuple[RefPair, ...]
    leaks: Mapping[str, Leak]


def run_session(
    session: Session, out: Path, fresh: bool = False, track: Callable[[str], Track] | None = None
) -> Iterator[tuple[Result, Path]]:
    """Carry out every plan of a session; yield sealed results and their folders, one after the other.

    Missing or impossible input is reported before hours pass: leaks are looked for, and named methods loaded, before
    the first pair is predicted. track: makes a progress bar from a few words. Raises like ``evaluate`` and
    ``load_methods``.
    """
    if session.name and (len(session.choice.names) > 1 or ALL in session.choice.names):
        raise Misuse("--name is for a single --method.")
    loading = load_methods(session.choice)
    if ALL not in session.choice.names:
        loading = iter(list(loading))  # loads named methods now; of ``all``, one at a time is held
    tasks = [_task(session, dataset, protocol) for dataset in session.datasets for protocol in session.protocols]
    for card, loaded in loading:
        for task in tasks:
            plan = _plan(session, task, card, loaded)
            what = f"{plan.predictor.info.name} on {task.dataset.name}"
            yield evaluate(plan, out, fresh=fresh, **({"track": track(what)} if track else {}))


def _task(session: Session, dataset: Dataset, protocol: Protocol) -> _Task:
    pairs = dataset.pairs[: session.limit]
    return _Task(dataset, protocol, pairs, refuse_leaks(dataset, protocol, pairs, session.allow_leaks))


def _plan(session: Session, task: _Task, card: MethodCard, loaded: LoadedMethod) -> Plan:
    predictor = method_predictor(card, loaded, session.choice.device, session.name)
    if must_stack(predictor.info, task.protocol, task.dataset, task.pairs):
        log.warning("%s takes one reference: all are stacked into one image.", predictor.info.name)
        predictor = stacking(predictor)
    return Plan(
        predictor=predictor,
        dataset=task.dataset,
        protocol=task.protocol,
        metrics=session.metrics,
        pairs=task.pairs,
        leaks=task.leaks,
        pictures=session.pictures,
        command=session.command,
    )
