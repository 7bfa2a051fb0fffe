"""Comparisons between methods: the numbers against references of others, the rules, the sentences, the page."""

import csv
import io
import json
import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from msgspec import structs
from runs import make
from scipy import stats

from leaderboard.frame import frame
from leaderboard.pages import statistics_page
from leaderboard.pages.pages import Entry, Site, render
from leaderboard.reading.load import LoadedRun
from leaderboard.statistics import estimates, paired
from leaderboard.statistics.contests import Contest, contests
from leaderboard.statistics.records import CSV_COLUMNS
from leaderboard.statistics.words import p_text, ranks_sentence, sentence, sentences, summary
from leaderboard.tables.tables import build_tables
from refsr_bench.core.schema import Result, Weights

SYNTHETIC = Weights("synthetic", "synthetic", None)

# Demšar 2006, Table 6: AUC of four variants of C4.5 on 14 data sets. The paper ranks "voting" from more digits than it
# prints (ranks 4, 1, 2, 3 for .972 .981 .975 .975), hence .97501.
DEMSAR = np.array(
    [[.763, .768, .771, .798], [.599, .591, .590, .569], [.954, .971, .968, .967], [.628, .661, .654, .657],
     [.882, .888, .886, .898], [.936, .931, .916, .931], [.661, .668, .609, .685], [.583, .583, .563, .625],
     [.775, .838, .866, .875], [1, 1, 1, 1], [.940, .962, .965, .962], [.619, .666, .614, .669],
     [.972, .981, .97501, .975], [.957, .978, .946, .970]]
)  # fmt: skip


def compared(*results: Result, metrics: Sequence[str] | None = None) -> tuple[Contest, ...]:
    runs = [LoadedRun(f"{n}/result.json", result) for n, result in enumerate(results)]
    return contests(frame(runs), build_tables(runs), metrics)


def only(*results: Result, metric: str = "psnr_y"):
    (found,) = compared(*results, metrics=[metric])
    return found


def synthetic(result: Result) -> Result:
    return structs.replace(
        result, run=structs.replace(result.run, method=structs.replace(result.run.method, weights=SYNTHETIC))
    )


def draw(n: int, *shifts: float, spread: float = 0.5) -> list[np.ndarray]:
    """Values of methods on n images: hard and easy images are so for all."""
    random = np.random.default_rng(7)
    base = random.normal(27, 3, n)
    return [base + shift + random.normal(0, spread, n) for shift in shifts]


# -- numbers against references --------------------------------------------------------------------------------------


def test_intervals_of_means_are_those_of_the_figures_and_close_to_scipys():
    values = np.stack(draw(40, 0, 1), axis=1)
    low, high = paired.intervals(values)
    for n in range(2):
        assert (low[n], high[n]) == pytest.approx(estimates.interval(values[:, n]), abs=1e-10)
        theirs = stats.bootstrap(
            (values[:, n],), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
        ).confidence_interval
        assert (low[n], high[n]) == pytest.approx((theirs.low, theirs.high), abs=0.06)


