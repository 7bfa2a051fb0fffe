"""Reads and writes ``votes.jsonl``: who joined and what they chose, one line per event, and which votes stand.

A "join" holds the trials that the participant will be shown. A "vote" holds the number of its trial, the item, its
kind, the method shown left (or first), the choice, and the time since the images appeared. An "undo" takes the
participant's latest standing vote back. Lines are only ever appended, and are on the disk before the participant is
told so.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.journals import Journal
from refsr_bench.core.reader import Format, Text
from refsr_bench.study import plan as plans
from refsr_bench.study.plan import VOTES, Plan

JOIN, VOTE, UNDO = "join", "vote", "undo"
LEFT, RIGHT, TIE = "left", "right", "tie"
LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # without 0, O, 1, I and L, which people confuse
MOST_BYTES = 256 << 20  # a million votes
MOST_MILLISECONDS = 24 * 3600 * 1000

Code = Annotated[str, Meta(pattern=r"^-*[A-Za-z0-9][A-Za-z0-9-]*\Z", max_length=24)]
"""A participant: a random code, or the digest of a name; nothing about the person."""
Kind = Literal["pair", "check", "repeat"]
Milliseconds = Annotated[int, Meta(ge=0, le=MOST_MILLISECONDS)]


class Trial(Format):
    """One question. kind: PAIR, CHECK, or REPEAT of an earlier pair with its sides exchanged."""

    item: Text
    kind: Kind
    left: Text


class Line(Format):
    """One line of the file. time: UTC. plan: its digest. milliseconds: None if nobody measured.

    trials: of a join; empty when imported from a crowd platform. Fields of other actions keep their defaults.
    """

    time: Text
    plan: Text
    participant: Code
    action: Literal["join", "vote", "undo"]
    trial: Annotated[int, Meta(ge=-1)] = -1
    item: Text = ""
    kind: Kind | Literal[""] = ""
    left: Text = ""
    choice: Literal["", "left", "right", "tie"] = ""
    milliseconds: Milliseconds | None = None
    trials: tuple[Trial, ...] = ()


@dataclass
class Person:
    """A participant according to the lines so far.

    votes: the standing ones by number of the trial, in the order of voting.
    """

    code: str
    trials: tuple[Trial, ...] = ()
    votes: dict[int, Line] = field(default_factory=dict)

    @property
    def next(self) -> int | None:
        """The first trial without an answer; None when all are answered."""
        return next((n for n in range(len(self.trials)) if n not in self.votes), None)

    @property
    def last(self) -> int | None:
        """The trial that was answered last; None when none is."""
        return next(reversed(self.votes), None)


def journal(folder: Path, name: str = VOTES) -> Journal[Line]:
    """Open the votes of a folder. Reading them raises BenchError naming an invalid line."""
    return Journal(folder / name, _decode, _encode, MOST_BYTES)


def _decode(data: bytes, where: str) -> Line:
    try:
        line = reader.convert(reader.parse_json(data, where), Line, where)
    except BenchError as error:
        raise BenchError(f"{error} Mend or remove the line.") from None
    if (line.action == VOTE) != bool(line.choice) or (line.action == VOTE and not line.kind):
        facts = f"action {line.action} with kind {line.kind!r} and choice {line.choice!r}"
        raise BenchError(f"{where}: {facts} do not go together. Mend or remove the line.")
    return line


def _encode(line: Line) -> bytes:
    # Fields keep the order of the struct, unlike in other journals, because existing studies were begun that way.
    return json.dumps(reader.to_json(line), ensure_ascii=False).encode()


def new_code() -> str:
    """Draw a participant's code: eight letters, 39 random bits."""
    return "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(2))


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def read(folder: Path) -> tuple[Plan, dict[str, Person]]:
    """Read the plan of a study folder, and its ``people``. Raises BenchError for votes about another plan."""
    plan = plans.read(folder)
    found = people(journal(folder).read())
    for code, person in found.items():
        votes = person.votes.values()
        shown = {(one.item, one.left) for one in (*person.trials, *votes)}
        if not shown <= plan.sides or any(vote.plan != plan.digest for vote in votes):
            raise BenchError(f"{folder}: a vote of {code} is about another plan. Was plan.json replaced?")
    return plan, found


def people(lines: Iterable[Line]) -> dict[str, Person]:
    """Return everybody who joined, in order of joining, with their standing votes."""
    found: dict[str, Person] = {}
    for line in lines:
        person = found.setdefault(line.participant, Person(line.participant))
        if line.action == JOIN:
            person.trials = person.trials or line.trials
        elif line.action == VOTE:
            person.votes.setdefault(line.trial, line)
        elif line.trial == person.last:
            person.votes.popitem()
    return found
