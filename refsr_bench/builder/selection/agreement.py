"""Measures annotators' agreement by the share of equal decisions and by Cohen's kappa, which corrects for chance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from refsr_bench.builder.project import Project
from refsr_bench.builder.selection.decisions import valid


@dataclass(frozen=True)
class Agreement:
    """The agreement of several annotators, over the queries that at least two of them decided.

    same: share of pairs of decisions that are equal. The other fields are Cohen's kappa, averaged over pairs of people
    and NaN when chance alone explains everything. reference: whether there is a proper one. choice: which one,
    identified by its rank (when everybody takes the first, that is little evidence). category: what the query shows.
    """

    annotators: tuple[str, ...]
    queries: int
    same: float
    reference: float
    choice: float
    category: float

    def __str__(self) -> str:
        """One sentence for a terminal."""
        if not self.queries:
            return f"{len(self.annotators)} annotators; no query was decided by more than one"
        choice, reference, category = map(_shown, (self.choice, self.reference, self.category))
        return (
            f"{len(self.annotators)} annotators; of {self.queries} queries decided by several, {self.same:.0%} of the "
            f"decisions agree; Cohen's kappa: {choice} which reference, {reference} whether there is one, "
            f"{category} category"
        )


def _shown(kappa: float) -> str:
    return "undefined" if math.isnan(kappa) else f"{kappa:.2f}"


def agreement(project: Project) -> Agreement:
    """Compute the agreement of everybody who decided something."""
    people = valid(project)
    decided = {
        name: {query: standing for query, standing in found.items() if standing.decided}
        for name, found in people.standings.items()
    }
    decided = {name: found for name, found in decided.items() if found}
    place = {(query, row.file): n for query, rows in people.candidates.items() for n, row in enumerate(rows, 1)}
    # ranks, not files: files differ between queries, so chance agreement would always be zero
    choices = {
        name: {query: place[query, s.choice] if s.choice else 0 for query, s in found.items()}
        for name, found in decided.items()
    }
    proper = {name: {query: n > 0 for query, n in found.items()} for name, found in choices.items()}
    named = {name: {query: s.category for query, s in found.items() if s.category} for name, found in decided.items()}
    counts = Counter(query for found in decided.values() for query in found)
    pairs = [a[q] == b[q] for a, b in combinations(choices.values(), 2) for q in a.keys() & b.keys()]
    return Agreement(
        tuple(sorted(decided)),
        sum(count > 1 for count in counts.values()),
        fmean(pairs) if pairs else math.nan,
        mean_kappa(proper),
        mean_kappa(choices),
        mean_kappa(named),
    )


def cohen_kappa(a: Sequence[object], b: Sequence[object]) -> float:
    """Cohen's kappa of two people's labels for the same items: agreement beyond chance, 1 = full, 0 = chance.

    Returns NaN without items, or when both gave one and the same label to everything, because chance then explains it
    all. Raises ValueError for sequences of different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels and {len(b)} labels")
    if not a:
        return math.nan
    # Cohen 1960: (observed - chance) / (1 - chance), with chance from how often each of the two gives each label
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
    ours, theirs = Counter(a), Counter(b)
    chance = sum(count * theirs[label] for label, count in ours.items()) / len(a) ** 2
    return math.nan if chance == 1 else (observed - chance) / (1 - chance)


def mean_kappa(labels: Mapping[str, Mapping[str, object]]) -> float:
    """The mean of ``cohen_kappa`` over all pairs of people. labels: ``{person: {item: label}}``.

    Each pair is compared over the items that both labelled. Pairs without a kappa are left out; NaN when none is left.
    """
    kappas = []
    for a, b in combinations(labels.values(), 2):
        both = sorted(a.keys() & b.keys())
        kappas.append(cohen_kappa([a[item] for item in both], [b[item] for item in both]))
    return fmean(found) if (found := [kappa for kappa in kappas if not math.isnan(kappa)]) else math.nan