def test_intervals_of_differences_are_paired_as_scipys():
    values = np.stack(draw(40, 0, 0.3, 0.9), axis=1)
    i, j = zip(*combinations(range(3), 2), strict=True)
    low, high = paired.difference_intervals(values, i, j)
    for n, (a, b) in enumerate(zip(i, j, strict=True)):
        theirs = stats.bootstrap(
            (values[:, a], values[:, b]), lambda x, y, axis=-1: np.mean(x - y, axis), paired=True, vectorized=True,
            method="percentile", n_resamples=10_000, rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        assert (low[n], high[n]) == pytest.approx((theirs.low, theirs.high), abs=0.02)
        assert high[n] - low[n] < 0.5  # images vary by 3 dB: unpaired, it were 2.6


@pytest.mark.parametrize("n", [2, 5, 9, 14])
def test_exact_sign_flips_are_scipys_permutation_test(n):
    values = np.stack(draw(n, 0, 0.3, 0.3), axis=1)
    values[0] = 27.0  # a tie
    values[:, 2] = np.round(values[:, 2], 1)
    i, j = zip(*combinations(range(3), 2), strict=True)
    found = paired.sign_flips(values, i, j)
    for p, a, b in zip(found, i, j, strict=True):
        theirs = stats.permutation_test(
            (values[:, a] - values[:, b],), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert p == pytest.approx(theirs.pvalue, abs=1e-12)


def test_equal_sums_in_another_order_count_as_equal():
    """The patterns ++- and --+ of .1, .2, .3 have sums of 0; whole ones are extreme: p = 2/8, .3 alone 4/8 or more."""
    assert paired.sign_flips(np.array([[0.1, 0], [0.2, 0], [0.3, 0]]), [0], [1]) == pytest.approx([2 / 8])
    assert paired.sign_flips(np.array([[0.1, 0], [0.2, 0], [-0.3, 0]]), [0], [1]) == pytest.approx([1])
    differences = np.array([[0.7, 0], [0.1, 0], [-0.2, 0], [0.4, 0], [0.3, 0]])
    theirs = stats.permutation_test((differences[:, 0],), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert paired.sign_flips(differences, [0], [1]) == pytest.approx([theirs.pvalue])


def test_random_sign_flips_are_close_to_the_exact_ones_of_scipy():
    values = np.stack(draw(16, 0.6, 0, 0.1), axis=1)
    found = paired.sign_flips(values, [0, 0], [1, 2])
    for p, b in zip(found, (1, 2), strict=True):
        exact = stats.permutation_test(
            (values[:, 0] - values[:, b],), lambda x, axis=-1: x.mean(axis), permutation_type="samples",
            n_resamples=np.inf, vectorized=True,
        ).pvalue  # fmt: skip
        assert 0.01 < exact < 0.9
        assert p == pytest.approx(exact, abs=4 * np.sqrt(exact / paired.FLIPS))


def test_a_random_p_is_never_zero_and_many_pairs_get_more_patterns():
    values = np.stack([np.arange(30.0), np.arange(30.0) + 1], axis=1)
    assert paired.sign_flips(values, [0], [1]) == pytest.approx([1 / 20_001])
    assert paired.sign_flips(values, [0], [1], family=201) == pytest.approx([1 / 40_001])
    assert all(paired.smallest_p(100, family) * family < 0.01 for family in (1, 200, 201, 5000))


def test_wilcoxon_is_scipys_column_by_column():
    differences = np.random.default_rng(2).normal(0.2, 1, (30, 5))
    differences[3, 1] = 0  # a zero
    differences[4:6, 2] = 0.5  # a tie
    differences[:, 3] = 0
    differences[:, 4] *= 50
    found = paired.wilcoxon(differences)
    for n in (0, 1, 2, 4):
        assert found[n] == pytest.approx(stats.wilcoxon(differences[:, n]).pvalue, rel=1e-12)
    assert found[3] == 1


def test_holm_gives_published_numbers():
    # The worked example of Wikipedia's article on the Holm-Bonferroni method, and R's p.adjust(..., "holm").
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    # statsmodels 0.14, multipletests(..., method="holm").
    given = [0.001, 0.04, 0.03, 0.005, 0.02, 0.6, 0.011]
    assert paired.holm(given) == pytest.approx([0.007, 0.09, 0.09, 0.03, 0.08, 0.6, 0.055])
    assert paired.holm([]) == [] and paired.holm([0.9, 0.8]) == [1, 1]


@pytest.mark.parametrize(
    ("alpha", "values"),
    [
        (0.05, (1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164)),
        (0.10, (1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920)),
    ],
)
def test_critical_values_are_those_of_demsars_table_5(alpha, values):
    assert [paired.nemenyi(k, alpha) for k in range(2, 11)] == pytest.approx(values, abs=0.0011)


def test_ranks_are_those_of_demsars_example():
    """Section 3.2.2: chi2 9.28, F 3.69, critical difference 1.25 at .05."""
    found = paired.rank(DEMSAR)
    assert found.mean_ranks == pytest.approx((3.143, 2.000, 2.893, 1.964), abs=5e-4)
    assert (found.chi2, found.f, found.distance) == pytest.approx((9.28, 3.69, 1.25), abs=5e-3)
    assert found.order == (3, 1, 2, 0)
    assert found.p == pytest.approx(stats.f.sf(3.69, 3, 39), abs=2e-4) and found.p < 0.05
    # The paper: no pair differs at .05; at .10 the distance is 1.12, and C4.5 is worse than the two with m (Fig. 1a).
    assert found.groups == ((0, 3),)
    looser = paired.rank(DEMSAR, alpha=0.1)
    assert looser.distance == pytest.approx(1.12, abs=5e-3) and looser.groups == ((0, 2), (2, 3))
    assert paired.rank(-DEMSAR, lower_is_better=True).mean_ranks == found.mean_ranks


def test_friedman_is_scipys_where_nothing_ties():
    values = np.stack(draw(25, 0, 0.1, 0.4, 0.5), axis=1)
    assert paired.rank(values).chi2 == pytest.approx(stats.friedmanchisquare(*values.T).statistic)


def test_ranks_that_never_change_and_ranks_that_say_nothing():
    steady = paired.rank(np.arange(3.0) + np.zeros((12, 1)))
    assert steady.f == np.inf and steady.p == 0 and steady.mean_ranks == (3, 2, 1)
    alike = paired.rank(np.ones((12, 4)))
    assert alike.chi2 == pytest.approx(0) and alike.p == 1 and alike.groups == ((0, 3),)


# -- the rules -------------------------------------------------------------------------------------------------------


def test_a_contest_has_the_numbers_of_its_images():
    a, b, c = draw(30, 1, 0.9, 0)
    found = only(make("c", c), make("a", a), make("b", b))
    assert [standing.name for standing in found.standings] == ["a", "b", "c"]
    pair = found.pair(2, 0)
    assert (pair.a, pair.b, pair.images, pair.apart) == (0, 2, 30, 0)
    assert pair.difference == pytest.approx(np.mean(a - c))
    assert pair.wins == sum(np.round(a, 2) > np.round(c, 2)) and pair.wins + pair.ties + pair.losses == 30
    i = [p.p for p in found.pairs]
    assert [p.p_holm for p in found.pairs] == paired.holm(i) and found.family == 3
    assert found.pair(0, 2).significant and found.pair(1, 2).significant and not found.pair(0, 1).significant
    assert found.standings[0].low < a.mean() < found.standings[0].high
    assert found.ranks is not None and found.ranks.images == 30
    assert (found.standings[0].low, found.standings[0].high) == pytest.approx(estimates.interval(a), abs=1e-12)


def test_the_order_of_run_files_changes_nothing():
    values = draw(20, 0, 0.2, 0.4)
    runs = [make(name, numbers) for name, numbers in zip("abc", values, strict=True)]
    first, again = only(*runs), only(*reversed(runs))
    assert first.pairs == again.pairs and sentences(first) == sentences(again)


def test_values_that_print_alike_are_ties_but_differ_in_the_test():
    found = only(make("a", (30.001, 31.002, 29.5)), make("b", (30.004, 31.004, 29.1)))
    (pair,) = found.pairs
    assert (pair.wins, pair.ties, pair.losses) == (1, 2, 0)
    assert pair.difference == pytest.approx((0.4 - 0.003 - 0.002) / 3)
    assert pair.share == pytest.approx(2 / 3)


def test_infinite_values():
    inf = float("inf")
    found = only(make("a", (inf, inf, 30, 31, 32)), make("b", (inf, 40, 29, 30, 31)))
    (pair,) = found.pairs
    assert found.standings[0].mean == inf and found.standings[0].low is None
    assert (pair.images, pair.apart, pair.tested) == (5, 1, 4)
    assert (pair.wins, pair.ties, pair.losses) == (4, 1, 0)
    assert pair.difference == pytest.approx(3 / 4)  # two infinite ones differ by nothing
    assert "1 of them left out of the difference, as one SR alone is identical to HR" in sentence(found, pair)


def test_images_that_one_lacks_are_left_out_of_both():
    a, b = draw(20, 0, 1)
    found = only(make("a", a), make("b", b, limit=12, failures={3: "boom"}))
    (pair,) = found.pairs
    shared = [n for n in range(12) if n != 3]
    assert [standing.name for standing in found.standings] == ["a", "b"]  # the whole run first, though its mean is less
    assert found.standings[1].status == "failed" and found.ranked == (0,)
    assert pair.images == 11 and pair.difference == pytest.approx(np.mean(a[shared] - b[shared]))
    assert sentence(found, pair).startswith("b is better than a on CUFED5: +")
    assert sentence(found, pair).endswith("of 11 images that both have.")


def test_synthetic_weights_never_take_part():
    values = draw(12, 0, 1, 2)
    runs = [make(name, numbers) for name, numbers in zip("abc", values, strict=True)]
    found = only(runs[0], runs[1], synthetic(runs[2]))
    assert [standing.name for standing in found.standings] == ["b", "a"] and found.left_out == ("c",)
    assert compared(runs[0], synthetic(runs[1])) == ()


def test_other_protocols_and_manifests_are_other_contests():
    values = draw(8, 0, 1)
    found = compared(
        make("a", values[0]), make("b", values[1]), make("c", values[1], protocol="ttsr"),
        make("d", values[0], manifest="others"),
    )  # fmt: skip
    assert [(c.protocol.label, c.metric.name, len(c.standings)) for c in found] == [
        ("c2", "psnr_y", 2), ("c2", "ssim_y", 2),
    ]  # fmt: skip
    assert len({c.anchor for c in found}) == 2


def test_few_images_cannot_be_significant():
    found = only(make("a", (5, 5, 5, 5, 5.5)), make("b", (1, 1, 1, 2, 1)))
    (pair,) = found.pairs
    assert pair.p == 2 / 2**5 and found.hopeless and not pair.significant
    assert summary(found) == (
        "No difference on CUFED5 in PSNR-Y can be significant: the smallest p that 5 images can give is 2/2^5 = .062."
    )
    assert sentence(found, pair).endswith("of 5 images; too few images for any difference to be significant.")
    six = only(make("a", range(10, 16)), make("b", range(6)))
    assert six.pairs[0].significant and six.pairs[0].p == 2 / 2**6
    three = only(make("a", range(10, 16)), make("b", range(6)), make("c", range(1, 7)))
    assert three.hopeless and "2/2^6 = .031, which Holm's correction over 3 pairs makes .094." in summary(three)
    assert three.ranks is None


def test_one_image_has_nothing_to_test():
    found = only(make("a", (30,)), make("b", (29,)))
    assert found.pairs[0].p is None and found.family == 0 and found.standings[0].low is None
    assert sentence(found, found.pairs[0]) == "a and b cannot be tested on CUFED5: 1 image, and a test needs two."
    assert summary(found).endswith("no two have two images in common.")


# -- in words --------------------------------------------------------------------------------------------------------


def test_the_sentence_of_two_methods():
    values = draw(126, 0.03, 0, spread=0.3)
    found = only(make("rcan", values[0], title="RCAN"), make("edsr", values[1], title="EDSR"))
    assert re.fullmatch(
        r"(RCAN and EDSR|EDSR and RCAN) are not distinguishable on CUFED5: \+?0\.\d\d dB, 95 % interval "
        r"\[−0\.\d\d, \+0\.\d\d\], p = \.\d+, better on \d+, worse on \d+ of 126 images\.",
        sentence(found, found.pairs[0]),
    )
    assert summary(found) == "The two methods are not distinguishable on CUFED5 in PSNR-Y."


def test_lower_is_better_for_lpips():
    def lpips(name, values):
        result = make(name, [27] * len(values))
        images = [
            structs.replace(image, metrics={**image.metrics, "lpips": value})
            for image, value in zip(result.images, values, strict=True)
        ]
        return structs.replace(result, images=tuple(images), means={**result.means, "lpips": sum(values) / 8})

    found = only(lpips("blurred", [0.4 + n / 100 for n in range(8)]), lpips("sharp", [0.1] * 8), metric="lpips")
    assert [standing.name for standing in found.standings] == ["sharp", "blurred"]
    assert found.pairs[0].wins == 8 and found.pairs[0].difference == pytest.approx(-0.335)
    assert sentence(found, found.pairs[0]) == (
        "sharp is better than blurred on CUFED5: −.3350 LPIPS, 95 % interval [−.3512, −.3188], p = .008, "
        "better on 8, worse on 0 of 8 images."
    )
    marks = statistics_page.block(found)["matrix"]
    assert (marks[0][1].mark, marks[1][0].mark) == ("better", "worse")


def test_summaries_say_how_far_the_first_place_is_shared():
    def of(*shifts):
        names = ("A", "B", "C", "D")
        return only(*(make(n, v, title=n) for n, v in zip(names, draw(60, *shifts, spread=0.3), strict=False)))

    assert (
        summary(of(3, 2, 1, 0))
        == "A is better than each of the other three on CUFED5 in PSNR-Y, and distinguishably so."
    )
    shared = summary(of(1.0, 1.0, 1.0, 0))
    assert re.fullmatch(
        r"The first three \([ABC], [ABC] and [ABC]\) are not distinguishable on CUFED5 in PSNR-Y\.", shared
    )
    assert summary(of(0, 0, 0)) == "All three methods are not distinguishable on CUFED5 in PSNR-Y."
    assert len(sentences(of(3, 2, 1, 0))) == 4
    assert ranks_sentence(of(0, 0, 0)).startswith("Friedman's test finds no difference")
    assert ranks_sentence(of(0, 1)) == ""


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0004, "p < .001"), (0.0012, "p = .001"), (0.0625, "p = .062"), (0.18, "p = .18"), (0.0996, "p = .100"),
     (0.996, "p = 1"), (1, "p = 1")],
)  # fmt: skip
def test_p_values_are_printed_as_papers_do(p, text):
    assert p_text(p) == text


