"""Puts comparisons into words: numbers in APA style, and sentences that say what is known and what is not."""

from __future__ import annotations

import math
from collections.abc import Sequence

from leaderboard.statistics import paired
from leaderboard.statistics.contests import ALPHA, Contest, Pair
from leaderboard.text import of_metric
from refsr_bench.core.schema import MetricInfo

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def p_text(p: float) -> str:
    """Return "p = .18" or "p < .001", as APA style prints them: two decimals, three below .1."""
    if p < 0.001:
        return "p < .001"
    text = f"{p:.{3 if p < 0.1 else 2}f}"
    return f"p = {text.removeprefix('0') if p < 0.995 else 1}"


def value_text(value: float | None, metric: MetricInfo, signed: bool = False) -> str:
    """Return a number as tables print it, with a proper minus. signed: with a plus before positive ones."""
    text = of_metric(value, metric)
    if value is None or math.isinf(value):
        return text
    if not float(f"{value:.{metric.digits}f}"):
        return text.removeprefix("-")
    return text.replace("-", "−") if value < 0 else f"+{text}" if signed else text


def interval_text(low: float | None, high: float | None, metric: MetricInfo, signed: bool = False) -> str:
    """Return "[24.97, 25.91]"; "" without an interval."""
    if low is None or high is None:
        return ""
    return f"[{value_text(low, metric, signed)}, {value_text(high, metric, signed)}]"


def sentence(found: Contest, pair: Pair) -> str:
    """Say what is known about two methods, the one better on their images first.

    For example: "RCAN and EDSR are not distinguishable on CUFED5: +0.03 dB, 95 % interval [−0.01, +0.07], p = .18 after
    Holm, better on 70, worse on 56 of 126 images".
    """
    lower = found.metric.direction == "lower"
    if pair.difference is not None and pair.difference * (-1 if lower else 1) < 0:
        pair = pair.turned
    a, b = found.standings[pair.a].title, found.standings[pair.b].title
    where = found.dataset_title
    if not pair.images:
        return f"{a} and {b} have no image in common on {where}."
    if pair.p is None or pair.p_holm is None:
        return f"{a} and {b} cannot be tested on {where}: {_images(found, pair)}, and a test needs two."
    unit = found.metric.unit or found.metric.title
    parts = [
        f"{value_text(pair.difference, found.metric, signed=True)} {unit}",
        f"95 % interval {interval_text(pair.low, pair.high, found.metric, signed=True)}",
        p_text(pair.p_holm) + (" after Holm" if found.family > 1 else ""),
        f"better on {pair.wins}, worse on {pair.losses} of {_images(found, pair)}",
    ]
    if pair.significant:
        start = f"{a} is better than {b} on {where}"
    elif found.too_few(pair):
        start = f"{a} and {b} on {where}"
        parts[-1] += "; too few images for any difference to be significant"
    else:
        start = f"{a} and {b} are not distinguishable on {where}"
    return f"{start}: {', '.join(parts)}."


def _images(found: Contest, pair: Pair) -> str:
    text = _count(pair.images, "image")
    if min(found.standings[pair.a].images, found.standings[pair.b].images) > pair.images or not (
        found.standings[pair.a].images == found.standings[pair.b].images == pair.images
    ):
        text += " that both have"
    if pair.apart:
        text += f", {pair.apart} of them left out of the difference, as one SR alone is identical to HR"
    return text


def summary(found: Contest) -> str:
    """The head of a column, such as "The first three (A, B and C) are not distinguishable on CUFED5 in PSNR-Y"."""
    where = f"on {found.dataset_title} in {found.metric.title}"
    if found.hopeless:
        return f"No difference {where} can be significant: {few(found)}"
    # Partial runs come last and are not part of "the first three", unless there is nothing else.
    titles = [standing.title for standing in found.standings][: len(found.ranked) if len(found.ranked) > 1 else None]
    level = 1
    while level < len(titles) and not any(found.pair(i, level).significant for i in range(level)):
        level += 1
    if level == len(titles):
        all_of = "The two methods" if level == 2 else f"All {_word(level)} methods"
        return f"{all_of} are not distinguishable {where}."
    if level > 1:
        listed = f" ({_listed(titles[:level])})" if level < 6 else ""
        return f"The first {_word(level)}{listed} are not distinguishable {where}."
    alike = [pair for other in range(1, len(titles)) if not (pair := found.pair(0, other)).significant]
    if not alike:
        others = titles[1] if len(titles) == 2 else f"each of the other {_word(len(titles) - 1)}"
        return f"{titles[0]} is better than {others} {where}, and distinguishably so."
    return (
        f"{titles[0]} is distinguishably better than the next, {titles[1]}, {where}, but not than "
        f"{_listed([titles[pair.b] for pair in alike])}."
    )


def few(found: Contest) -> str:
    """Explain why a contest cannot have a significant pair."""
    most = max((pair.tested for pair in found.pairs), default=0)
    if most < 2:
        return "no two have two images in common."
    reach = f"2/2^{most}" if most <= paired.EXACT else f"1/{paired.flips(found.family) + 1}"
    own, corrected = (p_text(p).removeprefix("p = ") for p in (paired.smallest_p(most, found.family), found.smallest_p))
    after = f", which Holm's correction over {found.family} pairs makes {corrected}" if found.family > 1 else ""
    return f"the smallest p that {_count(most, 'image')} can give is {reach} = {own}{after}."


def sentences(found: Contest) -> tuple[str, ...]:
    """Return the summary, then each method against the next one."""
    neighbours = (sentence(found, found.pair(n, n + 1)) for n in range(len(found.standings) - 1))
    return (summary(found), *neighbours)


def ranks_sentence(found: Contest) -> str:
    """Return Friedman's and Nemenyi's result in words; "" without ranks."""
    if found.ranks is None:
        return ""
    ranks, k = found.ranks, len(found.ranked)
    f = "∞" if math.isinf(ranks.f) else f"{ranks.f:.2f}"
    test = f"F({k - 1}, {(k - 1) * (ranks.images - 1)}) = {f}, {p_text(ranks.p)}, {_count(ranks.images, 'image')}"
    if ranks.p >= ALPHA:
        return f"Friedman's test finds no difference between the mean ranks: {test}."
    return (
        f"Friedman's test finds differences between the mean ranks: {test}. Two methods whose mean ranks are less than "
        f"{ranks.distance:.2f} apart (Nemenyi's critical difference) are not distinguishable."
    )


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _word(n: int) -> str:
    return WORDS[n] if n < len(WORDS) else str(n)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
