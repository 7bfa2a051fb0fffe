"""Reference rules, the shipped lists, and draws that are the same everywhere."""

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest
from made import image_source, make_pair, manga, noise

from refsr_bench.core.catalogue import collect
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import RefPair
from refsr_bench.protocols._references import LISTS, choose, draw, make_list, parse_rule, read_list

C2 = collect("PROTOCOLS")["c2"]


def names(rule, pair, dataset="wrsr"):
    return [ref.name for ref in choose(rule, pair, dataset)]


def test_rules_have_one_spelling():
    assert [parse_rule(text) for text in ("L1", "level:3", " all", "random:07", "lr")] == [
        "level:1", "level:3", "all", "random:7", "lr",
    ]  # fmt: skip
    for text in ("", "L0", "level:", "random", "random:-1", "Level:1", "All", "first:2"):
        with pytest.raises(ValueError, match="a rule is one of"):
            parse_rule(text)
    assert C2.changed({"refs": "L1"}).digest == C2.changed({"refs": "level:1"}).digest


def test_rules_choose():
    pair = make_pair("a", refs=[(8, 8)] * 5)
    assert names("all", pair) == [f"a_{k}.png" for k in range(1, 6)]
    assert names("first", pair) == ["a_1.png"]
    assert names("level:4", pair) == ["a_4.png"]


def test_a_missing_level_is_said_with_those_there_are():
    with pytest.raises(BenchError, match=r"'a' of cufed5 has no reference of level 3; it has only levels 1, 2"):
        names("level:3", make_pair("a"), "cufed5")
    plain = RefPair("b", image_source(noise(8, 8), "b.png"), (image_source(noise(8, 8), "r.png"),))
    with pytest.raises(BenchError, match="no similarity levels; try --refs first"):
        names("level:1", plain)


def test_draws_never_change():
    """Values from sha256sum in a shell: the same with every version of Python, of numpy and of this package."""
    assert [draw(f"7|sun80|{k:03d}", 20) for k in range(1, 9)] == [3, 5, 5, 10, 4, 10, 4, 3]
    pair = make_pair("003", refs=[(8, 8)] * 20)
    assert names("random:7", pair, "sun80") == ["003_6.png"]


def test_draws_depend_on_seed_data_set_and_pair_and_are_even():
    assert len({draw(f"{seed}|sun80|001", 10**9) for seed in range(50)}) == 50
    assert draw("1|sun80|001", 10**9) != draw("1|manga109|001", 10**9)
    counts = [0] * 20
    for k in range(4000):
        counts[draw(f"1|x|{k}", 20)] += 1
    assert min(counts) > 150 and max(counts) < 250


def test_a_draw_is_never_the_hr_file_itself():
    hr = image_source(noise(8, 8), "p1.png", path=Path("p1.png"))
    other = image_source(noise(8, 8), "p2.png", path=Path("p2.png"))
    pair = RefPair("p1", hr, (hr, other))
    assert {names(f"random:{seed}", pair)[0] for seed in range(30)} == {"p2.png"}
    with pytest.raises(BenchError, match="no reference but its own HR image"):
        names("random:1", RefPair("p1", hr, (hr,)))


@pytest.mark.parametrize("dataset", LISTS)
def test_shipped_lists_are_the_documented_draw(dataset):
    assert read_list(dataset) == make_list(dataset)


def test_shipped_lists_never_change():
    """Version v1 is part of digests in published results: another list must be another version."""
    digests = {
        name: hashlib.sha256(files("refsr_bench.protocols").joinpath("lists", f"{name}.txt").read_bytes()).hexdigest()
        for name in LISTS
    }
    assert digests == {
        "sun80": "371947f43e8be6da7eefb61923d09b8cbe2e524e49c3bcc97141490729682c4d",
        "manga109": "350a42dbe8ea1f52aa30e5c9fd1b2bd1930688a4cf2ec4a10ad3c6e3a7bd35ea",
    }


def test_the_manga109_list_is_a_derangement():
    order = read_list("manga109")
    assert sorted(order) == list(range(1, 110))
    assert all(index != place for place, index in enumerate(order, 1))


def test_the_sun80_list_has_eighty_draws_of_twenty():
    order = read_list("sun80")
    assert len(order) == 80 and set(order) <= set(range(1, 21)) and len(set(order)) > 15


def test_every_manga_page_gets_another_page_and_each_serves_once():
    used = []
    for k in range(109):
        pair, pages = manga(k)
        (name,) = names("list", pair, "manga109")
        assert name == pages[read_list("manga109")[k] - 1] != pair.hr.name
        used.append(name)
    assert sorted(used) == sorted(pages)


def test_sun80_pairs_are_found_by_position():
    wanted = read_list("sun80")[41 - 1]
    lake = make_pair("lake", refs=[(8, 8)] * 20, position=41)
    assert names("list", lake, "sun80") == [f"lake_{wanted}.png"]


def test_lists_that_do_not_fit_are_misuse():
    with pytest.raises(Misuse, match=r"no fixed reference list for 'wrsr' .*random:SEED"):
        names("list", make_pair(), "wrsr")
    with pytest.raises(Misuse, match=r"does not fit pair 'lake', number unknown with 20 .*random:SEED"):
        names("list", make_pair("lake", refs=[(8, 8)] * 20), "sun80")
    for count, position in ((19, 1), (20, 81)):
        pair = make_pair("lake", refs=[(8, 8)] * count, position=position)
        with pytest.raises(Misuse, match="does not fit pair"):
            names("list", pair, "sun80")
    with pytest.raises(Misuse, match="with 50 candidates"):
        names("list", manga(0, 50)[0], "manga109")