# -- the page --------------------------------------------------------------------------------------------------------

HOSTILE = '</script><script>alert(1)</script>"><img src=x onerror=alert(1)>\u202e'


def page(*results: Result) -> str:
    site = Site(
        "Leaderboard", (Entry("table", "Table", "index.html"), Entry("statistics", "Statistics", "statistics.html"))
    )
    return render(
        "statistics.html.j2", here="statistics", root="", site=site, **statistics_page.context(compared(*results))
    )


def test_the_page_is_valid_and_hostile_text_stays_text():
    html5lib = pytest.importorskip("html5lib")
    values = draw(15, 0, 0.5, 2, 2.1)
    runs = [make(name, numbers, title=f"{name}{HOSTILE}") for name, numbers in zip("abcd", values, strict=True)]
    html = page(*runs, make("e", values[0], limit=5, gan=True))
    assert "\u202e" not in html and "<script>alert" not in html and "<img" not in html
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert not [name for element in tree.iter() for name in element.attrib if name == "style" or name.startswith("on")]
    assert all(table.find("caption") is not None for table in tree.iter("table"))
    blocks = [script for script in tree.iter("script") if script.get("class") == "sentences"]
    assert len(json.loads(blocks[0].text)) == 10
    assert all("</script>" in text for text in json.loads(blocks[0].text))  # whole, and never the end of the block
    assert html == page(*reversed(runs), make("e", values[0], limit=5, gan=True))


