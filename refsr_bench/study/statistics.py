"""How sure a user study is: intervals of a share, Bradley-Terry abilities, agreement. Numbers alone, no files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

Z = 1.959963984540054  # normal quantile of 97.5 %
DRAWS = 2000
FEWEST = 5  # participants and images from which the bootstrap is shown
PRIOR = 0.5  # wins either way


@dataclass(frozen=True)
class Duels:
    """Votes on pairs of methods, one row each. person, image, a, b (n,): numbers from 0; score (n,): 1 where a was
    preferred, 0 where b was, 0.5 for a tie."""

    person: np.ndarray
    image: np.ndarray
    a: np.ndarray
    b: np.ndarray
    score: np.ndarray


def wilson(wins: float, n: float) -> tuple[float, float]:
    """95 % interval of a share of independent votes (Wilson 1927, without continuity correction).

    wins may hold halves (ties). (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = wins / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def weights(duels: Duels, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """(draws, n) float32: how often each vote counts when participants and images are both drawn anew with replacement.

    The two-way ("pigeonhole") bootstrap of Owen (2007, doi:10.1214/07-AOAS122): votes of one person, or of one image,
    are not independent of each other.
    """
    rng = np.random.default_rng(seed)
    people, images = int(duels.person.max()) + 1, int(duels.image.max()) + 1
    by_person = rng.multinomial(people, np.full(people, 1 / people), draws)
    by_image = rng.multinomial(images, np.full(images, 1 / images), draws)
    return (by_person[:, duels.person] * by_image[:, duels.image]).astype(np.float32)


def share_interval(score: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Percentile interval (95 %) of a share. score (n,); counts (draws, n), as of ``weights``; empty draws left out."""
    total = counts.sum(1)
    shares = (counts @ score.astype(np.float32))[total > 0] / total[total > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def wins_of(duels: Duels, methods: int, counts: np.ndarray | None = None) -> np.ndarray:
    """(methods, methods): how often the row was preferred over the column, ties as half a win each."""
    one = np.ones(len(duels.score)) if counts is None else counts
    wins = np.zeros((methods, methods))
    np.add.at(wins, (duels.a, duels.b), one * duels.score)
    np.add.at(wins, (duels.b, duels.a), one * (1 - duels.score))
    return wins


def groups(wins: np.ndarray) -> list[list[int]]:
    """Methods that comparisons connect, directly or over others; methods of different groups cannot be ranked."""
    compared = (wins + wins.T) > 0
    reached = _reached(compared)
    found = {tuple(np.flatnonzero(row).tolist()) for row in reached}
    return [list(group) for group in sorted(found, key=lambda group: (-len(group), group))]


def separated(wins: np.ndarray) -> bool:
    """Whether maximum likelihood has no finite answer: some methods never lost a vote to some others (Ford 1957)."""
    return not _reached(wins > 0).all()


def _reached(edges: np.ndarray) -> np.ndarray:
    reached = edges | np.eye(len(edges), dtype=bool)
    for _ in range(max(1, math.ceil(math.log2(max(2, len(edges)))))):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    return reached


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Log abilities (m,), mean 0, by maximum likelihood: P(i preferred over j) = 1 / (1 + exp(ability j - ability i)).

    wins (m, m), of one connected group. Where ``separated``, PRIOR wins either way are added to every pair that was
    compared. Hunter's minorization-maximization (2004, doi:10.1214/aos/1079120141), finished by Newton's method.
    """
    wins = regular(wins)
    played = wins + wins.T
    ability = np.zeros(len(wins))
    for _ in range(20):
        power = np.exp(ability)
        update = wins.sum(1) / (played / (power[:, None] + power[None, :])).sum(1)
        ability = np.log(update) - np.log(update).mean()
    for _ in range(50):
        expected = played / (1 + np.exp(ability[None, :] - ability[:, None]))
        step = np.linalg.pinv(_information(ability, played)) @ (wins - expected).sum(1)
        step *= min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))  # no leaps
        ability = ability + step - step.mean()
        if np.abs(step).max() < 1e-12:
            break
    return ability


def regular(wins: np.ndarray) -> np.ndarray:
    """The wins that abilities are estimated from: with PRIOR where there is no finite answer otherwise."""
    return wins + PRIOR * ((wins + wins.T) > 0) if separated(wins) else wins


def covariance(ability: np.ndarray, wins: np.ndarray) -> np.ndarray:
    """(m, m) of log abilities with mean 0, for independent votes: the inverse of the observed information."""
    wins = regular(wins)
    return np.linalg.pinv(_information(ability, wins + wins.T))


def _information(ability: np.ndarray, played: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(ability[None, :] - ability[:, None]))
    spread = played * p * (1 - p)
    return np.diag(spread.sum(1)) - spread


def ability_intervals(duels: Duels, methods: Sequence[int], counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Percentile intervals (95 %) of log abilities, (m,) low and high. methods: a connected group; counts as of
    ``weights``. Draws in which the group falls apart are left out."""
    size = int(max(duels.a.max(), duels.b.max())) + 1
    own = np.ix_(methods, methods)
    found = []
    for draw in counts[: DRAWS // 4]:
        wins = wins_of(duels, size, draw)[own]
        if len(groups(wins)) == 1:
            found.append(bradley_terry(wins))
    if not found:
        return np.full(len(methods), np.nan), np.full(len(methods), np.nan)
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return low, high


def krippendorff(units: Sequence[Sequence[object]]) -> float:
    """Krippendorff's alpha for nominal values; units: the values that people gave to each thing, any number of them.

    1: full agreement, 0: chance. NaN where nothing was judged twice or all values are the same.
    """
    judged = [list(values) for values in units if len(values) > 1]
    values = [value for unit in judged for value in unit]
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    total = len(values)
    observed = sum(sum(a != b for a, b in combinations(unit, 2)) * 2 / (len(unit) - 1) for unit in judged)
    expected = total * total - sum(count * count for count in counts.values())
    return 1 - (total - 1) * observed / expected if expected else math.nan


def mirrored(units: Sequence[Sequence[float]]) -> list[list[float]]:
    """Scores (1, 0, 0.5), and the same with both methods' names exchanged: agreement then does not depend on which of
    them is called a."""
    return [list(unit) for unit in units] + [[1 - score for score in unit] for unit in units]


def same_share(units: Sequence[Sequence[object]]) -> float:
    """Share of pairs of judgements about the same thing that are equal; NaN without any."""
    pairs = [a == b for unit in units for a, b in combinations(unit, 2)]
    return sum(pairs) / len(pairs) if pairs else math.nan


def passed(right: Mapping[str, int], asked: Mapping[str, int], share: float) -> dict[str, bool]:
    """Which participants count: who answered at least ``share`` of their checks right. Nobody is judged by none."""
    return {code: asked[code] > 0 and right[code] >= share * asked[code] - 1e-9 for code in asked}
