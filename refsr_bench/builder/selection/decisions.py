"""What annotators decided: a log that loses nothing, what it comes to for each query, and how well people agree.

``selection.jsonl`` has one line per click: time, annotator, query, choice (a candidate's ``file`` or null), category,
action. "select" and "reject" (no proper reference) decide, "category" says what the query shows, and "undo" takes back
the annotator's latest standing line about its query. Lines are only ever appended, and are on the disk before anybody
is told so.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import CATEGORIES, Cleaned, Selected
from refsr_bench.core.errors import Misuse
from refsr_bench.core.journal import Journal

SELECT, REJECT, CATEGORY, UNDO = "select", "reject", "category", "undo"
ACTIONS = (SELECT, REJECT, CATEGORY, UNDO)
AUTO = "auto"
MAX_NAME = 40


@dataclass(frozen=True)
class Decision:
    """One line of the log. choice: the candidate's file, only with SELECT. category: the one in force afterwards."""

    time: str
    annotator: str
    query: str
    choice: str | None
    category: str
    action: str


@dataclass(frozen=True)
class Standing:
    """What an annotator's lines about one query come to. choice: a candidate's file; rejected: it has no proper one."""

    choice: str | None = None
    rejected: bool = False
    category: str = ""

    @property
    def decided(self) -> bool:
        return self.rejected or self.choice is not None


class Log(Journal[Decision]):
    """``selection.jsonl`` of a project."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _parse, "decision")

    def add(self, make: Callable[[list[Decision]], Decision | None]) -> list[Decision]:
        """``extend`` by one line at most."""
        return self.extend(lambda log: [line] if (line := make(log)) is not None else [])


def _parse(values: Any) -> Decision:
    decision = Decision(**values)
    words = (decision.time, decision.annotator, decision.query, decision.category)
    fits = all(isinstance(word, str) for word in words) and decision.action in ACTIONS
    if not fits or not (isinstance(decision.choice, str) if decision.action == SELECT else decision.choice is None):
        raise ValueError
    return decision


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def person(name: str, known: Iterable[str] = ()) -> str:
    """An annotator's name as it is written down; one that differs from a known one only in case is that one.

    Raises Misuse for names that cannot stand in a list of names.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > MAX_NAME or "," in name or not name.isprintable():
        raise Misuse(f"{name!r} is no name for an annotator: 1 to {MAX_NAME} letters, without a comma.")
    if name.casefold() == AUTO:
        raise Misuse(f"An annotator cannot be called {AUTO}: that stands for a choice nobody looked at.")
    return next((other for other in known if other.casefold() == name.casefold()), name)


def history(log: Iterable[Decision], annotator: str) -> list[tuple[str, Standing]]:
    """An annotator's lines that nobody took back, in order: the query, and how it stood after the line."""
    made: list[tuple[str, Standing]] = []
    for line in log:
        if line.annotator != annotator:
            continue
        if line.action == UNDO:
            last = next((i for i in range(len(made) - 1, -1, -1) if made[i][0] == line.query), None)
            if last is not None:
                del made[last]
            continue
        standing = Standing(line.choice, line.action == REJECT, line.category)
        if line.action == CATEGORY:
            before = next((s for query, s in reversed(made) if query == line.query), Standing())
            standing = replace(before, category=line.category)
        made.append((line.query, standing))
    return made


def standings(log: Sequence[Decision]) -> dict[str, dict[str, Standing]]:
    """``{annotator: {query: Standing}}`` of everybody in the log."""
    return {name: dict(history(log, name)) for name in dict.fromkeys(line.annotator for line in log)}


def ranked(project: Project) -> dict[str, list[Cleaned]]:
    """The kept candidates of every kept query, most similar first."""
    found: dict[str, list[Cleaned]] = {query.id: [] for query in project.kept_queries}
    for row in project.cleaned:
        if row.kept and row.query in found:
            found[row.query].append(row)
    return {query: sorted(rows, key=lambda row: row.rank) for query, rows in found.items()}


