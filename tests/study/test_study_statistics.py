"""The study's statistics against numbers that others published."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest

from refsr_bench.study import statistics
from refsr_bench.study.statistics import Duels

# Agresti, Categorical Data Analysis (2nd ed. 2002), Table 10.10: American League East 1987, wins of the row's team.
TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    dtype=float,
)
# Stigler 1994: citations between journals, of the row by the column.
CITATIONS = np.array([[0, 730, 498, 221], [33, 0, 68, 17], [320, 813, 0, 142], [284, 276, 325, 0]], dtype=float)


def test_bradley_terry_of_baseball() -> None:
    """Estimates and standard errors against Baltimore as the vignette of R's BradleyTerry2 prints them."""
    ability = statistics.bradley_terry(BASEBALL)
    assert ability - ability[-1] == pytest.approx([1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0], abs=6e-5)
    assert ability.sum() == pytest.approx(0, abs=1e-12)
    v = statistics.covariance(ability, BASEBALL)
    errors = [math.sqrt(v[n, n] + v[6, 6] - 2 * v[n, 6]) for n in range(6)]
    assert errors == pytest.approx([0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319], abs=6e-5)


def test_bradley_terry_of_citations() -> None:
    """Against Biometrika, as R's BradleyTerry2 prints them: Comm Statist -2.949, JASA -0.480, JRSS-B 0.269."""
    ability = statistics.bradley_terry(CITATIONS)
    assert ability - ability[0] == pytest.approx([0, -2.94907, -0.47957, 0.26895], abs=6e-6)


def test_two_methods_have_the_log_odds() -> None:
    ability = statistics.bradley_terry(np.array([[0, 30.0], [10, 0]]))
    assert ability[0] - ability[1] == pytest.approx(math.log(3), abs=1e-10)


def test_a_method_that_never_lost_is_bounded_by_the_prior() -> None:
    wins = np.array([[0, 9, 9], [0, 0, 6], [0, 3, 0]], dtype=float)
    assert statistics.separated(wins) and not statistics.separated(BASEBALL)
    ability = statistics.bradley_terry(wins)
    assert np.isfinite(ability).all() and list(np.argsort(-ability)) == [0, 1, 2]
    assert ability == pytest.approx(statistics.bradley_terry(wins + 0.5 * (1 - np.eye(3))))


def test_methods_that_nothing_connects_are_found() -> None:
    wins = np.zeros((5, 5))
    wins[0, 1] = wins[2, 1] = wins[3, 4] = 2
    assert statistics.groups(wins) == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("wins", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(wins: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statistics in Medicine 17, 857), Table I, method 3."""
    assert statistics.wilson(wins, n) == pytest.approx((low, high), abs=5.1e-5)
    assert statistics.wilson(wins, n) == pytest.approx(binomtest(wins, n).proportion_ci(method="wilson"), abs=1e-12)
    mirrored = statistics.wilson(n - wins, n)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=5.1e-5)


def test_krippendorff() -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: nominal data, four observers."""
    rows = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = [[row[n] for row in rows if row[n] != "."] for n in range(12)]
    assert alpha_by_pairs(units) == pytest.approx(0.743, abs=5e-4)
    rng = np.random.default_rng(0)
    for most in (2, 3, 9):  # people per comparison: some of them nobody judged, some one person, some with ties
        judged = [list(rng.choice(statistics.SCORES, rng.integers(0, most), p=[0.3, 0.2, 0.5])) for _ in range(40)]
        mirrored = [[1 - score for score in unit] for unit in judged]
        found = statistics.alpha(statistics.judgements(judged))
        assert found == pytest.approx(alpha_by_pairs([*judged, *mirrored]), abs=1e-12, nan_ok=True)
        assert statistics.same_share(statistics.judgements(judged)) == pytest.approx(
            np.mean([a == b for unit in judged for a, b in combinations(unit, 2)] or [math.nan]), nan_ok=True
        )
    assert statistics.alpha(statistics.judgements([[1, 1], [0, 0], [1, 1]])) == 1
    for nothing in ([], [[1], [0]], [[0.5, 0.5]]):
        assert math.isnan(statistics.alpha(statistics.judgements(nothing)))


def alpha_by_pairs(units: list) -> float:
    """Alpha for nominal values as its definition reads: disagreement within units over that of all values."""
    judged = [unit for unit in units if len(unit) > 1]
    values = [value for unit in judged for value in unit]
    observed = sum(sum(a != b for a, b in combinations(unit, 2)) * 2 / (len(unit) - 1) for unit in judged)
    expected = 2 * sum(a != b for a, b in combinations(values, 2))
    return 1 - (len(values) - 1) * observed / expected if expected else math.nan


def duels(people: int, images: int, score: np.ndarray) -> Duels:
    person, image = (part.ravel() for part in np.indices((people, images)))
    zeros = np.zeros(people * images, int)
    return Duels(person, image, zeros, zeros + 1, score.ravel())


def test_the_bootstrap_knows_that_people_and_images_matter() -> None:
    """The votes are only as many as the people where every person has one opinion of everything."""
    rng = np.random.default_rng(1)
    by_person = np.repeat((rng.random((20, 1)) < 0.7).astype(float), 30, 1)
    each = (rng.random((20, 30)) < 0.7).astype(float)
    widths = []
    for score in (by_person, by_person.T, each):
        made = duels(*score.shape, score)
        low, high = statistics.share_interval(made.score, statistics.weights(made, 0))
        assert low < score.mean() < high
        widths.append(high - low)
    independent = np.subtract(*statistics.wilson(each.sum(), each.size)[::-1])
    assert widths[0] > 4 * independent and widths[1] > 4 * independent
    assert widths[2] < 2.5 * independent
    twenty = np.subtract(*statistics.wilson(by_person[:, 0].sum(), 20)[::-1])
    assert widths[0] == pytest.approx(twenty, rel=0.2)


def test_the_bootstrap_is_the_same_every_time() -> None:
    made = duels(6, 5, (np.arange(30) % 3 > 0).astype(float))
    assert (statistics.weights(made, 3) == statistics.weights(made, 3)).all()
    assert (statistics.weights(made, 3) != statistics.weights(made, 4)).any()


def test_ability_intervals_hold_the_estimate() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([1.0, 0.0, -1.0])
    person, image, pair = (part.ravel() for part in np.indices((12, 10, 3)))
    a, b = np.array([0, 0, 1])[pair], np.array([1, 2, 2])[pair]
    score = (rng.random(len(a)) < 1 / (1 + np.exp(truth[b] - truth[a]))).astype(float)
    made = Duels(person, image, a, b, score)
    ability = statistics.bradley_terry(statistics.wins_of(made, 3))
    low, high = statistics.ability_intervals(made, [0, 1, 2], statistics.weights(made, 0))
    assert (low < ability).all() and (ability < high).all()
    assert (low < truth).all() and (truth < high).all()


def test_who_passes() -> None:
    assert statistics.passed({"a": 3, "b": 2, "c": 0}, {"a": 4, "b": 4, "c": 0}, 0.75) == {
        "a": True, "b": False, "c": False,
    }  # fmt: skip
