"""Draws a participant's trials when they join, from the plan, their code and what others did before.

* Everybody gets each pair of methods equally often (within one), and a pair's sides equally often (within one).
* Among the comparisons of a pair of methods, those with fewest votes come first, then those that fewest people are
  about to see: whoever comes later gets what participants who left did not answer.
* Order, checks and repeats are random, drawn from the plan's digest and the code. Checks are spread over the whole
  session. Repeats come in its last third, of comparisons of its first third, with sides changed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from refsr_bench.study.plan import CHECK, PAIR, REPEAT, Item, Plan
from refsr_bench.study.votes import Person, Trial

ORDERS = 30  # random orders, of which the one with the fewest neighbours of the same image is taken


@dataclass
class Tally:
    """The questions asked so far.

    votes, waiting: answered and not yet answered, by item. lead: how often a was left more often than right, by item
    and by pair of methods.
    """

    votes: Counter[str] = field(default_factory=Counter)
    waiting: Counter[str] = field(default_factory=Counter)
    lead: Counter[object] = field(default_factory=Counter)


def tally(plan: Plan, people: Iterable[Person]) -> Tally:
    """Count what people were asked and answered, except repeats."""
    found = Tally()
    for person in people:
        votes = {vote.item: vote.left for vote in person.votes.values() if vote.kind != REPEAT}
        asked = {trial.item: trial.left for trial in person.trials if trial.kind != REPEAT} | votes
        found.votes.update(votes.keys())
        found.waiting.update(asked.keys() - votes.keys())
        for name, left in asked.items():
            item = plan.by_id[name]
            step = 1 if left == item.a else -1
            found.lead[item.id] += step
            found.lead[item.a, item.b] += step
    return found


def schedule(plan: Plan, code: str, people: Iterable[Person]) -> tuple[Trial, ...]:
    """Return the trials of a new participant. people: everybody before."""
    rng = random.Random(f"{plan.digest}/{code}")
    before = tally(plan, people)
    picked = _order(_picked(plan, before, rng), rng)
    left = _sides(picked, before, rng)
    number = len(picked)
    # A trial's place is a real number between those of the comparisons around it.
    placed = [(float(n), Trial(item.id, PAIR, left[item.id])) for n, item in enumerate(picked)]
    checks = sorted(plan.checks, key=lambda item: (before.votes[item.id] + before.waiting[item.id], rng.random()))
    a_left = rng.random() < 0.5
    for n in range(plan.checks_per_person):
        item = checks[n % len(checks)]
        place = (n + 0.25 + rng.random() / 2) * number / plan.checks_per_person  # in the middle half of its share
        placed.append((place, Trial(item.id, CHECK, item.a if a_left == (n % 2 == 0) else item.b)))
    for item in rng.sample(picked[: number // 3], plan.repeats_per_person):
        place = number * (2 + rng.random()) / 3
        placed.append((place, Trial(item.id, REPEAT, item.other(left[item.id]))))
    return tuple(trial for _, trial in sorted(placed, key=lambda entry: entry[0]))


def _picked(plan: Plan, before: Tally, rng: random.Random) -> list[Item]:
    """Choose the comparisons of one participant, each time the one that is needed most; chance breaks ties."""
    duels, images = Counter[tuple[str, str]](), Counter[str]()
    left = {item.id: (item, rng.random()) for item in plan.pairs}

    def need(entry: tuple[Item, float]) -> tuple[float, ...]:
        item, chance = entry
        return duels[item.a, item.b], before.votes[item.id], before.waiting[item.id], images[item.image], chance

    picked = []
    while len(picked) < plan.per_person:
        item, _ = min(left.values(), key=need)
        del left[item.id]
        duels[item.a, item.b] += 1
        images[item.image] += 1
        picked.append(item)
    return picked


def _order(items: list[Item], rng: random.Random) -> list[Item]:
    orders = [rng.sample(items, len(items)) for _ in range(ORDERS)]
    return min(orders, key=lambda order: sum(a.image == b.image for a, b in pairwise(order)))


def _sides(items: list[Item], before: Tally, rng: random.Random) -> dict[str, str]:
    """Return the method shown left, by item: a in half of each pair of methods.

    The odd comparison goes as the pair needs it. Method a is left in the items in which it was left less often before.
    """
    found = {}
    for duel in sorted({(item.a, item.b) for item in items}):
        own = [item for item in items if (item.a, item.b) == duel]
        lead = before.lead[duel]
        more = rng.random() < 0.5 if lead == 0 else lead < 0
        a_left = len(own) // 2 + (len(own) % 2 and more)
        rng.shuffle(own)
        own.sort(key=lambda item: before.lead[item.id])
        found |= {item.id: item.a if n < a_left else item.b for n, item in enumerate(own)}
    return found
