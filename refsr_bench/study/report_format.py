"""``study.json``, the report of a user study, as structs: what ``report`` writes and the site reads.

docs/study.md describes the fields.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.names import slug
from refsr_bench.core.reader import Count, Format, Name, Real, Text

NAME = "study.json"
SCHEMA_VERSION = 1
MOST_BYTES = 200_000  # a report of a hundred methods has a tenth of it

Share = Annotated[float, Meta(ge=0, le=1)]


class Method(Format):
    """A method as it was compared."""

    name: Name
    title: Text
    weights: Text


class Checks(Format):
    """Attention checks of those who count. made_from: what they were made of."""

    made_from: Text
    asked: Count
    right: Count


class Excluded(Format):
    """A participant who does not count. person: a number, in order of joining."""

    person: Count
    asked: Count
    right: Count
    votes: Count


class Exclusion(Format):
    """Who counts, in words, and who does not."""

    rule: Text
    excluded: tuple[Excluded, ...]


class Preference(Format):
    """How often a was preferred over b.

    share: of votes, ties as half; wilson, bootstrap: its 95 % intervals (low, high); shown: the one readers see.
    """

    a: Name
    b: Name
    wins: Count
    losses: Count
    ties: Count
    share: Share
    wilson: tuple[Share, Share]
    bootstrap: tuple[Share, Share] | None
    shown: Literal["wilson", "bootstrap"]

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def interval(self) -> tuple[float, float]:
        return self.bootstrap if self.shown == "bootstrap" and self.bootstrap else self.wilson


class Ranked(Format):
    """A method's place. ability: log odds of being preferred over an average method of its group; low, high: 95 %."""

    method: Name
    group: Count
    rank: Count
    ability: Real
    low: Real | None
    high: Real | None


class Ranking(Format):
    """Bradley-Terry. prior: whether votes had to be added for a finite answer; groups: of methods that comparisons
    connect."""

    interval: Literal["bootstrap", "wald"]
    prior: bool
    groups: Count
    methods: tuple[Ranked, ...]


class Agreement(Format):
    """comparisons: judged by two people or more; same: share of equal pairs of judgements; alpha: Krippendorff's;
    repeats, repeats_same: comparisons asked twice of one person."""

    comparisons: Count
    same: Real | None
    alpha: Real | None
    repeats: Count
    repeats_same: Count


class StudyReport(Format):
    """``study.json``. left_share: of votes for the image at the left."""

    generator: Text
    title: Text
    question: Text
    plan: Text
    focus: Text
    reference: Literal["none", "hr", "ref"]
    ties_allowed: bool
    crop: Count
    dataset: Text
    dataset_title: Text
    dataset_sha256: Text
    protocol: Text
    protocol_digest: Text
    notes: tuple[Text, ...]
    methods: Annotated[tuple[Method, ...], Meta(min_length=1)]
    people: Count
    images: Count
    votes: Count
    ties: Count
    left_share: Share
    median_seconds: Real | None
    checks: Checks
    exclusion: Exclusion
    preferences: tuple[Preference, ...]
    ranking: Ranking
    agreement: Agreement
    schema_version: Literal[1] = SCHEMA_VERSION

    def title_of(self, name: str) -> str:
        """A method's title; with its name beside it where two share a title."""
        titles = {method.name: method.title for method in self.methods}
        own = titles[name]
        return f"{own} ({name})" if list(titles.values()).count(own) > 1 else own

    @property
    def key(self) -> str:
        """Safe as an anchor and in a file name; different for different studies."""
        return f"{slug(self.title.lower())[:40].strip('-.')}-{reader.digest([self.plan, self.title])[:8]}"

    @property
    def csv_name(self) -> str:
        return f"study-{self.key}.csv"


def read_report(path: Path) -> StudyReport:
    """A ``study.json`` that says nothing wrong about itself. Raises BenchError naming the file and the field."""
    return parse_report(reader.read_json(path, dict, MOST_BYTES), str(path))


def parse_report(values: Any, where: str) -> StudyReport:
    """A StudyReport from its JSON value. Raises BenchError naming ``where`` and the field."""
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise BenchError(f"{where}: schema_version {version!r}; this refsr-bench reads {SCHEMA_VERSION}.")
    report = reader.convert(values, StudyReport, where)
    if wrong := contradiction(report):
        raise BenchError(f"{where}: {wrong}.")
    return report


def contradiction(report: StudyReport) -> str | None:
    """The first statement that the rest of the report belies, in words; None for a sound one."""
    names = [method.name for method in report.methods]
    if len(set(names)) != len(names):
        return "methods names one twice"
    used = [name for row in report.preferences for name in (row.a, row.b)]
    used += [row.method for row in report.ranking.methods]
    if unknown := [name for name in (*used, *([report.focus] if report.focus else ())) if name not in names]:
        return f"{unknown[0]!r} is not among the methods"
    if sum(row.votes for row in report.preferences) != report.votes or not report.votes:
        return "votes is not the sum of the preferences"
    for row in report.preferences:
        pair = f"{row.a!r} over {row.b!r}"
        if not row.votes or abs(row.share - (row.wins + row.ties / 2) / row.votes) >= 1e-6:
            return f"the share of {pair} is not that of its votes"
        if any(low > high for low, high in (row.wilson, row.bootstrap or row.wilson)):
            return f"an interval of {pair} is none"
        if row.shown == "bootstrap" and row.bootstrap is None:
            return f"the interval shown of {pair} is not there"
    return None
