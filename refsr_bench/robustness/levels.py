"""How far the reference can turn, shrink or spoil before a method or a matcher breaks (paper section 5.4, Fig. 6).

References are made from the input's own HR image, so true correspondence is known everywhere. That is a leak by
construction: such runs are records of the kind ``robustness``, which no ranking takes in. Methods give PSNR, SSIM and,
where they have correspondences, their end-to-point errors; matchers give these alone. Rows, intervals and figures are
made of these run files in ``leaderboard.statistics.robustness``.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from refsr_bench.core.cards import LoadedMatcher, MatcherCard, MetricCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug
from refsr_bench.core.schema import MethodInfo, Result
from refsr_bench.core.types import Correspondence, Dataset, Image, Match, RefPair, Sample, Truth
from refsr_bench.evaluate import runner
from refsr_bench.evaluate.runner import Compute, Extra, Predictor
from refsr_bench.geometry import correspondences
from refsr_bench.geometry.correspondences import MEASURES
from refsr_bench.geometry.kinds import GIVEN, KINDS, LEVELS, UNRELATED, level_name
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.protocols.base import Protocol

DEFAULT_LEVELS = LEVELS


def protocol_for(protocol: Protocol) -> Protocol:
    """A protocol that leaves the pixels of references where they are: the only reference, in its own size.

    Padding to a common size would tell the reference's scale by its black border, and an unrelated reference larger
    than the input would change LR.
    """
    return protocol.changed({"refs": "first", "ref_size": "native"})


# -- the levels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """The data set at one level. truth(pair id): its true correspondence; None where there is none to know.

    pairs: those to measure.
    """

    name: str
    dataset: Dataset
    pairs: tuple[RefPair, ...]
    truth: Callable[[str], Truth] | None


def parse_levels(text: str | None, transform: str, dataset: Dataset) -> tuple[str, ...]:
    """``small,medium`` or ``0,10,20`` as level names; None: the default ones. ``UNRELATED`` is always among them, the
    reference gain needs it. Raises Misuse for a transformation or a level that there is not."""
    if transform not in (GIVEN, *KINDS):
        near = difflib.get_close_matches(transform, (GIVEN, *KINDS), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join((GIVEN, *KINDS))}."
        raise Misuse(f"There is no transformation called '{transform}'. {hint}")
    own = tuple(dict.fromkeys(_split_levels(dataset)))
    known = (*(own or (GIVEN,)), UNRELATED) if transform == GIVEN else DEFAULT_LEVELS
    names = list(known) if text is None else [part.strip() for part in text.split(",") if part.strip()]
    if transform != GIVEN:
        names = [name if name == UNRELATED else level_name(transform, name) for name in names]
    elif strange := [name for name in names if name not in known]:
        raise Misuse(f"--levels {text}: {dataset.name} has no level '{strange[0]}', only {', '.join(known)}.")
    if not set(names) - {UNRELATED}:
        raise Misuse(f"--levels '{text}' names no level of {transform}.")
    return tuple(dict.fromkeys([*(name for name in names if name != UNRELATED), UNRELATED]))


def _split_levels(dataset: Dataset) -> list[str]:
    """The level of every pair of a split that 'data build transform' wrote, none for other data sets."""
    return [pair.variation.level for pair in dataset.pairs if pair.variation]


def open_levels(
    dataset: Dataset,
    transform: str,
    names: Sequence[str],
    limit: int | None = None,
    warn: Callable[[str], None] = lambda text: None,
    only: Iterable[str] | None = None,
) -> list[Level]:
    """The data set at every level of a transformation; with ``GIVEN``, its own references and true correspondences.

    only: ids of the images to keep; limit: of these the first. warn: is told why there is no unrelated reference.
    Raises Misuse for a level out of range and, with ``GIVEN``, when no truth is known.
    """
    from refsr_bench.data.split.making import transformed, unrelated
    from refsr_bench.data.split.reading import at_level
    from refsr_bench.geometry.truth import truth_of

    own = _split_levels(dataset) if transform == GIVEN else []
    levels = []
    for name in names:
        if name in own:
            made = at_level(dataset, name)
        elif name == UNRELATED:
            try:
                made = unrelated(at_level(dataset, own[0]) if own else dataset)
            except Misuse:
                raise
            except BenchError as error:
                warn(f"No reference gain: {error}")
                continue
        else:
            made = dataset if name == GIVEN else transformed(dataset, transform, name)
        levels.append(Level(name, made, made.pairs, None if name == UNRELATED else partial(truth_of, made)))
    if transform == GIVEN:
        told = {pair.id for level in levels if level.truth for pair in level.pairs if _known(level, pair.id)}
        if not told:
            raise Misuse(f"{dataset.name}: no true correspondences are known, so there is nothing to measure.")
        levels = [dataclasses.replace(level, pairs=tuple(p for p in level.pairs if p.id in told)) for level in levels]
    if only is not None:
        kept = set(only)
        levels = [dataclasses.replace(level, pairs=tuple(p for p in level.pairs if p.id in kept)) for level in levels]
    return [dataclasses.replace(level, pairs=level.pairs[:limit]) for level in levels]


def texture_ids(dataset: Dataset) -> list[str]:
    """The ids of the more textured half of the images, as the ablation has it."""
    from refsr_bench.data.split.reading import at_level
    from refsr_bench.data.texture import texture_subset

    own = _split_levels(dataset)
    return texture_subset(at_level(dataset, own[0]) if own else dataset)


def _known(level: Level, pair_id: str) -> bool:
    try:
        return level.truth(pair_id) is not None
    except BenchError:
        return False


# -- measuring -----------------------------------------------------------------------------------------------------


def matching_measures(match: Callable[[Sample], Correspondence], truth: Callable[[str], Truth]) -> Extra:
    """End-to-point errors beside what is measured of SR images."""

    def measure(pair: RefPair, sample: Sample) -> dict[str, float]:
        top, left, height, width = sample.crop
        found = match(sample)
        inside = dataclasses.replace(found, points=np.asarray(found.points) - np.array([left, top], np.float32))
        return correspondences.measure(inside, truth(pair.id), (height, width))

    return Extra(MEASURES, measure)


def matcher_predictor(
    card: MatcherCard, loaded: LoadedMatcher, device: str
) -> tuple[Predictor, Callable[[Sample], Correspondence]]:
    """A matcher as something the runner can time and record, and the matches it last made.

    The image that the runner records a digest of is bicubic; no metric looks at it.
    """
    last: dict[int, Correspondence] = {}

    def predict(pair: RefPair, sample: Sample) -> Image:
        if not sample.refs:
            raise BenchError(f"Pair '{pair.id}' has no reference to match.")
        lr, scale = (sample.hr, 1) if loaded.oracle else (sample.lr, sample.scale)
        last.clear()
        last[id(sample)] = loaded.match(lr, sample.refs[0], scale)
        height, width = sample.lr.shape[:2]
        return resize_pil_bicubic(sample.lr, sample.scale * height, sample.scale * width)

    variant = loaded.variant
    info = MethodInfo(
        name=f"matcher-{slug(card.name)}" + (f"-{slug(variant)}" if variant else ""),
        title=card.title + (f" ({variant})" if variant else ""),
        group="matcher",
        references="one",
        gan=False,
        year=card.year,
        paper=card.paper,
        parameters=0,
        weights=loaded.weights,
        notes=("a matcher: it makes no SR image; the recorded one is bicubic and is not measured",),
        verified="unknown",
    )
    return Predictor(info, predict, device), lambda sample: last[id(sample)]


def method_matches(match: Match) -> Callable[[Sample], Correspondence]:
    """A method's own correspondences, from what it is given."""
    return lambda sample: match(sample.lr, sample.refs[0], sample.scale)


def measure(
    predictor: Predictor,
    match: Callable[[Sample], Correspondence] | None,
    levels: Iterable[Level],
    protocol: Protocol,
    metrics: Mapping[str, tuple[MetricCard, Compute]],
    out: Path,
    *,
    fresh: bool = False,
    command: str = "",
    track: Callable[[str], Callable] = lambda level: lambda pairs, done: pairs,
) -> dict[str, tuple[Result, Path]]:
    """Run one method or matcher over all levels: sealed results and their folders, by level; resumable as any run.

    match: its correspondences; None: it has none. metrics: of SR images, none for a matcher.
    """
    done = {}
    for level in levels:
        extra = matching_measures(match, level.truth) if match and level.truth else None
        if extra is None and not metrics:
            continue
        done[level.name] = runner.evaluate(
            predictor, level.dataset, protocol, metrics, out, pairs=level.pairs, fresh=fresh, command=command,
            track=track(level.name), kind="robustness", extra=extra,
        )  # fmt: skip
    return done
