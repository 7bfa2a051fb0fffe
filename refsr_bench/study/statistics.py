"""Computes the certainty of a user study: intervals of a share, Bradley-Terry abilities, agreement.

We wrote these because no library that we know has them in this form: Wilson's interval with ties as half a vote
(scipy's takes whole votes), a bootstrap that draws participants and images at once and shares its draws between all
numbers of a report, and Bradley-Terry with connected groups and a prior only if there is no finite answer. Alpha comes
from ``krippendorff``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import krippendorff
import numpy as np
from scipy.sparse.csgraph import connected_components

Z = 1.959963984540054  # normal quantile of 97.5 %
DRAWS = 2000
FEWEST = 5  # participants and images from which the bootstrap is shown; four give only 35 different draws
PRIOR = 0.5  # wins added either way
SCORES = (0.0, 0.5, 1.0)  # b preferred, tie, a preferred


@dataclass(frozen=True)
class Duels:
    """Votes on pairs of methods, one row each. person, image, a, b: (n,) int numbers from 0; score: (n,) of SCORES."""

    person: np.ndarray
    image: np.ndarray
    a: np.ndarray
    b: np.ndarray
    score: np.ndarray


def wilson(wins: float, n: float) -> tuple[float, float]:
    """Return the 95 % interval of a share of independent votes (Wilson 1927, without continuity correction).

    wins may include halves (ties). Returns (0, 1) for n = 0.
    """
    if n == 0:
        return 0.0, 1.0
    share, z2 = wins / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def weights(duels: Duels, seed: int = 0, draws: int = DRAWS) -> np.ndarray:
    """Return (draws, n) float32: how often each vote counts when participants and images are redrawn.

    This is the two-way ("pigeonhole") bootstrap of Owen (2007, doi:10.1214/07-AOAS122), because votes by one person, or
    on one image, depend on each other.
    """
    rng = np.random.default_rng(seed)
    people, images = int(duels.person.max()) + 1, int(duels.image.max()) + 1
    by_person = rng.multinomial(people, np.full(people, 1 / people), draws)
    by_image = rng.multinomial(images, np.full(images, 1 / images), draws)
    return (by_person[:, duels.person] * by_image[:, duels.image]).astype(np.float32)


def share_interval(score: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the percentile interval (95 %) of a share. score: (n,); counts: (draws, n) from ``weights``.

    Draws that hold none of these votes are left out.
    """
    total = counts.sum(1)
    shares = (counts @ score.astype(np.float32))[total > 0] / total[total > 0]
    low, high = np.quantile(shares, (0.025, 0.975))
    return float(low), float(high)


def wins_of(duels: Duels, methods: int, counts: np.ndarray | None = None) -> np.ndarray:
    """Return (methods, methods): how often the row was preferred over the column; a tie is half a win for each.

    counts: (n,) how often each vote counts; once by default.
    """
    one = np.ones(len(duels.score)) if counts is None else counts
    wins = np.zeros((methods, methods))
    np.add.at(wins, (duels.a, duels.b), one * duels.score)
    np.add.at(wins, (duels.b, duels.a), one * (1 - duels.score))
    return wins


def groups(wins: np.ndarray) -> list[list[int]]:
    """Return the groups of methods that comparisons connect, directly or through others, the largest group first.

    Methods of different groups cannot be ranked against each other.
    """
    _, labels = connected_components((wins + wins.T) > 0, directed=False)
    found = [np.flatnonzero(labels == label).tolist() for label in range(labels.max() + 1)]
    return sorted(found, key=lambda group: (-len(group), group))


