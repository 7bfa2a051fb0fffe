"""The format of ``study.json``, which ``report`` writes and the site reads; docs/guide/study.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.names import slug
from refsr_bench.core.reader import LARGEST, Count, Format, Name, Real, Text

NAME = "study.json"
SCHEMA_VERSION = 1
MOST_BYTES = 1 << 20  # a report of ten methods with a hundred excluded participants has 40 KB

Share = Annotated[float, Meta(ge=0, le=1)]
Interval = tuple[Share, Share]
"""The ends of a 95 % interval, the lower one first."""
Shown = Literal["wilson", "bootstrap"]


class StudyMethod(Format):
    """One method as it was compared. weights: their name; "" if unknown."""

    name: Name
    title: Text
    weights: Text


class Checks(Format):
    """The attention checks of the participants who count. made_from: the images they were made from; "" without any."""

    made_from: Text
    asked: Count
    right: Count


class Excluded(Format):
    """A participant who does not count. person: their number, in the order of joining. votes: on pairs of methods."""

    person: Count
    asked: Count
    right: Count
    votes: Count


class Exclusion(Format):
    """The rule for who counts, in words, and the participants whom it leaves out."""

    rule: Text
    excluded: tuple[Excluded, ...]


class Preference(Format):
    """The votes on one pair of methods. share: of the votes that preferred a, with ties as half.

    bootstrap: None if there are too few participants or images, or all votes agree. shown: the interval that readers
    see.
    """

    a: Name
    b: Name
    wins: Count
    losses: Count
    ties: Count
    share: Share
    wilson: Interval
    bootstrap: Interval | None
    shown: Shown

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def interval(self) -> Interval:
        """The interval that ``shown`` names."""
        return self.bootstrap if self.shown == "bootstrap" and self.bootstrap else self.wilson


class Ranked(Format):
    """The position of one method. ability: log odds of being preferred over an average method of its group.

    low, high: its 95 % interval; None if no bootstrap draw could be ranked.
    """

    method: Name
    group: Count
    rank: Count
    ability: Real
    low: Real | None
    high: Real | None


class Ranking(Format):
    """Bradley-Terry abilities. prior: whether votes were added to get a finite answer. groups: connected ones."""

    interval: Literal["bootstrap", "wald"]
    prior: bool
    groups: Count
    methods: tuple[Ranked, ...]


class Agreement(Format):
    """Agreement between people, and of people with themselves.

    comparisons: those that two or more people judged. same: the share of equal pairs of judgements. alpha:
    Krippendorff's. repeats, repeats_same: comparisons that one person was asked twice. None means that there is nothing
    to compute from.
    """

    comparisons: Count
    same: Share | None
    alpha: Annotated[float, Meta(ge=-LARGEST, le=1)] | None
    repeats: Count
    repeats_same: Count


class StudyReport(Format):
    """``study.json``. votes, ties: on pairs of methods. left_share: of votes for the image at the left.

    plan: the digest of plan.json. focus, dataset, protocol and similar fields are "" if the plan has none; crop is 0
    for whole images. median_seconds: per answer; None if nobody measured it.
    """

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
    methods: Annotated[tuple[StudyMethod, ...], Meta(min_length=1)]
    people: Count
    images: Count
    votes: Count
    ties: Count
    left_share: Share
    median_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None
    checks: Checks
    exclusion: Exclusion
    preferences: tuple[Preference, ...]
    ranking: Ranking
    agreement: Agreement
    schema_version: Literal[1] = SCHEMA_VERSION

    def title_of(self, name: str) -> str:
        """Return the title of a method, with its name beside it if two methods share a title."""
        titles = {method.name: method.title for method in self.methods}
        own = titles[name]
        return f"{own} ({name})" if list(titles.values()).count(own) > 1 else own


    @property
    def key(self) -> str:
        """A name that is safe as an anchor and in a file name, and different for different studies."""
        return f"{slug(self.title.lower())[:40].strip('-.')}-{reader.digest([self.plan, self.title])[:8]}"

    @property
    def csv_name(self) -> str:
        return f"study-{self.key}.csv"


def read_report(path: Path) -> StudyReport:
    """Read a ``study.json`` that does not contradict itself. Raises BenchError naming the file and the field."""
    return parse_report(reader.parse_json(files.read_text(path, MOST_BYTES), str(path)), str(path))


def parse_report(values: Any, where: str) -> StudyReport:
    """Read a report from its JSON value. Raises BenchError naming ``where`` and the field."""
    version = values.get("schema_version") if isinstance(values, Mapping) else None
    if version != SCHEMA_VERSION:
        raise BenchError(f"{where}: schema_version {version!r}; this refsr-bench reads {SCHEMA_VERSION}.")
    report = reader.convert(values, StudyReport, where)
    if wrong := contradiction(report):
        raise BenchError(f"{where}: {wrong}.")
    return report


def contradiction(report: StudyReport) -> str | None:
    """Return the first statement that the rest of the report contradicts, in words; None for a sound report."""
    names = [method.name for method in report.methods]
    if len(set(names)) != len(names):
        return "methods names one twice"
    used = [name for row in report.preferences for name in (row.a, row.b)]
    used += [row.method for row in report.ranking.methods]
    used += [report.focus] if report.focus else []
    if unknown := [name for name in used if name not in names]:
        return f"{unknown[0]!r} is not among the methods"
    if sum(row.votes for row in report.preferences) != report.votes or not report.votes:
        return "votes is not the sum of the preferences"
    for row in report.preferences:
        pair = f"{row.a!r} over {row.b!r}"
        # Shares are written with eight decimals.
        if not row.votes or abs(row.share - (row.wins + row.ties / 2) / row.votes) >= 1e-6:
            return f"the share of {pair} is not that of its votes"
        if any(low > high for low, high in (row.wilson, row.bootstrap or row.wilson)):
            return f"an interval of {pair} ends before it begins"
        if row.shown == "bootstrap" and row.bootstrap is None:
            return f"the interval shown of {pair} is not there"
    return None
