"""Computes the results of a study: ``study.json`` and the votes as CSV. The same votes give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

import numpy as np

from refsr_bench.core import files, reader
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.study import report_format as formats
from refsr_bench.study import statistics, votes
from refsr_bench.study.exchange import votes_csv
from refsr_bench.study.plan import CHECK, PAIR, REPEAT, Plan
from refsr_bench.study.report_format import Preference, Ranked, StudyReport
from refsr_bench.study.statistics import Duels
from refsr_bench.study.votes import LEFT, TIE, Line, Person

GENERATOR = "refsr-bench study"
SAME = (  # fields that repeat the plan
    *("title", "question", "focus", "reference", "crop", "notes"),
    *("dataset", "dataset_title", "dataset_sha256", "protocol", "protocol_digest"),
)


@dataclass(frozen=True)
class _Jury:
    """The participants who chose something, by code.

    kept: the codes of those who count, by ``rule``. asked, right: each one's attention checks.
    """

    people: dict[str, Person]
    asked: dict[str, int]
    right: dict[str, int]
    kept: list[str]
    rule: str

    @cached_property
    def votes(self) -> list[Line]:
        """The standing votes of those who count, in the order of their trials."""
        return [vote for code in self.kept for _, vote in sorted(self.people[code].votes.items())]

    def count(self, checks: dict[str, int]) -> int:
        """Return the sum of ``asked`` or ``right`` over those who count."""
        return sum(checks[code] for code in self.kept)


def summarise(folder: Path, keep_unchecked: bool = False) -> StudyReport:
    """Return the report of a study folder; docs/guide/study.md describes its fields.

    keep_unchecked: participants who answered no check count as well. Raises Misuse while there is no vote.
    """
    plan, joined = votes.read(folder)
    people = {code: person for code, person in joined.items() if person.votes}
    jury = _jury(plan, people, keep_unchecked)
    if not people:
        ask = command("study", "serve", folder)
        raise Misuse(f"{folder}: nobody has chosen anything yet. To ask people: {ask}")
    if not jury.kept:
        raise BenchError(f"{folder}: all {len(people)} participants are excluded. {jury.rule}")
    real = [vote for vote in jury.votes if vote.kind == PAIR]
    if not real:
        raise Misuse(f"{folder}: no comparison of two methods was answered yet.")
    duels = _duels(plan, real, jury.kept)
    draws = statistics.weights(duels, plan.seed)
    images = len(set(duels.image))
    enough = min(len(set(duels.person)), images) >= statistics.FEWEST
    times = [vote.milliseconds for vote in jury.votes if vote.milliseconds is not None]
    return StudyReport(
        generator=GENERATOR,
        plan=plan.digest,
        ties_allowed=plan.ties,
        methods=tuple(formats.StudyMethod(method.name, method.title, method.weights) for method in plan.methods),
        people=len(jury.kept),
        images=images,
        votes=len(real),
        ties=sum(vote.choice == TIE for vote in real),
        left_share=_rounded(sum(_left(vote) for vote in real) / len(real)),
        median_seconds=_rounded(median(times) / 1000) if times else None,
        checks=formats.Checks(plan.checks_from, jury.count(jury.asked), jury.count(jury.right)),
        exclusion=formats.Exclusion(jury.rule, tuple(_excluded(jury))),
        preferences=_preferences(plan, duels, draws, enough),
        ranking=_ranking(plan, duels, draws, enough),
        agreement=_agreement(plan, jury),
        **{name: getattr(plan, name) for name in SAME},
    )


def write(out: Path, report: StudyReport, folder: Path) -> list[Path]:
    """Write ``study.json`` and ``votes.csv`` of a study folder into ``out``, which is made; return their paths.

    votes.csv holds everybody's votes by number, including those of excluded participants. Raises BenchError when the
    disk refuses.
    """
    files.make_folder(out)
    files.write_text(out / formats.NAME, reader.dumps(report))
    files.write_text(out / "votes.csv", votes_csv(*votes.read(folder)))
    return [out / formats.NAME, out / "votes.csv"]


def in_words(report: StudyReport) -> str:
    """Return each preference with its interval, and who counted, one line each."""
    rows = [
        f"{report.title_of(row.a)} preferred over {report.title_of(row.b)} in {row.share:.1%} "
        f"[{row.interval[0]:.1%}, {row.interval[1]:.1%}] of {row.votes} votes ({row.shown})"
        for row in report.preferences
    ]
    excluded = len(report.exclusion.excluded)
    return "\n".join([*rows, f"{report.people} people, {excluded} excluded. {report.exclusion.rule}"])


def _jury(plan: Plan, people: dict[str, Person], keep_unchecked: bool) -> _Jury:
    asked = {code: sum(v.kind == CHECK for v in p.votes.values()) for code, p in people.items()}
    right = {code: sum(_right(plan, v) for v in p.votes.values()) for code, p in people.items()}
    passed = statistics.passed(right, asked, plan.pass_share)
    kept = [code for code in people if passed[code] or not plan.checks or (keep_unchecked and not asked[code])]
    return _Jury(people, asked, right, kept, _rule(plan, keep_unchecked))


def _rule(plan: Plan, keep_unchecked: bool) -> str:
    if not plan.checks:
        return "The study has no attention checks; everybody counts."
    unchecked = "count all the same" if keep_unchecked else "do not count"
    return (
        f"Participants count who answered at least {100 * plan.pass_share:.0f} % of their attention checks right; "
        f"those who answered none {unchecked}."
    )


def _excluded(jury: _Jury) -> Iterator[formats.Excluded]:
    for n, (code, person) in enumerate(jury.people.items(), 1):
        if code not in jury.kept:
            pairs = sum(vote.kind == PAIR for vote in person.votes.values())
            yield formats.Excluded(n, jury.asked[code], jury.right[code], pairs)


def _right(plan: Plan, vote: Line) -> bool:
    """Tell whether a vote is about a check and for its sharp image, which is a."""
    return vote.kind == CHECK and _score(plan, vote) == 1


def _left(vote: Line) -> float:
    return 0.5 if vote.choice == TIE else float(vote.choice == LEFT)


def _score(plan: Plan, vote: Line) -> float:
    """Return 1 if a was preferred, 0 if b was, 0.5 for a tie."""
    left = _left(vote)
    return left if vote.left == plan.by_id[vote.item].a else 1 - left


def _duels(plan: Plan, real: Sequence[Line], kept: Sequence[str]) -> Duels:
    names = [method.name for method in plan.methods]
    voted = {vote.participant for vote in real}
    who = {code: n for n, code in enumerate(code for code in kept if code in voted)}
    items = [plan.by_id[vote.item] for vote in real]
    images = {name: n for n, name in enumerate(sorted({item.image for item in items}))}
    return Duels(
        np.array([who[vote.participant] for vote in real]),
        np.array([images[item.image] for item in items]),
        np.array([names.index(item.a) for item in items]),
        np.array([names.index(item.b) for item in items]),
        np.array([_score(plan, vote) for vote in real]),
    )


def _preferences(plan: Plan, duels: Duels, draws: np.ndarray, enough: bool) -> tuple[Preference, ...]:
    """Return one row per pair of methods that was voted on, a over b.

    The bootstrap is shown if there are enough participants and images. If all votes agree, so does every draw: the
    bootstrap interval would be empty, and Wilson's is shown instead.
    """
    names = [method.name for method in plan.methods]
    rows = []
    for a, b in dict.fromkeys((item.a, item.b) for item in plan.pairs):
        own = (duels.a == names.index(a)) & (duels.b == names.index(b))
        score = duels.score[own]
        if not len(score):
            continue
        bootstrap = None
        if enough and len(set(score.tolist())) > 1:
            bootstrap = _interval(statistics.share_interval(score, draws[:, own]))
        wins, losses, ties = (int((score == value).sum()) for value in (1, 0, 0.5))
        wilson = _interval(statistics.wilson(float(score.sum()), len(score)))
        shown = "bootstrap" if bootstrap else "wilson"
        rows.append(Preference(a, b, wins, losses, ties, _rounded(score.mean()), wilson, bootstrap, shown))
    return tuple(rows)


def _ranking(plan: Plan, duels: Duels, draws: np.ndarray, enough: bool) -> formats.Ranking:
    """Return Bradley-Terry abilities; groups that no comparison connects are ranked separately."""
    wins = statistics.wins_of(duels, len(plan.methods))
    parts = [group for group in statistics.groups(wins) if len(group) > 1]
    rows: list[Ranked] = []
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
        for rank, n in enumerate(order, 1):
            ends = (_or_none(low[n]), _or_none(high[n]))
            rows.append(Ranked(plan.methods[group[n]].name, number, rank, _rounded(ability[n]), *ends))
    return formats.Ranking("bootstrap" if enough else "wald", prior, len(parts), tuple(rows))


def _agreement(plan: Plan, jury: _Jury) -> formats.Agreement:
    by_item: dict[str, list[float]] = {}
    first: dict[tuple[str, str], float] = {}
    for vote in jury.votes:
        if vote.kind == PAIR:
            by_item.setdefault(vote.item, []).append(_score(plan, vote))
            first[vote.participant, vote.item] = _score(plan, vote)
    repeats = [
        first[vote.participant, vote.item] == _score(plan, vote)
        for vote in jury.votes
        if vote.kind == REPEAT and (vote.participant, vote.item) in first
    ]
    counts = statistics.judgements(list(by_item.values()))
    return formats.Agreement(
        comparisons=int((counts.sum(1) > 1).sum()),
        same=_or_none(statistics.same_share(counts)),
        alpha=_or_none(statistics.alpha(counts)),
        repeats=len(repeats),
        repeats_same=sum(repeats),
    )


def _rounded(value: float) -> float:
    """Round to eight decimals, because libraries of linear algebra differ in the last bits. No negative zero."""
    return round(float(value), 8) + 0.0


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else _rounded(value)


def _interval(ends: tuple[float, float]) -> formats.Interval:
    return _rounded(ends[0]), _rounded(ends[1])