def separated(wins: np.ndarray) -> bool:
    """Tell whether maximum likelihood has no finite answer: some methods never lost a vote to others (Ford 1957)."""
    return connected_components(wins > 0, connection="strong")[0] > 1


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Return log abilities (m,), mean 0, by maximum likelihood: P(i over j) = 1 / (1 + exp(ability j - ability i)).

    wins: (m, m), of one connected group. If ``separated``, PRIOR wins either way are added to every pair that was
    compared. Hunter's minorization-maximization (2004, doi:10.1214/aos/1079120141) is finished by Newton's method.
    """
    wins = regular(wins)
    played = wins + wins.T
    ability = np.zeros(len(wins))
    # Hunter's steps never overshoot but converge linearly. They bring Newton's steps, which can overshoot, into its
    # basin.
    for _ in range(20):
        power = np.exp(ability)
        update = wins.sum(1) / (played / (power[:, None] + power[None, :])).sum(1)
        ability = np.log(update) - np.log(update).mean()
    for _ in range(50):
        expected = played / (1 + np.exp(ability[None, :] - ability[:, None]))
        # The information is singular along (1, ..., 1), the common shift that comparisons cannot see, hence pinv.
        step = np.linalg.pinv(_information(ability, played)) @ (wins - expected).sum(1)
        # limits a Newton step to 1, so that it cannot leap out of the basin
        step *= min(1.0, 1.0 / max(np.abs(step).max(), 1e-12))
        ability = ability + step - step.mean()
        if np.abs(step).max() < 1e-12:  # far below the eight decimals of reports
            break
    return ability


def regular(wins: np.ndarray) -> np.ndarray:
    """Return the wins that abilities are estimated from, with PRIOR added if there is no finite answer otherwise."""
    return wins + PRIOR * ((wins + wins.T) > 0) if separated(wins) else wins


def covariance(ability: np.ndarray, wins: np.ndarray) -> np.ndarray:
    """The covariance (m, m) of log abilities with mean 0, for independent votes: the inverse observed information."""
    wins = regular(wins)
    return np.linalg.pinv(_information(ability, wins + wins.T))


def _information(ability: np.ndarray, played: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(ability[None, :] - ability[:, None]))
    spread = played * p * (1 - p)
    return np.diag(spread.sum(1)) - spread


def ability_intervals(duels: Duels, methods: Sequence[int], counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return percentile intervals (95 %) of log abilities: (m,) low and (m,) high, NaN if no draw could be ranked.

    methods: a connected group. counts: from ``weights``. Draws in which the group falls apart are left out.
    """
    size = int(max(duels.a.max(), duels.b.max())) + 1
    own = np.ix_(methods, methods)
    found = []
    for draw in counts[: DRAWS // 4]:  # a quarter, because each draw takes a whole estimation
        wins = wins_of(duels, size, draw)[own]
        if len(groups(wins)) == 1:
            found.append(bradley_terry(wins))
    if not found:
        return np.full(len(methods), np.nan), np.full(len(methods), np.nan)
    low, high = np.quantile(found, (0.025, 0.975), axis=0)
    return low, high


def judgements(units: Sequence[Sequence[float]]) -> np.ndarray:
    """Return (units, 3) int: how many people gave each of SCORES to each comparison."""
    return np.array([[list(unit).count(score) for score in SCORES] for unit in units]).reshape(-1, len(SCORES))


def alpha(counts: np.ndarray) -> float:
    """Return Krippendorff's alpha (nominal) of ``judgements``: 1 is full agreement, 0 is chance.

    Every comparison enters a second time with its methods exchanged, so that agreement does not depend on which of them
    is called a. NaN if nothing was judged twice or all judgements are ties.
    """
    counts = np.concatenate([counts, counts[:, ::-1]])
    if counts[counts.sum(1) > 1].any(0).sum() < 2:
        return math.nan
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def same_share(counts: np.ndarray) -> float:
    """Return the share of equal pairs among all pairs of ``judgements`` of one comparison; NaN if there is no pair."""
    total = counts.sum(1)
    pairs = (total * (total - 1)).sum()
    return float((counts * (counts - 1)).sum() / pairs) if pairs else math.nan


def passed(right: Mapping[str, int], asked: Mapping[str, int], share: float) -> dict[str, bool]:
    """Tell which participants answered at least ``share`` of their checks right; nobody passes without a check."""
    # in floats, 0.28 * 25 > 7
    return {code: asked[code] > 0 and right[code] >= share * asked[code] - 1e-9 for code in asked}
