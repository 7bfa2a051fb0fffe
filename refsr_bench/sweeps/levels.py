"""The levels of a change of the reference (paper section 5.4, Fig. 6): how far it turns, shrinks or degrades.

References are made from the input's own HR image, so the true correspondence is known everywhere.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean
from refsr_bench.core.types import Dataset, RefPair, Truth
from refsr_bench.data.split.making import transformed, unrelated
from refsr_bench.data.split.reading import at_level
from refsr_bench.data.texture import texture_subset
from refsr_bench.geometry.kinds import GIVEN, KINDS, LEVELS, UNRELATED, level_names
from refsr_bench.geometry.truth import truth_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Level:
    """The data set at one level. truth(pair id): its true correspondence; None if there is none.

    pairs: those to measure.
    """

    name: str
    dataset: Dataset
    pairs: tuple[RefPair, ...]
    truth: Callable[[str], Truth] | None


def parse_levels(text: str | None, transform: str, dataset: Dataset) -> tuple[str, ...]:
    """Parse ``small,medium``, ``0,10,20`` or ``wide`` into level names; None gives the default ones.

    ``UNRELATED`` is always among them, because the reference gain needs it. Raises Misuse for an unknown transformation
    or level.
    """
    if transform not in (GIVEN, *KINDS):
        raise Misuse(f"There is no transformation called '{transform}'. {did_you_mean(transform, (GIVEN, *KINDS))}")
    own = tuple(dict.fromkeys(_split_levels(dataset)))
    known = (*(own or (GIVEN,)), UNRELATED) if transform == GIVEN else LEVELS
    names = list(known) if text is None else [part.strip() for part in text.split(",") if part.strip()]
    if transform != GIVEN:
        names = level_names(transform, names)
    elif strange := [name for name in names if name not in known]:
        raise Misuse(f"--levels {text}: {dataset.name} has no level '{strange[0]}', only {', '.join(known)}.")
    if not set(names) - {UNRELATED}:
        raise Misuse(f"--levels '{text}' names no level of {transform}.")
    return tuple(dict.fromkeys([*(name for name in names if name != UNRELATED), UNRELATED]))


def _split_levels(dataset: Dataset) -> list[str]:
    """Return the level of every pair of a split that 'build transform' wrote, none for other data sets."""
    return [pair.variation.level for pair in dataset.pairs if pair.variation]


def open_levels(
    dataset: Dataset,
    transform: str,
    names: Sequence[str],
    limit: int | None = None,
    only: Iterable[str] | None = None,
) -> list[Level]:
    """Return the data set at every level of a transformation; with ``GIVEN``, its own references and truth.

    only: ids of the images to keep; limit: only the first of these. The log says why there is no unrelated reference.
    Raises Misuse for a level out of range and, with ``GIVEN``, when no truth is known.
    """
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
                log.warning("No reference gain: %s", error)
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
    """Return the ids of the more textured half of the images, as the ablation does."""
    own = _split_levels(dataset)
    return texture_subset(at_level(dataset, own[0]) if own else dataset)


def _known(level: Level, pair_id: str) -> bool:
    try:
        return level.truth(pair_id) is not None
    except BenchError:
        return False
