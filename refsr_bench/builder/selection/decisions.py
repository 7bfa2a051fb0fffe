"""Annotators' decisions: a log that loses nothing, and the choice it leads to for each query.

``selection.jsonl`` has one line per click: time, annotator, query, choice (a candidate's ``file`` or null), category,
action. The actions "select" and "reject" (no proper reference) decide, "category" says what the query shows, and "undo"
takes back the annotator's latest standing line about its query. Lines are only ever appended, and are on the disk
before the annotator is told so.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from refsr_bench.builder import tables
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import CATEGORIES, Cleaned, Selected
from refsr_bench.core import reader
from refsr_bench.core.errors import Misuse
from refsr_bench.core.journals import Journal
from refsr_bench.core.reader import Format, Text

Action = Literal["select", "reject", "category", "undo"]
SELECT, REJECT, CATEGORY, UNDO = get_args(Action)
AUTO = "auto"
MOST_BYTES = 256 << 20  # a million clicks
MAX_NAME = 40  # longest name of an annotator, in characters


class Decision(Format):
    """One line of the log. choice: the candidate's file, only with SELECT. category: the one in force afterwards."""

    time: Text
    annotator: Text
    query: Text
    choice: Text | None
    category: Text
    action: Action

    def __post_init__(self) -> None:
        if (self.choice is not None) != (self.action == SELECT):
            raise ValueError(f"a choice stands with '{SELECT}', and with nothing else")


@dataclass(frozen=True)
class Standing:
    """An annotator's lines about one query, combined.

    choice: a candidate's file. rejected: it has no proper reference.
    """

    choice: str | None = None
    rejected: bool = False
    category: str = ""

    @property
    def decided(self) -> bool:
        return self.rejected or self.choice is not None


class Log:
    """The ``selection.jsonl`` of a project. Any number of processes may add to it."""

    def __init__(self, path: Path) -> None:
        self._journal: Journal[Decision] = reader.journal(path, Decision, MOST_BYTES)
        self.read = self._journal.read

    def add(self, make: Callable[[list[Decision]], Decision | None]) -> list[Decision]:
        """Append what ``make`` returns for the lines so far, if anything; return all lines once they are on disk."""
        return self._journal.extend(lambda log: [line] if (line := make(log)) is not None else [])


def now() -> str:
    """Return the time of a line: ISO, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def person(name: str, known: Iterable[str] = ()) -> str:
    """Return an annotator's name as it is stored; a name that differs from a known one only in case is that one.

    Raises Misuse for names that cannot stand in a list of names.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > MAX_NAME or "," in name or not name.isprintable():
        raise Misuse(f"{name!r} is no name for an annotator: 1 to {MAX_NAME} letters, without a comma.")
    if name.casefold() == AUTO:
        raise Misuse(f"An annotator cannot be called {AUTO}: that stands for a choice nobody looked at.")
    return next((other for other in known if other.casefold() == name.casefold()), name)


def history(log: Iterable[Decision], annotator: str) -> list[tuple[str, Standing]]:
    """Return an annotator's lines that were not undone, in order: the query, and its standing after the line."""
    made: list[tuple[str, Standing]] = []
    for line in log:
        if line.annotator != annotator:
            continue
        if line.action == UNDO:
            # an undo names the query, so the line means the same whatever else was appended in the meantime
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
    """Return ``{annotator: {query: Standing}}`` for everybody in the log."""
    return {name: dict(history(log, name)) for name in dict.fromkeys(line.annotator for line in log)}


def ranked(project: Project) -> dict[str, list[Cleaned]]:
    """Return the kept candidates of every kept query, most similar first."""
    found: dict[str, list[Cleaned]] = {query.id: [] for query in project.kept_queries}
    for row in project.cleaned:
        if row.kept and row.query in found:
            found[row.query].append(row)
    return {query: sorted(rows, key=lambda row: row.rank) for query, rows in found.items()}


def resolve(project: Project) -> list[Selected]:
    """Combine the annotators' decisions: one row per query that somebody decided, or that has no candidate.

    The most votes win. A tie between candidates goes to the more similar one. A tie between a candidate and "no proper
    reference" goes to the latter, so doubtful pairs are left out. A choice that cleaning has since removed does not
    count. agreement: the share of this query's deciders who decided so. The category is the one that most of them gave
    (the earlier one of CATEGORIES in a tie), or else the query's own.
    """
    people = valid(project)
    rows = []
    for query in project.kept_queries:
        candidates = [row.file for row in people.candidates[query.id]]
        votes = {name: found[query.id] for name, found in people.standings.items() if query.id in found}
        decided = {name: standing for name, standing in votes.items() if standing.decided}
        if not decided and candidates:
            continue
        counts = Counter(standing.choice for standing in decided.values())
        # "no proper reference" is None and wins ties against every candidate
        choice = min(counts, key=lambda c: (-counts[c], candidates.index(c) if c else -1), default=None)
        named = Counter(standing.category for standing in votes.values() if standing.category in CATEGORIES)
        category = min(named, key=lambda c: (-named[c], CATEGORIES.index(c)), default=query.category)
        agreement = counts[choice] / len(decided) if decided else 1.0
        rows.append(Selected(query.id, choice or "", category, ",".join(sorted(decided)), agreement))
    return rows


def auto(project: Project) -> list[Selected]:
    """Choose the most similar candidate of each query with at least ``min_inliers`` verified matches, or none."""
    own = {query.id: query.category for query in project.kept_queries}
    rows = []
    for query, candidates in ranked(project).items():
        best = next((row.file for row in candidates if row.inliers >= project.settings.min_inliers), "")
        rows.append(Selected(query, best, own[query], AUTO))
    return rows


def settle(project: Project, automatic: bool) -> list[Selected]:
    """Write ``selected.csv``, by ``auto`` or by ``resolve``; return its rows."""
    with project.lock("select"):
        rows = auto(project) if automatic else resolve(project)
        tables.write(project.table("selected"), rows, Selected)
    return rows


@dataclass(frozen=True)
class People:
    """Everybody's standings, and the kept candidates of each query, most similar first."""

    candidates: dict[str, list[Cleaned]]
    standings: dict[str, dict[str, Standing]]


def valid(project: Project) -> People:
    """Everybody's standings about kept queries; a choice that is not (or no longer) a kept candidate counts as none."""
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
    return People(candidates, people)
