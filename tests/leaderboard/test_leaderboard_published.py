"""The published numbers: cells of the papers' tables, counts, and that each says where it stands."""

import json
import math

import pytest

from leaderboard.reading import published as module
from leaderboard.reading.published import EVIDENCE, published
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError


def cell(title, dataset, source="c2matching-table1", condition=""):
    """(PSNR, SSIM) of one cell."""
    (found,) = [
        entry
        for entry in published()
        if (entry.title, entry.dataset, entry.source.key, entry.condition) == (title, dataset, source, condition)
    ]
    return found.psnr, found.ssim


def test_cells_of_table_1():
    assert cell("SRCNN", "cufed5") == (25.33, 0.745)
    assert cell("RCAN", "cufed5") == (26.06, 0.769)
    assert cell("C²-Matching-rec", "cufed5") == (28.24, 0.841)
    assert cell("C²-Matching", "cufed5") == (27.16, 0.805)
    assert cell("C²-Matching-rec", "wrsr") == (28.32, 0.801)
    assert cell("ENet", "urban100") == (23.63, 0.711)
    assert cell("TTSR-rec", "cufed5") == (27.09, 0.804)


def test_other_documents_keep_their_own_numbers():
    assert cell("C²-Matching-rec", "cufed5", "georef") == (28.40, 0.846)
    assert cell("C²-Matching-rec", "cufed5", "c2matching-rerun", "official weights, rerun") == (28.242, 0.84116)
    assert cell("Bicubic", "urban100", "wtrn-x4") == (23.13, 0.6592)
    assert cell("MASA-rec", "cufed5", "issue-masa-sr-2", "official weights, level 1 alone") == (27.354, 0.814)


def test_counts():
    by_source = {}
    for entry in published():
        by_source.setdefault(entry.source.key, []).append(entry)
    assert {key: len(by_source[key]) for key in ("c2matching-table1", "georef", "wtrn-x4", "wtrn-x8", "amsa")} == {
        "c2matching-table1": 81,
        "georef": 244,
        "wtrn-x4": 60,
        "wtrn-x8": 60,
        "amsa": 14,
    }
    assert len(published()) == 534
    table = by_source["c2matching-table1"]
    assert {entry.dataset for entry in table} == {"cufed5", "sun80", "urban100", "manga109", "wrsr"}
    assert all(entry.comparable for entry in table)


def test_every_value_is_finite_and_says_where_it_stands():
    for entry in published():
        values = (entry.psnr, entry.ssim, entry.lpips, entry.fid, entry.params_m, entry.delta_psnr)
        assert any(value is not None for value in values)
        assert all(math.isfinite(value) for value in values if value is not None)
        assert entry.psnr is None or 10 < entry.psnr < 60
        assert entry.ssim is None or 0 < entry.ssim < 1
        source = entry.source
        assert source.title and source.short and source.id and source.table
        assert source.year is None or 2016 <= source.year <= 2026
        assert entry.evidence in EVIDENCE and entry.verified == (entry.evidence != "second hand")
        assert entry.title and entry.group in ("SISR", "Ref-SR")
        assert entry.gan in (True, False, None)


def test_undated_sources_are_the_exception():
    assert {entry.source.key for entry in published() if entry.source.year is None} == {
        "issue-srntt-pytorch-12",
        "rrssrd",
    }


def test_names_are_those_of_the_catalogue():
    methods, datasets = catalogue.collect("METHODS"), catalogue.collect("DATASETS")
    elsewhere = {"drefsr", "lmr", "plantrsr", "cufed5-texture", ""}
    for entry in published():
        assert entry.dataset in datasets or entry.dataset in elsewhere, entry
        if entry.method:
            card = methods[entry.method]
            assert entry.group == card.group and entry.year == card.year
            assert entry.gan in (card.gan, None) and (entry.title == card.title or "parameters" in entry.condition)


def test_no_cell_stands_twice():
    places = [
        (
            entry.method or entry.title,
            entry.variant,
            entry.condition,
            entry.dataset,
            entry.source.title,
            entry.source.table,
        )
        for entry in published()
    ]
    assert len(places) == len(set(places))


def test_what_cannot_be_compared_says_so():
    for entry in published():
        if entry.source.key in ("refir", "ada-refsr"):
            assert entry.degradation == "real-world" and not entry.comparable
    assert {entry.channel for entry in published() if entry.source.key == "mmagic"} == {"rgb"}
    assert not any(entry.comparable for entry in published() if entry.scale == 8)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"psnr": math.inf}, "Infinity is no JSON number"),
        ({"psnr": None, "ssim": None}, "has no value"),
        ({"evidence": "hearsay"}, r"\[1\].evidence: 'hearsay' is not among"),
        (None, "two entries"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, change, reason):
    values = json.loads(module.DATA.read_text(encoding="utf-8"))
    values["results"] = values["results"][:2]
    if change is None:
        values["results"] *= 2
    else:
        values["results"][1].update(change)
    (tmp_path / "published.json").write_text(json.dumps(values))
    monkeypatch.setattr(module, "DATA", tmp_path / "published.json")
    with pytest.raises(BenchError, match=reason):
        published.__wrapped__()
