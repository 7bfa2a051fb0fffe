"""User studies (the paper's Fig. 6c): ``study.json`` files below a results folder, checked, as a page, CSV and figure.

``refsr-bench study report --results`` writes the files; docs/study.md describes them. Whatever they hold is somebody
else's text: types, names and numbers are checked here, text is escaped in the page.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.pages.pages import Site, render
from leaderboard.reading.load import Problem, _misfit, build
from leaderboard.tables.tables import plain_cell, slug
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import digest

NAME = "study.json"
PAGE = "study.html"
SCHEMA_VERSION = 1
MOST = 200_000  # characters of a file


@dataclass(frozen=True)
class StudyMethod:
    """A method as it was compared."""

    name: str
    title: str
    weights: str


@dataclass(frozen=True)
class Checks:
    """Attention checks of those who count. made_from: what they were made of."""

    made_from: str
    asked: int
    right: int


@dataclass(frozen=True)
class Excluded:
    """A participant who does not count; person: numbered in order of joining."""

    person: int
    asked: int
    right: int
    votes: int


@dataclass(frozen=True)
class Exclusion:
    """Who counts, in words, and who does not."""

    rule: str
    excluded: tuple[Excluded, ...]


@dataclass(frozen=True)
class Preference:
    """How often a was preferred over b. share: of votes, ties as half; wilson, bootstrap: its 95 % intervals (low,
    high); shown: the name of the one that readers see."""

    a: str
    b: str
    wins: int
    losses: int
    ties: int
    share: float
    wilson: tuple[float, ...]
    bootstrap: tuple[float, ...] | None
    shown: str

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def interval(self) -> tuple[float, ...]:
        return self.bootstrap if self.shown == "bootstrap" and self.bootstrap else self.wilson


@dataclass(frozen=True)
class Ranked:
    """A method's place. ability: log odds of being preferred over an average method of its group; low, high: 95 %."""

    method: str
    group: int
    rank: int
    ability: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Ranking:
    """Bradley-Terry. interval: "bootstrap" or "wald"; prior: whether votes had to be added for a finite answer; groups:
    of methods that comparisons connect."""

    interval: str
    prior: bool
    groups: int
    methods: tuple[Ranked, ...]


@dataclass(frozen=True)
class Agreement:
    """comparisons: judged by two people or more; same: share of equal pairs of judgements; alpha: Krippendorff's;
    repeats, repeats_same: comparisons asked twice of one person."""

    comparisons: int
    same: float | None
    alpha: float | None
    repeats: int
    repeats_same: int


@dataclass(frozen=True)
class StudyReport:
    """``study.json``. left_share: of votes for the image at the left; other fields as docs/study.md says."""

    schema_version: int
    generator: str
    title: str
    question: str
    plan: str
    focus: str
    reference: str
    ties_allowed: bool
    crop: int
    dataset: str
    dataset_title: str
    dataset_sha256: str
    protocol: str
    protocol_digest: str
    notes: tuple[str, ...]
    methods: tuple[StudyMethod, ...]
    people: int
    images: int
    votes: int
    ties: int
    left_share: float
    median_seconds: float | None
    checks: Checks
    exclusion: Exclusion
    preferences: tuple[Preference, ...]
    ranking: Ranking
    agreement: Agreement

    def title_of(self, name: str) -> str:
        """Of a method; with its name beside it where two share a title."""
        titles = {method.name: method.title for method in self.methods}
        own = titles[name]
        return f"{own} ({name})" if list(titles.values()).count(own) > 1 else own

    @property
    def key(self) -> str:
        """Safe as an anchor and in a file name; different for different studies."""
        return f"{slug(self.title)[:40].strip('-.')}-{digest([self.plan, self.title])[:8]}"

    @property
    def csv_name(self) -> str:
        return f"study-{self.key}.csv"


