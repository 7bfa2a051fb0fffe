"""Brings votes from a copy's ``votes.jsonl`` or a crowd platform's CSV into a study, and writes votes and tasks as CSV.

``tasks_csv`` lists every comparison for a platform: ``task, left, right, reference``, file names in ``images/``. The
platform returns one line per answer: ``participant, left, right, choice`` ("left", "right" or "tie"), and
``milliseconds`` and ``time`` if known; other columns are ignored. A digest replaces each participant's name.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import csv_text, grouped
from refsr_bench.study import plan as plans
from refsr_bench.study import votes
from refsr_bench.study.plan import PAIR, REPEAT, Item, Plan
from refsr_bench.study.votes import JOIN, LEFT, RIGHT, TIE, VOTE, Line, Person

COLUMNS = ("participant", "left", "right", "choice")
EXPORT = (
    *("time", "participant", "trial", "kind", "item", "image"),
    *("left", "right", "choice", "preferred", "milliseconds"),
)
MOST_BYTES = 64 << 20  # limit of a CSV; a quarter of a million answers with two addresses each
MOST_ROWS = 250_000  # limit of a CSV; 4,000 people with 60 questions each
MOST_TIME = 40  # characters kept of a platform's time stamp; ISO 8601 with microseconds and zone has 32


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    known: lines that the study already had. conflicts: votes left out because the participant had answered differently.
    """

    added: Sequence[Line]
    known: int
    conflicts: int = 0

    @property
    def votes(self) -> int:
        return sum(line.action == VOTE for line in self.added)


def bring(folder: Path, file: Path) -> Imported:
    """Merge the votes of a file into a study, all or none of them; importing the same file twice changes nothing.

    Raises Misuse for votes of another study and for a CSV without the columns; BenchError naming the line of a file
    that cannot be read.
    """
    if not file.exists():
        raise Misuse(f"{file}: no such file.")
    plan = plans.read(folder)
    is_csv = file.suffix.lower() == ".csv"
    lines = _from_csv(file, plan) if is_csv else _from_journal(file, plan)
    done = Imported((), 0)

    def new(present: list[Line]) -> Sequence[Line]:
        nonlocal done
        done = (_new_answers if is_csv else _new_lines)(present, lines)
        return done.added

    votes.journal(folder).extend(new)
    return done


def _from_journal(file: Path, plan: Plan) -> list[Line]:
    lines = votes.journal(file.parent, file.name).read()
    joined: dict[str, Line] = {}
    for number, line in enumerate(lines, 1):
        where = f"{file}, line {number}"
        if line.plan != plan.digest:
            raise Misuse(
                f"{where}: a vote of another study (plan {line.plan[:12]}, here {plan.digest[:12]}). Nothing of this "
                "file was taken."
            )
        if line.action == JOIN:
            joined[line.participant] = line
        for shown in (*line.trials, *([line] if line.action == VOTE else [])):
            if (shown.item, shown.left) not in plan.sides:
                raise BenchError(f"{where}: {shown.item!r} with {shown.left!r} at the left is not in the plan.")
        own = joined.get(line.participant)
        if own is None:
            raise BenchError(f"{where}: participant {line.participant} never joined. Import the whole file.")
        if line.action == VOTE and own.trials:
            trial = own.trials[line.trial] if 0 <= line.trial < len(own.trials) else None
            if trial is None or (trial.item, trial.kind, trial.left) != (line.item, line.kind, line.left):
                raise BenchError(f"{where}: the vote is not about what this participant was shown.")
    return lines


def _new_lines(present: list[Line], lines: list[Line]) -> Imported:
    """Return the lines of a copy that the study lacks.

    A participant's new lines continue the existing ones. If a participant answered differently in two copies, the
    existing answers stay and the others are left out.
    """
    added: list[Line] = []
    known = conflicts = 0
    for code, there in grouped(lines, lambda line: line.participant).items():
        here = [line for line in present if line.participant == code]
        both = list(zip(here, there, strict=False))
        same = next((n for n, (a, b) in enumerate(both) if a != b), len(both))
        known += same
        if same == len(here):
            added += there[same:]
        else:
            conflicts += sum(line.action == VOTE and line not in here for line in there[same:])
    return Imported(added, known, conflicts)


def _from_csv(file: Path, plan: Plan) -> list[Line]:
    try:
        text = files.read_bytes(file, MOST_BYTES).decode("utf-8-sig")  # spreadsheets write a byte order mark
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
            raise Misuse(f"{file}: column {missing[0]!r} is missing; needed are {', '.join(COLUMNS)}.")
        places = _places(plan)
        lines = []
        for row in reader:
            if len(lines) == MOST_ROWS:
                raise BenchError(f"{file}: more than {MOST_ROWS:,} rows. Import it in parts.")
            lines.append(_answered(row, f"{file}, line {reader.line_num}", plan, places))
        return lines
    except UnicodeDecodeError as error:
        raise BenchError(f"{file}: not UTF-8 (byte {error.start}).") from None
    except csv.Error as error:
        raise BenchError(f"{file}: not CSV ({error}).") from None


