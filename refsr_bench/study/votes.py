"""``votes.jsonl``: who joined and what they chose, line by line, and what stands of it.

One line per event: time (UTC), plan (its digest), participant (a random code, nothing about the person), action. "join"
holds the trials the participant will be shown; "vote" holds trial (its number), item, kind, left (the method shown left
or first), choice ("left", "right" or "tie") and milliseconds from the images' appearance; "undo" takes the
participant's latest standing vote back. Lines are only ever appended, and are on the disk before anybody is told so.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from refsr_bench.core.journal import Journal
from refsr_bench.study.plan import CHECK, PAIR, REPEAT, VOTES

JOIN, VOTE, UNDO = "join", "vote", "undo"
LEFT, RIGHT, TIE = "left", "right", "tie"
LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that are taken for another
MOST_MILLISECONDS = 24 * 3600 * 1000


@dataclass(frozen=True)
class Trial:
    """One thing to ask. kind: PAIR, CHECK or REPEAT (of a pair that was asked before, sides changed)."""

    item: str
    kind: str
    left: str


@dataclass(frozen=True)
class Line:
    """One line of the file. milliseconds: None where nobody measured. trials: of a join; empty when imported."""

    time: str
    plan: str
    participant: str
    action: str
    trial: int = -1
    item: str = ""
    kind: str = ""
    left: str = ""
    choice: str = ""
    milliseconds: int | None = None
    trials: tuple[Trial, ...] = ()


@dataclass
class Person:
    """A participant as the lines so far have it. votes: standing ones by number of the trial, in order of voting."""

    code: str
    trials: tuple[Trial, ...] = ()
    votes: dict[int, Line] = field(default_factory=dict)

    @property
    def next(self) -> int | None:
        """The first trial without an answer; None when all are answered."""
        return next((n for n in range(len(self.trials)) if n not in self.votes), None)


def journal(folder: Path) -> Journal[Line]:
    return Journal(folder / VOTES, parse, "vote")


def parse(values: Any) -> Line:
    """A line from its JSON value. Raises ValueError or TypeError for what is none."""
    trials = tuple(Trial(**trial) for trial in values.get("trials", ()))
    line = Line(**{**values, "trials": trials})
    texts = (line.time, line.plan, line.participant, line.item, line.kind, line.left, line.choice)
    texts += tuple(text for trial in trials for text in (trial.item, trial.kind, trial.left))
    if not all(isinstance(text, str) for text in texts) or line.action not in (JOIN, VOTE, UNDO):
        raise ValueError
    if type(line.trial) is not int or not valid_code(line.participant):
        raise ValueError
    if line.milliseconds is not None and not valid_milliseconds(line.milliseconds):
        raise ValueError
    kinds = (line.kind,) if line.action == VOTE else tuple(trial.kind for trial in trials)
    if not set(kinds) <= {PAIR, CHECK, REPEAT} or (line.action == VOTE) != (line.choice in (LEFT, RIGHT, TIE)):
        raise ValueError
    return line


def valid_milliseconds(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MOST_MILLISECONDS


def valid_code(code: Any) -> bool:
    return isinstance(code, str) and 0 < len(code) <= 24 and code.isascii() and code.replace("-", "").isalnum()


def new_code() -> str:
    """A participant's code: 39 random bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(2))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def people(lines: Iterable[Line]) -> dict[str, Person]:
    """Everybody who joined, in order of joining, with what stands of their votes."""
    found: dict[str, Person] = {}
    for line in lines:
        person = found.setdefault(line.participant, Person(line.participant))
        if line.action == JOIN:
            person.trials = person.trials or line.trials
        elif line.action == VOTE:
            person.votes.setdefault(line.trial, line)
        elif person.votes and next(reversed(person.votes)) == line.trial:
            person.votes.popitem()
    return found