def load_reports(folder: Path) -> tuple[tuple[StudyReport, ...], tuple[Problem, ...]]:
    """Every ``study.json`` below ``folder``, in the order of their paths; what cannot be trusted comes back as a
    Problem. Of two reports of one study the first counts, the other is a Problem."""
    found = [Path(parent) / NAME for parent, _, names in os.walk(folder) if NAME in names]
    reports: list[StudyReport] = []
    problems: list[Problem] = []
    for path in sorted(found, key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        try:
            report = _read(path, name)
        except BenchError as error:
            problems.append(Problem(name, str(error).removeprefix(f"{name}: ")))
            continue
        if any(other.key == report.key for other in reports):
            problems.append(Problem(name, "a report of a study that another file reports already"))
            continue
        reports.append(report)
    return tuple(reports), tuple(problems)


def _read(path: Path, name: str) -> StudyReport:
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > MOST:
            raise BenchError(f"{name}: longer than any report of a study")
        values = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{name}: not JSON ({getattr(error, 'strerror', None) or error})") from None
    return parse_report(values, name)


def parse_report(values: Any, where: str) -> StudyReport:
    """A StudyReport from its JSON value. Raises BenchError naming ``where`` and the field."""
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise BenchError(f"{where}: schema_version {version!r}; this refsr-bench reads {SCHEMA_VERSION}")
    parts = dict(values)
    for name, kind, several in (
        ("methods", StudyMethod, True),
        ("checks", Checks, False),
        ("exclusion", Exclusion, False),
        ("preferences", Preference, True),
        ("ranking", Ranking, False),
        ("agreement", Agreement, False),
    ):
        parts[name] = _part(values.get(name), kind, several, f"{where}: {name}")
    report = build(StudyReport, parts, where)
    if problem := _misfit(report, StudyReport, "") or _contradiction(report):
        raise BenchError(f"{where}: {problem}")
    return report


def _part(values: Any, kind: type, several: bool, where: str) -> Any:
    if several:
        if not isinstance(values, list):
            raise BenchError(f"{where}: expected a list")
        return tuple(_part(value, kind, False, f"{where}[{n}]") for n, value in enumerate(values))
    below = {Exclusion: ("excluded", Excluded), Ranking: ("methods", Ranked)}.get(kind)
    if below and isinstance(values, dict):
        values = values | {below[0]: _part(values.get(below[0]), below[1], True, f"{where}: {below[0]}")}
    return build(kind, values, where)


def _contradiction(report: StudyReport) -> str | None:
    """The first statement that the rest of the report belies, in words; None for a sound one."""
    names = [method.name for method in report.methods]
    if len(set(names)) != len(names) or not names:
        return "methods names one twice, or none"
    used = [name for row in report.preferences for name in (row.a, row.b)]
    used += [row.method for row in report.ranking.methods]
    if unknown := [name for name in (*used, *([report.focus] if report.focus else ())) if name not in names]:
        return f"{unknown[0]!r} is not among the methods"
    counts = (report.people, report.images, report.votes, report.ties, report.crop, report.checks.asked,
              report.agreement.comparisons, report.agreement.repeats)  # fmt: skip
    rows = [count for row in report.preferences for count in (row.wins, row.losses, row.ties)]
    rows += [count for row in report.exclusion.excluded for count in (row.person, row.asked, row.right, row.votes)]
    if any(count < 0 for count in (*counts, *rows)):
        return "a count is negative"
    if sum(row.votes for row in report.preferences) != report.votes or not report.votes:
        return "votes is not the sum of the preferences"
    shares = [report.left_share, *(end for row in report.preferences for end in (*row.wilson, *(row.bootstrap or ())))]
    if not all(0 <= share <= 1 for share in shares):
        return "a share is not between 0 and 1"
    for row in report.preferences:
        expected = (row.wins + row.ties / 2) / row.votes if row.votes else math.nan
        if not abs(row.share - expected) < 1e-6:
            return f"the share of {row.a!r} over {row.b!r} is not that of its votes"
        if any(len(ends) != 2 or ends[0] > ends[1] for ends in (row.wilson, row.bootstrap or row.wilson)):
            return f"an interval of {row.a!r} over {row.b!r} is none"
        if row.shown not in ("wilson", "bootstrap") or (row.shown == "bootstrap" and row.bootstrap is None):
            return f"shown: {row.shown!r} is not an interval"
    if not all(math.isfinite(v) for row in report.ranking.methods for v in (row.ability, row.low or 0, row.high or 0)):
        return "an ability is not finite"
    if report.ranking.interval not in ("bootstrap", "wald") or report.reference not in ("none", "hr", "ref"):
        return "ranking.interval or reference is unknown"
    return None


# ---- the page


@dataclass(frozen=True)
class Bar:
    """A bar of the page. share, low, high: per cent, 0 to 100."""

    a: str
    b: str
    row: Preference
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Place:
    """A line of the ranking. x, low, high: where its point and interval lie, per cent of the width; None for none."""

    title: str
    row: Ranked
    x: float
    low: float | None
    high: float | None


def bars(report: StudyReport) -> tuple[Bar, ...]:
    return tuple(
        Bar(
            report.title_of(row.a),
            report.title_of(row.b),
            row,
            *(round(100 * value, 2) for value in (row.share, *row.interval)),
        )
        for row in report.preferences
    )


def places(report: StudyReport) -> tuple[Place, ...]:
    rows = report.ranking.methods
    ends = [v for row in rows for v in (row.ability, row.low, row.high) if v is not None]
    least, most = min(ends, default=0.0), max(ends, default=1.0)
    span = (most - least) or 1.0

    def x(value: float | None) -> float | None:
        return None if value is None else round(4 + 92 * (value - least) / span, 2)

    return tuple(Place(report.title_of(row.method), row, x(row.ability), x(row.low), x(row.high)) for row in rows)


def page(site: Site, reports: Sequence[StudyReport], here: str = "study") -> str:
    """``study.html``, for the site's root."""
    return render("study.html.j2", here=here, root="", site=site, reports=reports, bars=bars, places=places,
                  percent=percent)  # fmt: skip


def files(reports: Sequence[StudyReport]) -> Mapping[str, str]:
    """The files the page links to, by name."""
    return {report.csv_name: preferences_csv(report) for report in reports}


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent, a thin space before the sign."""
    return f"{100 * share:.{digits}f}\u202f%"


def preferences_csv(report: StudyReport) -> str:
    """One line per pair of methods, unrounded, formulas defused."""
    head = ("study", "dataset", "protocol_digest", "a", "a_title", "b", "b_title", "wins", "losses", "ties", "share",
            "wilson_low", "wilson_high", "bootstrap_low", "bootstrap_high", "shown")  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in report.preferences:
        facts = (report.title, report.dataset, report.protocol_digest)
        names = (row.a, report.title_of(row.a), row.b, report.title_of(row.b))
        ends = (*row.wilson, *(row.bootstrap or ("", "")))
        numbers = (row.wins, row.losses, row.ties, row.share, *ends, row.shown)
        writer.writerow([plain_cell(cell) for cell in (*facts, *names, *numbers)])
    return out.getvalue()


def svg(report: StudyReport) -> str:
    """The preferences as a figure in the form of the paper's Fig. 6c, on white."""
    from leaderboard.figures import study

    return study.of(report).file("svg", False).decode()
