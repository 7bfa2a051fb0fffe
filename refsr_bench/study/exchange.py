"""Votes from elsewhere: ``votes.jsonl`` of a copy of the study folder, or a CSV of a crowd platform; and back out.

``tasks_csv`` lists every comparison for a platform: ``task, left, right, reference``, file names in ``images/``. What
comes back is one line per answer: ``participant, left, right, choice`` ("left", "right" or "tie"), and where known
``milliseconds`` and ``time``; other columns are passed over. Names of participants are replaced by a digest.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.journal import Journal
from refsr_bench.study import plan as plans
from refsr_bench.study import votes
from refsr_bench.study.plan import PAIR, REPEAT, Item, Plan
from refsr_bench.study.votes import JOIN, LEFT, RIGHT, TIE, VOTE, Line, Person

COLUMNS = ("participant", "left", "right", "choice")
EXPORT = (
    *("time", "participant", "trial", "kind", "item", "image"),
    *("left", "right", "choice", "preferred", "milliseconds"),
)


@dataclass(frozen=True)
class Imported:
    """What an import did. known: lines that were here already; conflicts: votes about a trial that stands otherwise
    here, left out."""

    file: Path
    votes: int
    known: int
    conflicts: int


def bring(folder: Path, files: Iterable[Path]) -> list[Imported]:
    """Merge the votes of files into a study, each file whole or not at all; the same file twice changes nothing.

    Raises Misuse for votes of another study and for a CSV without the columns; BenchError naming the line of a file
    that cannot be read.
    """
    plan = plans.read(folder)
    journal = votes.journal(folder)
    done = []
    for file in files:
        if not file.is_file():
            raise Misuse(f"{file}: no such file.")
        is_csv = file.suffix.lower() == ".csv"
        lines = _from_csv(file, plan) if is_csv else _from_journal(file, plan)
        result = Imported(file, 0, 0, 0)

        def new(present: list[Line], lines=lines, is_csv=is_csv) -> list[Line]:
            nonlocal result
            added, known, conflicts = (_new_answers if is_csv else _new_lines)(present, lines)
            result = Imported(result.file, sum(line.action == VOTE for line in added), known, conflicts)
            return added

        journal.extend(new)
        done.append(result)
    return done


def _from_journal(file: Path, plan: Plan) -> list[Line]:
    lines = Journal(file, votes.parse, "vote").read()
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
        for item, left in [(trial.item, trial.left) for trial in line.trials] + (
            [(line.item, line.left)] if line.action == VOTE else []
        ):
            found = plan.by_id.get(item)
            if found is None or left not in (found.a, found.b):
                raise BenchError(f"{where}: {item!r} with {left!r} at the left is not in the plan.")
        own = joined.get(line.participant)
        if own is None:
            raise BenchError(f"{where}: participant {line.participant} never joined. Import the whole file.")
        if line.action == VOTE and own.trials:
            trial = own.trials[line.trial] if 0 <= line.trial < len(own.trials) else None
            if trial is None or (trial.item, trial.kind, trial.left) != (line.item, line.kind, line.left):
                raise BenchError(f"{where}: the vote is not about what this participant was shown.")
    return lines


def _new_lines(present: list[Line], lines: list[Line]) -> tuple[list[Line], int, int]:
    """Those of ``lines`` that are not here: a participant's lines go on where they stand here; one who went different
    ways in two places keeps what is here."""
    added: list[Line] = []
    known = conflicts = 0
    for code in dict.fromkeys(line.participant for line in lines):
        here = [line for line in present if line.participant == code]
        there = [line for line in lines if line.participant == code]
        both = list(zip(here, there, strict=False))
        same = next((n for n, (a, b) in enumerate(both) if a != b), len(both))
        known += same
        if same == len(here):
            added += there[same:]
        else:
            conflicts += sum(line.action == VOTE and line not in here for line in there[same:])
    return added, known, conflicts


def _from_csv(file: Path, plan: Plan) -> list[Line]:
    places: dict[tuple[str, str], tuple[Item, str]] = {}
    for item in plan.items:
        places[item.a_file, item.b_file] = (item, item.a)
        places[item.b_file, item.a_file] = (item, item.b)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"{file}: cannot be read as UTF-8 text ({error}).") from None
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
        raise Misuse(f"{file}: column {missing[0]!r} is missing; needed are {', '.join(COLUMNS)}.")
    lines: list[Line] = []
    for row in reader:
        where = f"{file}, line {reader.line_num}"
        participant, left, right, choice = ((row[column] or "").strip() for column in COLUMNS)
        place = places.get((left.rpartition("/")[2], right.rpartition("/")[2]))
        if place is None:
            raise Misuse(
                f"{where}: {left!r} against {right!r} is no comparison of this study (plan {plan.digest[:12]})."
            )
        if choice not in (LEFT, RIGHT, TIE) or (choice == TIE and not plan.ties) or not participant:
            allowed = "left, right or tie" if plan.ties else "left or right"
            raise BenchError(f"{where}: choice is {choice!r}, not {allowed}; or the participant is missing.")
        time = (row.get("milliseconds") or "").strip()
        if time and not (time.isdecimal() and int(time) <= votes.MOST_MILLISECONDS):
            raise BenchError(f"{where}: milliseconds is {time!r}, not a whole number.")
        item, name = place
        lines.append(
            Line(
                time=(row.get("time") or "").strip()[:40],
                plan=plan.digest,
                participant=_pseudonym(plan, participant),
                action=VOTE,
                item=item.id,
                kind=item.kind,
                left=name,
                choice=choice,
                milliseconds=int(time) if time else None,
            )
        )
    return lines


def _pseudonym(plan: Plan, name: str) -> str:
    return "X-" + hashlib.blake2s(name.encode(), key=plan.digest[:32].encode(), digest_size=5).hexdigest().upper()


def _new_answers(present: list[Line], lines: list[Line]) -> tuple[list[Line], int, int]:
    """Answers of a CSV that are not here, numbered; a participant's second answer to a pair is a repeat."""
    here = votes.people(present)
    added: list[Line] = []
    known = 0
    for code in dict.fromkeys(line.participant for line in lines):
        person = here.get(code) or Person(code)
        if code not in here:
            added.append(Line("", lines[0].plan, code, JOIN))
        standing = Counter(_answer(vote) for vote in person.votes.values())
        asked = {vote.item for vote in person.votes.values()}
        number = max(person.votes, default=-1) + 1
        for line in lines:
            if line.participant != code:
                continue
            if standing[_answer(line)] > 0:
                standing[_answer(line)] -= 1
                known += 1
                continue
            kind = REPEAT if line.kind == PAIR and line.item in asked else line.kind
            asked.add(line.item)
            added.append(Line(**{**line.__dict__, "trial": number, "kind": kind}))
            number += 1
    return added, known, 0