def test_the_page_without_anything_to_compare_says_so():
    assert "nothing to compare yet" in page(make("a"))


def test_the_matrix_says_what_the_pairs_say():
    a, b, c = draw(40, 0, 0.02, 3)
    found = only(make("a", a), make("b", b), make("c", c))
    made = statistics_page.block(found)
    assert made["matrix"][0][0] is None and made["matrix"][0][1].text == "100" and made["matrix"][1][0].text == "0"
    assert (made["matrix"][0][1].mark, made["matrix"][1][0].mark, made["matrix"][1][2].mark) == ("better", "worse", "")
    assert int(made["matrix"][1][2].text) + int(made["matrix"][2][1].text) in (99, 100, 101)


def test_whiskers_and_ticks_lie_in_the_plot():
    values = draw(30, 0, 1, 2)
    made = statistics_page.block(only(*(make(n, v) for n, v in zip("abc", values, strict=True))))
    for line in made["lines"]:
        assert 0 < line.low < line.x < line.high < 100
    assert 2 <= len(made["ticks"]) <= 5 and all(0 <= x <= 100 for x, _ in made["ticks"])
    scale = {(float(text), x) for x, text in made["ticks"]}
    (v0, x0), (v1, x1) = sorted(scale)[0], sorted(scale)[-1]
    line = made["lines"][0]
    assert line.x == pytest.approx(x0 + (float(line.mean) - v0) / (v1 - v0) * (x1 - x0), abs=0.3)


