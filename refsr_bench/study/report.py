"""What a study comes to: ``study.json``, which the site reads, and the votes as CSV. The same votes, the same bytes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import write_text
from refsr_bench.core.reader import dumps
from refsr_bench.study import plan as plans
from refsr_bench.study import statistics, votes
from refsr_bench.study.exchange import votes_csv
from refsr_bench.study.plan import CHECK, PAIR, REPEAT, Plan
from refsr_bench.study.statistics import Duels
from refsr_bench.study.votes import LEFT, TIE, Line, Person

SCHEMA_VERSION = 1
GENERATOR = "refsr-bench study"


def summarise(folder: Path, keep_unchecked: bool = False) -> dict[str, Any]:
    """The report of a study folder as JSON values; docs/study.md describes them.

    keep_unchecked: participants who answered no check count all the same. Raises Misuse while there is no vote.
    """
    plan = plans.read(folder)
    people = votes.people(votes.journal(folder).read())
    people = {code: person for code, person in people.items() if person.votes}
    if not people:
        raise Misuse(f"{folder}: nobody has chosen anything yet. `refsr-bench study serve {folder}` asks people.")
    _belong(folder, plan, people)
    asked = {code: sum(v.kind == CHECK for v in p.votes.values()) for code, p in people.items()}
    right = {code: sum(_right(plan, v) for v in p.votes.values()) for code, p in people.items()}
    counts = statistics.passed(right, asked, plan.pass_share)
    kept = [code for code in people if counts[code] or not plan.checks or (keep_unchecked and not asked[code])]
    rule = _rule(plan, keep_unchecked)
    if not kept:
        raise BenchError(f"{folder}: all {len(people)} participants are excluded. {rule}")
    standing = [vote for code in kept for _, vote in sorted(people[code].votes.items())]
    real = [vote for vote in standing if vote.kind == PAIR]
    if not real:
        raise Misuse(f"{folder}: no comparison of two methods was answered yet.")
    duels = _duels(plan, real, kept)
    draws = statistics.weights(duels, plan.seed)
    enough = min(len(set(duels.person)), len(set(duels.image))) >= statistics.FEWEST
    times = [vote.milliseconds for vote in standing if vote.milliseconds is not None]
    return {
        "schema_version": SCHEMA_VERSION,
        "generator": GENERATOR,
        "title": plan.title,
        "question": plan.question,
        "plan": plan.digest,
        "focus": plan.focus,
        "reference": plan.reference,
        "ties_allowed": plan.ties,
        "crop": plan.crop,
        "dataset": plan.dataset,
        "dataset_title": plan.dataset_title,
        "dataset_sha256": plan.dataset_sha256,
        "protocol": plan.protocol,
        "protocol_digest": plan.protocol_digest,
        "notes": list(plan.notes),
        "methods": [{"name": m.name, "title": m.title, "weights": m.weights} for m in plan.methods],
        "people": len(kept),
        "images": len(set(duels.image)),
        "votes": len(real),
        "ties": sum(vote.choice == TIE for vote in real),
        "left_share": _rounded(sum(_left(vote) for vote in real) / len(real)),
        "median_seconds": _rounded(median(times) / 1000) if times else None,
        "checks": {
            "made_from": plan.checks_from,
            "asked": sum(asked[code] for code in kept),
            "right": sum(right[code] for code in kept),
        },
        "exclusion": {
            "rule": rule,
            "excluded": [
                {"person": n, "asked": asked[code], "right": right[code], "votes": _pairs(people[code])}
                for n, code in enumerate(people, 1)
                if code not in kept
            ],
        },
        "preferences": _preferences(plan, duels, draws, enough),
        "ranking": _ranking(plan, duels, draws, enough),
        "agreement": _agreement(plan, people, kept, duels),
    }


def write(out: Path, report: dict[str, Any], plan_folder: Path) -> list[Path]:
    """``study.json`` and ``votes.csv`` into ``out``, which is made. Raises BenchError when the disk refuses.

    votes.csv holds everybody's votes, the excluded ones' as well, by number.
    """
    plan = plans.read(plan_folder)
    people = votes.people(votes.journal(plan_folder).read())
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "study.json", dumps(report))
        write_text(out / "votes.csv", votes_csv(plan, people))
    except OSError as error:
        raise BenchError(f"{error.filename or out}: cannot be written ({error.strerror}).") from None
    return [out / "study.json", out / "votes.csv"]


def _belong(folder: Path, plan: Plan, people: dict[str, Person]) -> None:
    for person in people.values():
        for vote in person.votes.values():
            item = plan.by_id.get(vote.item)
            if vote.plan != plan.digest or item is None or vote.left not in (item.a, item.b):
                raise BenchError(f"{folder}: a vote of {person.code} is about another plan. Was plan.json replaced?")


def _rule(plan: Plan, keep_unchecked: bool) -> str:
    if not plan.checks:
        return "The study has no attention checks; everybody counts."
    unchecked = "count all the same" if keep_unchecked else "do not count"
    return (
        f"Participants count who answered at least {100 * plan.pass_share:.0f} % of their attention checks right; "
        f"those who answered none {unchecked}."
    )


def _right(plan: Plan, vote: Line) -> bool:
    if vote.kind != CHECK or vote.choice == TIE:
        return False
    item = plan.by_id[vote.item]
    return (vote.left if vote.choice == LEFT else item.other(vote.left)) == item.a


def _left(vote: Line) -> float:
    return 0.5 if vote.choice == TIE else float(vote.choice == LEFT)


def _score(plan: Plan, vote: Line) -> float:
    """1 where a was preferred, 0 where b was, 0.5 for a tie."""
    left = _left(vote)
    return left if vote.left == plan.by_id[vote.item].a else 1 - left


def _pairs(person: Person) -> int:
    return sum(vote.kind == PAIR for vote in person.votes.values())


def _duels(plan: Plan, real: list[Line], kept: list[str]) -> Duels:
    names = [method.name for method in plan.methods]
    who = {code: n for n, code in enumerate(c for c in kept if any(v.participant == c for v in real))}
    items = [plan.by_id[vote.item] for vote in real]
    images = {name: n for n, name in enumerate(sorted({item.image for item in items}))}
    return Duels(
        np.array([who[vote.participant] for vote in real]),
        np.array([images[item.image] for item in items]),
        np.array([names.index(item.a) for item in items]),
        np.array([names.index(item.b) for item in items]),
        np.array([_score(plan, vote) for vote in real]),
    )


def _preferences(plan: Plan, duels: Duels, draws: np.ndarray, enough: bool) -> list[dict[str, Any]]:
    """One row per pair of methods, a over b. shown: which interval readers see, the bootstrap where participants and
    images are enough and not all votes agree (it is empty then)."""
    rows = []
    for a, b in dict.fromkeys((item.a, item.b) for item in plan.pairs):
        names = [method.name for method in plan.methods]
        own = (duels.a == names.index(a)) & (duels.b == names.index(b))
        score = duels.score[own]
        n = len(score)
        if n == 0:
            continue
        unanimous = len(set(score.tolist())) == 1
        bootstrap = statistics.share_interval(score, draws[:, own]) if enough and not unanimous else None
        rows.append(
            {
                "a": a,
                "b": b,
                "wins": int((score == 1).sum()),
                "losses": int((score == 0).sum()),
                "ties": int((score == 0.5).sum()),
                "share": _rounded(score.mean()),
                "wilson": [_rounded(end) for end in statistics.wilson(float(score.sum()), n)],
                "bootstrap": None if bootstrap is None else [_rounded(end) for end in bootstrap],
                "shown": "wilson" if bootstrap is None else "bootstrap",
            }
        )
    return rows


def _ranking(plan: Plan, duels: Duels, draws: np.ndarray, enough: bool) -> dict[str, Any]:
    """Bradley-Terry abilities; of several groups that nothing connects, each on its own."""
    wins = statistics.wins_of(duels, len(plan.methods))
    parts = [group for group in statistics.groups(wins) if len(group) > 1]
    rows = []
    prior = False
    for number, group in enumerate(parts, 1):
        own = wins[np.ix_(group, group)]
        prior |= statistics.separated(own)
        ability = statistics.bradley_terry(own)
        if enough:
            low, high = statistics.ability_intervals(duels, group, draws)
        else:
            error = statistics.Z * np.sqrt(np.diag(statistics.covariance(ability, own)))
            low, high = ability - error, ability + error
        order = sorted(range(len(group)), key=lambda n: (-ability[n], group[n]))
        rows += [
            {
                "method": plan.methods[group[n]].name,
                "group": number,
                "rank": place,
                "ability": _rounded(ability[n]),
                "low": _rounded(low[n]),
                "high": _rounded(high[n]),
            }
            for place, n in enumerate(order, 1)
        ]
    return {"interval": "bootstrap" if enough else "wald", "prior": prior, "groups": len(parts), "methods": rows}


def _agreement(plan: Plan, people: dict[str, Person], kept: list[str], duels: Duels) -> dict[str, Any]:
    by_item: dict[str, list[float]] = {}
    repeats, same = Counter[bool](), 0
    for code in kept:
        first: dict[str, float] = {}
        for _, vote in sorted(people[code].votes.items()):
            if vote.kind == PAIR:
                first[vote.item] = _score(plan, vote)
                by_item.setdefault(vote.item, []).append(_score(plan, vote))
        for vote in people[code].votes.values():
            if vote.kind == REPEAT and vote.item in first:
                repeats[first[vote.item] == _score(plan, vote)] += 1
    units = list(by_item.values())
    same = statistics.same_share(units)
    alpha = statistics.krippendorff(statistics.mirrored(units))
    return {
        "comparisons": sum(len(unit) > 1 for unit in units),
        "same": None if math.isnan(same) else _rounded(same),
        "alpha": None if math.isnan(alpha) else _rounded(alpha),
        "repeats": sum(repeats.values()),
        "repeats_same": repeats[True],
    }


def _rounded(value: float) -> float | None:
    """Eight decimals: libraries of linear algebra differ in the last bits."""
    return None if math.isnan(value) else round(float(value), 8) + 0.0