def _answer(line: Line) -> tuple[str, str, str, int | None, str]:
    return (line.item, line.left, line.choice, line.milliseconds, line.time)


def votes_csv(plan: Plan, people: Mapping[str, Person]) -> str:
    """Every standing vote as CSV, methods by name; see EXPORT.

    Participants are numbered as in reports: with a code, readers could answer in their place.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(EXPORT)
    voters = [person for person in people.values() if person.votes]
    for n, person in enumerate(voters, 1):
        for number, vote in sorted(person.votes.items()):
            item = plan.by_id[vote.item]
            right = item.other(vote.left)
            preferred = {LEFT: vote.left, RIGHT: right, TIE: ""}[vote.choice]
            time = "" if vote.milliseconds is None else vote.milliseconds
            head = (vote.time, n, number, vote.kind, item.id, item.image)
            row = (*head, vote.left, right, vote.choice, preferred, time)
            writer.writerow([_defused(cell) for cell in row])
    return out.getvalue()


def _defused(cell: object) -> object:
    """Names come from outside: no formula for a spreadsheet."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def tasks_csv(plan: Plan) -> str:
    """Every comparison for a crowd platform, both ways round, in an order that tells nothing."""
    rows = []
    for item in plan.items:
        for left, right in ((item.a_file, item.b_file), (item.b_file, item.a_file)):
            task = hashlib.blake2s(f"{left}/{right}".encode(), key=plan.digest[:32].encode(), digest_size=6).hexdigest()
            rows.append((task, left, right, item.reference_file))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("task", "left", "right", "reference"))
    writer.writerows(sorted(rows))
    return out.getvalue()