def resolve(project: Project) -> list[Selected]:
    """What the annotators' decisions come to: one row per query that somebody decided, or that has no candidate.

    Most voices win. Between candidates with equally many, the more similar one; between a candidate and "no proper
    reference", the latter: where people are in doubt, the pair is left out. A choice that cleaning has removed since
    does not count. agreement: share of those who decided this query that decided so. The category is the one most of
    them gave, the earlier one of CATEGORIES among equals, or the query's own.
    """
    people = _valid(project)
    rows = []
    for query in project.kept_queries:
        candidates = [row.file for row in people.candidates[query.id]]
        votes = {name: found[query.id] for name, found in people.standings.items() if query.id in found}
        decided = {name: standing for name, standing in votes.items() if standing.decided}
        if not decided and candidates:
            continue
        counts = Counter(standing.choice for standing in decided.values())
        choice = min(counts, key=lambda c: (-counts[c], candidates.index(c) if c else -1), default=None)
        named = Counter(standing.category for standing in votes.values() if standing.category in CATEGORIES)
        category = min(named, key=lambda c: (-named[c], CATEGORIES.index(c)), default=query.category)
        agreement = counts[choice] / len(decided) if decided else 1.0
        rows.append(Selected(query.id, choice or "", category, ",".join(sorted(decided)), agreement))
    return rows


def auto(project: Project) -> list[Selected]:
    """The most similar candidate of each query with at least ``min_inliers`` verified matches; none where none has."""
    rows = []
    for query, candidates in ranked(project).items():
        best = next((row.file for row in candidates if row.inliers >= project.settings.min_inliers), "")
        rows.append(Selected(query, best, "", AUTO))
    own = {query.id: query.category for query in project.kept_queries}
    return [replace(row, category=own[row.query]) for row in rows]


@dataclass(frozen=True)
class Agreement:
    """How well several annotators agree, over the queries that at least two of them decided.

    same: share of pairs of decisions that are equal. The rest is Cohen's kappa, the mean over pairs of people, NaN
    where chance alone explains everything: reference, whether there is a proper one; choice, which one, told apart by
    rank (everybody taking the first is little evidence); category, what the query shows.
    """

    annotators: tuple[str, ...]
    queries: int
    same: float
    reference: float
    choice: float
    category: float

    def __str__(self) -> str:
        """In one sentence, for a terminal or a data card."""
        if not self.queries:
            return f"{len(self.annotators)} annotators; no query was decided by more than one"
        kappas = f"{self.choice:.2f} which reference, {self.reference:.2f} whether there is one"
        return (
            f"{len(self.annotators)} annotators; of {self.queries} queries decided by several, {self.same:.0%} of the "
            f"decisions agree; Cohen's kappa: {kappas}, {self.category:.2f} category"
        ).replace("nan", "undefined")


def agreement(project: Project) -> Agreement:
    """Agreement of everybody who decided something."""
    people = _valid(project)
    decided = {
        name: {query: standing for query, standing in found.items() if standing.decided}
        for name, found in people.standings.items()
    }
    decided = {name: found for name, found in decided.items() if found}
    place = {(query, row.file): n for query, rows in people.candidates.items() for n, row in enumerate(rows, 1)}
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

    NaN without items, and where both gave one and the same label to everything: then chance explains it all.
    Raises ValueError for sequences of different lengths.
    """
    if len(a) != len(b):
        raise ValueError(f"{len(a)} labels and {len(b)} labels")
    if not a:
        return math.nan
    observed = sum(x == y for x, y in zip(a, b, strict=True)) / len(a)
    ours, theirs = Counter(a), Counter(b)
    chance = sum(count * theirs[label] for label, count in ours.items()) / len(a) ** 2
    return math.nan if chance == 1 else (observed - chance) / (1 - chance)


def mean_kappa(labels: Mapping[str, Mapping[str, object]]) -> float:
    """The mean of ``cohen_kappa`` over all pairs of people; labels: ``{person: {item: label}}``.

    Each pair is compared over the items both labelled. Pairs without a kappa are left out; NaN when none is left.
    """
    kappas = []
    for a, b in combinations(labels.values(), 2):
        both = sorted(a.keys() & b.keys())
        kappas.append(cohen_kappa([a[item] for item in both], [b[item] for item in both]))
    return fmean(found) if (found := [kappa for kappa in kappas if not math.isnan(kappa)]) else math.nan


@dataclass(frozen=True)
class _People:
    candidates: dict[str, list[Cleaned]]
    standings: dict[str, dict[str, Standing]]


def _valid(project: Project) -> _People:
    """Everybody's standings about kept queries; a choice that is no kept candidate (any more) counts as none."""
    candidates = ranked(project)
    kept = {(query, row.file) for query, rows in candidates.items() for row in rows}
    people = {
        name: {
            query: replace(standing, choice=standing.choice if (query, standing.choice) in kept else None)
            for query, standing in found.items()
            if query in candidates
        }
        for name, found in standings(Log(project.selection_log).read()).items()
    }
    return _People(candidates, people)
