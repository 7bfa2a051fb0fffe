"""Measures methods and matchers over the levels of one change of the reference: ``refsr-bench robustness``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMethod, MatcherCard, MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import Result
from refsr_bench.core.types import Dataset
from refsr_bench.evaluation.loading import ALL, Choice, load_methods, weights_by_name
from refsr_bench.evaluation.loop import Track
from refsr_bench.evaluation.metrics import load_metrics
from refsr_bench.evaluation.plan import Predictor
from refsr_bench.evaluation.predictors import matcher_predictor, method_predictor, viewing
from refsr_bench.evaluation.run_folder import Reuse, results_folder
from refsr_bench.learning.weights import SYNTHETIC
from refsr_bench.sweeps.ceiling import TRUTH, ceiling, refuse_unknown
from refsr_bench.sweeps.levels import UNRELATED, open_levels, parse_levels, texture_ids
from refsr_bench.sweeps.measure import RobustnessPlan, measure, protocol_for
from refsr_bench.views.proposals import parse
from refsr_bench.views.using import Proposals, proposals_of

Measured = dict[str, tuple[Result, Path]]
"""The sealed result and folder of one method or matcher at every level."""


@dataclass(frozen=True)
class RobustnessStudy:
    """The measurements that a person asks for.

    transform, levels: see ``levels.parse_levels``. methods, matchers: names of the catalogue. weights: ``[NAME=]PATH``,
    or ``synthetic``. limit: only the first images. textured: only the more textured half. views: those that methods and
    matchers are given, one after the other: spellings of ``views.proposals.parse``, and ``ceiling.TRUTH``. matching:
    the ways in which methods match that offer a choice, one after the other; none for the methods' own.
    """

    dataset: Dataset
    transform: str
    methods: tuple[str, ...]
    matchers: tuple[str, ...]
    levels: str | None = None
    weights: tuple[str, ...] = ()
    limit: int | None = None
    textured: bool = False
    device: str = "cpu"
    views: tuple[str, ...] = ("none",)
    matching: tuple[str, ...] = ()
    command: str = ""


def plan_of(study: RobustnessStudy, out: Path) -> RobustnessPlan:
    """Open the levels and load the metrics. out: the results folder.

    Raises Misuse for an unknown transformation or level, for views that cannot be made, and when there is nothing to
    measure.
    """
    views_of(study.views)
    if not study.methods and not study.matchers:
        raise Misuse("There is nothing to measure: give --method or --matcher.")
    names = parse_levels(study.levels, study.transform, study.dataset)
    if not study.methods:  # matchers cannot gain from a reference
        names = tuple(name for name in names if name != UNRELATED)
    only = texture_ids(study.dataset) if study.textured else None
    levels = open_levels(study.dataset, study.transform, names, study.limit, only)
    if TRUTH in study.views:
        refuse_unknown((pair for level in levels for pair in level.pairs), study.dataset.name)
    protocol = protocol_for(catalogue.get("PROTOCOLS", "c2"))
    metrics = load_metrics((protocol.psnr, protocol.ssim), study.device) if study.methods else ()
    return RobustnessPlan(tuple(levels), protocol, metrics, folder(study, out) / "runs", study.command)


def folder(study: RobustnessStudy, out: Path) -> Path:
    """Return the folder of a data set's robustness results below a results folder."""
    return out / "robustness" / slug(study.dataset.name)


def views_of(texts: Sequence[str]) -> tuple[Proposals | None, ...]:
    """Return what proposes views for each spelling, each once; None for no views. Raises Misuse for another."""
    found: dict[str, Proposals | None] = {}
    for text in texts:
        asked = None if text == TRUTH else parse(text)
        made = ceiling() if text == TRUTH else proposals_of(asked) if asked else None
        found.setdefault(made.name if made else "none", made)
    return tuple(found.values())


def run_study(
    study: RobustnessStudy, plan: RobustnessPlan, reuse: Reuse = "missing", track: Callable[[str], Track] | None = None
) -> Iterator[Measured]:
    """Measure every method, then every matcher, with all views over all levels.

    track: makes a progress bar from a few words.
    """
    results_folder(plan.folder)
    for predictor in _predictors(study):
        what = f"{predictor.info.name}, {study.transform}"
        bars = {"track": lambda level, what=what: track(f"{what} {level}")} if track else {}
        yield measure(plan, predictor, reuse, **bars)


def _predictors(study: RobustnessStudy) -> Iterator[Predictor]:
    cards: list[MatcherCard] = [catalogue.get("MATCHERS", name) for name in study.matchers]
    methods = tuple(catalogue.collect("METHODS")) if ALL in study.methods else study.methods
    given = [option for option in study.weights if option != str(SYNTHETIC)]
    files = weights_by_name(given, list(dict.fromkeys([*methods, *study.matchers])))
    # loaded here, so that missing weights are reported at once
    matchers = [card.load(files.get(card.name), study.device) for card in cards]
    views = views_of(study.views)
    if study.methods:
        own = [f"{name}={path}" for name, path in files.items() if name in methods]
        own += [option for option in study.weights if option == str(SYNTHETIC)]
        plain = ((method_predictor(card, loaded, study.device), loaded) for card, loaded in _loaded(study, tuple(own)))
        yield from _each_once(viewing(one, loaded, each) for one, loaded in plain for each in views)
    for card, loaded in zip(cards, matchers, strict=True):
        yield from _each_once(matcher_predictor(card, loaded, study.device, each) for each in views)


def _loaded(study: RobustnessStudy, weights: tuple[str, ...]) -> Iterator[tuple[MethodCard, LoadedMethod]]:
    """Load every method, those that offer a choice of matching once for each way that was asked for."""
    plain, choosing = study.methods, ()
    if study.matching:
        choosing = tuple(name for name in study.methods if name == ALL or catalogue.get("METHODS", name).matching)
        plain = tuple(name for name in study.methods if name not in choosing)
        if not choosing:
            raise Misuse(f"--matching {study.matching[0]}: none of these methods has a choice of matching.")
    choices = [(plain, None)] if plain else []
    choices += [(choosing, way) for way in study.matching]
    for names, way in choices:
        own = tuple(one for one in weights if ALL in names or one.partition("=")[0] in (*names, str(SYNTHETIC)))
        yield from load_methods(Choice(names, own, study.device, way))


def _each_once(predictors: Iterable[Predictor]) -> Iterator[Predictor]:
    """Leave out what is the same row again: a method without references or a choice of matching is always the same."""
    names: set[str] = set()
    for predictor in predictors:
        if predictor.info.name not in names:
            names.add(predictor.info.name)
            yield predictor