def test_equal_values_everywhere_still_make_a_page():
    made = statistics_page.block(only(*(make(name, [27.0] * 12) for name in "abc")))
    assert made["lines"][0].x == 50 and all(won.text == "50" for row in made["matrix"] for won in row if won)
    assert made["summary"] == "All three methods are not distinguishable on CUFED5 in PSNR-Y."


def test_the_diagram_has_a_bar_for_every_group_and_stays_in_its_box():
    values = draw(30, *np.linspace(0, 2, 9))
    found = only(*(make(f"m{n}", v, title=f"method number {n} with a long title") for n, v in enumerate(values)))
    made = statistics_page.block(found)
    for ranks in (made["wide"], made["narrow"]):
        assert len(ranks.bars) == len(found.ranks.groups) and len(ranks.labels) == 9
        for x1, y1, x2, y2 in ranks.bars:
            assert 0 < x1 <= x2 < ranks.width and 0 < y1 <= y2 < ranks.height
        assert all(0 < label.y < ranks.height and 0 < label.dot < ranks.width for label in ranks.labels)
    assert made["ranks_alt"].startswith("Mean ranks: ")


def test_the_csv_has_every_pair_unrounded_and_no_formulas():
    values = draw(15, 0, 0.5, 2)
    found = only(*(make(n, v) for n, v in zip(("=a", "b", "c"), values, strict=True)))
    rows = list(csv.DictReader(io.StringIO(statistics_page.to_csv([found]))))
    assert len(rows) == 3 and tuple(rows[0]) == CSV_COLUMNS
    assert float(rows[0]["difference"]) == found.pairs[0].difference
    assert {row["method_b"] for row in rows} == {"b", "'=a"}