def _places(plan: Plan) -> dict[tuple[str, str], tuple[Item, str]]:
    """Map each two files to their item and to the method whose file is shown left."""
    places = {}
    for item in plan.items:  # if two items have the same two files, the later one gets both ways round
        places[item.a_file, item.b_file] = (item, item.a)
        places[item.b_file, item.a_file] = (item, item.b)
    return places


def _answered(
    row: Mapping[str, str | None], where: str, plan: Plan, places: Mapping[tuple[str, str], tuple[Item, str]]
) -> Line:
    participant, left, right, choice = ((row[column] or "").strip() for column in COLUMNS)
    place = places.get((left.rpartition("/")[2], right.rpartition("/")[2]))  # platforms put an address before the name
    if place is None:
        shown = f"{left[:80]!r} against {right[:80]!r}"
        raise Misuse(f"{where}: {shown} is no comparison of this study (plan {plan.digest[:12]}).")
    if choice not in (LEFT, RIGHT, TIE) or (choice == TIE and not plan.ties) or not participant:
        allowed = "left, right or tie" if plan.ties else "left or right"
        raise BenchError(f"{where}: choice is {choice[:80]!r}, not {allowed}; or the participant is missing.")
    time = (row.get("milliseconds") or "").strip()
    if time and not (time.isdecimal() and len(time) < 12 and int(time) <= votes.MOST_MILLISECONDS):
        raise BenchError(f"{where}: milliseconds is {time[:40]!r}, not a whole number of at most a day.")
    item, name = place
    return Line(
        time=(row.get("time") or "").strip()[:MOST_TIME],
        plan=plan.digest,
        participant=_pseudonym(plan, participant),
        action=VOTE,
        item=item.id,
        kind=item.kind,
        left=name,
        choice=choice,
        milliseconds=int(time) if time else None,
    )


def _pseudonym(plan: Plan, name: str) -> str:
    return "X-" + hashlib.blake2s(name.encode(), key=_key(plan), digest_size=5).hexdigest().upper()


def _key(plan: Plan) -> bytes:
    # The digest is keyed, because unkeyed digests of e-mail addresses could be looked up. BLAKE2s takes at most 32
    # bytes of key.
    return plan.digest[:32].encode()


def _new_answers(present: list[Line], lines: list[Line]) -> Imported:
    """The answers of a CSV that the study lacks, numbered; a participant's second answer to a pair is a repeat."""
    here = votes.people(present)
    added: list[Line] = []
    known = 0
    for code, answers in grouped(lines, lambda line: line.participant).items():
        person = here.get(code) or Person(code)
        if code not in here:
            added.append(Line("", answers[0].plan, code, JOIN))
        standing = Counter(_answer(vote) for vote in person.votes.values())
        asked = {vote.item for vote in person.votes.values()}
        number = max(person.votes, default=-1) + 1
        for line in answers:
            if standing[_answer(line)] > 0:
                standing[_answer(line)] -= 1
                known += 1
                continue
            kind = REPEAT if line.kind == PAIR and line.item in asked else line.kind
            asked.add(line.item)
            added.append(replace(line, trial=number, kind=kind))
            number += 1
    return Imported(added, known)


def _answer(line: Line) -> tuple[str, str, str, int | None, str]:
    return (line.item, line.left, line.choice, line.milliseconds, line.time)


def votes_csv(plan: Plan, people: Mapping[str, Person]) -> str:
    """Return every standing vote as CSV with the columns EXPORT, methods by name.

    Participants are numbered as in reports, because readers who knew a code could answer in that person's place.
    """
    rows = []
    voters = [person for person in people.values() if person.votes]
    for n, person in enumerate(voters, 1):
        for number, vote in sorted(person.votes.items()):
            item = plan.by_id[vote.item]
            right = item.other(vote.left)
            preferred = {LEFT: vote.left, RIGHT: right, TIE: ""}[vote.choice]
            time = "" if vote.milliseconds is None else vote.milliseconds
            head = (vote.time, n, number, vote.kind, item.id, item.image)
            rows.append([_defused(cell) for cell in (*head, vote.left, right, vote.choice, preferred, time)])
    return csv_text(EXPORT, rows)


def _defused(cell: object) -> object:
    """Put a quote before a cell that a spreadsheet would run as a formula, because names come from outside."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def tasks_csv(plan: Plan) -> str:
    """Return every comparison for a crowd platform, both ways round, in an order that reveals nothing."""
    rows = []
    for item in plan.items:
        for left, right in ((item.a_file, item.b_file), (item.b_file, item.a_file)):
            task = hashlib.blake2s(f"{left}/{right}".encode(), key=_key(plan), digest_size=6).hexdigest()
            rows.append((task, left, right, item.reference_file))
    return csv_text(("task", "left", "right", "reference"), sorted(rows))
