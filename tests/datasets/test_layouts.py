"""The layouts one by one: ids, order, levels, pairs files, and what is said about incomplete folders."""

import numpy as np
import pytest
from layout_makers import cufed5, folder, manga109, picture, put, selfexsr, sun80, wrsr

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.opening import open_dataset


def names(dataset):
    return {pair.id: (pair.hr.name, [ref.name for ref in pair.refs]) for pair in dataset.pairs}


def test_cufed5_levels_and_official_count(tmp_path):
    cufed5(tmp_path / "CUFED" / "test" / "CUFED5", groups=126)
    dataset = open_dataset("cufed5", tmp_path)
    assert [pair.id for pair in dataset.pairs] == [f"{n:03d}" for n in range(126)]
    assert [(ref.name, ref.level) for ref in dataset.pairs[7].refs] == [(f"007_{k}.png", k) for k in range(1, 6)]
    assert dataset.official
    assert "does not know the digests" in dataset.notes[0]


def test_cufed5_other_sizes_are_not_official(tmp_path):
    cufed5(tmp_path, groups=126)
    put(tmp_path / "010_3.png", 1, 640, 20)
    dataset = open_dataset("cufed5", tmp_path)
    assert not dataset.official
    assert "500 pixels" in dataset.notes[0] and "010_3.png is 640x20" in dataset.notes[0]


def test_cufed5_missing_reference_is_named(tmp_path):
    cufed5(tmp_path)
    (tmp_path / "001_4.png").unlink()
    (tmp_path / "002_0.png").unlink()
    with pytest.raises(BenchError, match="2 images missing: 001_4, 002_0"):
        open_dataset("cufed5", tmp_path)


def test_digest_follows_contents_and_not_the_place(tmp_path):
    cufed5(tmp_path / "a")
    cufed5(tmp_path / "b" / "CUFED5")
    a, b = (open_dataset("cufed5", tmp_path / x).manifest_sha256 for x in "ab")
    assert a == b
    put(tmp_path / "a" / "001_2.png", 77, 26, 20)
    assert open_dataset("cufed5", tmp_path / "a").manifest_sha256 != a


def test_wrsr_by_name_and_official(tmp_path):
    wrsr(tmp_path, pairs=80)
    dataset = open_dataset("wrsr", tmp_path)
    assert dataset.official
    assert names(dataset)["080"] == ("080.png", ["080_ref.png"])


@pytest.mark.parametrize("where", ["WR-SR/pairs.txt", "WR-SR_pairs.txt"])
def test_wrsr_pairs_file_decides(tmp_path, where):
    wrsr(tmp_path / "WR-SR")
    (tmp_path / where).write_text("002.png 003_ref.png\n\n001.png 001_ref.png")
    dataset = open_dataset("wrsr", tmp_path / "WR-SR" if "/" in where else tmp_path)
    if where == "WR-SR_pairs.txt":  # beside the folder: seen from the data root only, not from inside
        assert len(dataset.pairs) == 3
        (tmp_path / "WR-SR").rename(tmp_path / "WR_SR")
        dataset = open_dataset("wrsr", tmp_path)
    assert names(dataset) == {"002": ("002.png", ["003_ref.png"]), "001": ("001.png", ["001_ref.png"])}
    assert not dataset.official


@pytest.mark.parametrize(
    "content, said",
    [
        ("001.png\n", "line 1: expected 'input ref"),
        ("001.png 001_ref.png\n001.png 002_ref.png\n", "same image '001'"),
        ("001.png 009_ref.png\n", "1 references of pairs.txt missing: 009_ref.png"),
        ("../../etc/x.png 001_ref.png\n", "line 1: .*no path inside"),
        ("# nothing\n", "lists no pairs"),
    ],
)
def test_wrsr_bad_pairs_file(tmp_path, content, said):
    wrsr(tmp_path)
    (tmp_path / "pairs.txt").write_text(content)
    with pytest.raises(BenchError, match=said):
        open_dataset("wrsr", tmp_path)


def test_wrsr_incomplete_and_duplicate(tmp_path):
    wrsr(tmp_path, pairs=9)
    for n in range(2, 9):
        (tmp_path / "ref" / f"{n:03d}_ref.png").unlink()
    with pytest.raises(BenchError, match=r"7 references missing: 002_ref, .*006_ref and 2 more"):
        open_dataset("wrsr", tmp_path)
    put(tmp_path / "input" / "001.jpg", 5)
    with pytest.raises(BenchError, match=r"same image '001': .*001\.jpg and .*001\.png"):
        open_dataset("wrsr", tmp_path)
    for path in (tmp_path / "input").iterdir():
        path.unlink()
    with pytest.raises(BenchError, match="holds no images"):
        open_dataset("wrsr", tmp_path)


def test_sun80_published_zips(tmp_path):
    sun80(tmp_path / "Sun80")
    dataset = open_dataset("sun80", tmp_path)
    hr, refs = names(dataset)["photo1"]
    assert hr == "photo1.jpg"
    assert refs == [f"match_{k}.jpg" for k in range(1, 21)]  # 2 before 10
    for path in (tmp_path / "Sun80/Sun_Hays_SR_scenematches/photo0.jpg").iterdir():
        path.unlink()
    with pytest.raises(BenchError, match=r"the matches of photo0\.jpg"):
        open_dataset("sun80", tmp_path)


def test_sun80_numbered_files_and_photos_alone(tmp_path):
    for n in range(1, 3):
        put(tmp_path / "flat" / f"{n:03d}.jpg", n)
        for k in (1, 2, 10):
            put(tmp_path / "flat" / f"{n:03d}_{k}.jpg", 10 * n + k)
    assert names(open_dataset("sun80", tmp_path / "flat"))["002"] == (
        "002.jpg",
        ["002_1.jpg", "002_2.jpg", "002_10.jpg"],
    )
    put(tmp_path / "alone" / "image_SRF_8" / "img_001_SRF_8_HR.png", 1)
    alone = open_dataset("sun80", tmp_path / "alone")
    assert names(alone) == {"img_001": ("img_001_SRF_8_HR.png", [])}
    assert "without their references" in " ".join(alone.notes)


def test_manga109_refs_are_all_other_pages(tmp_path):
    manga109(tmp_path)
    assert names(open_dataset("manga109", tmp_path))["volume1"][1] == ["volume0.png", "volume2.png", "volume3.png"]


def test_manga109_full_release_is_explained(tmp_path):
    for volume in "ab":
        put(tmp_path / "images" / volume / "000.png", ord(volume))
    with pytest.raises(BenchError, match="one page per volume"):
        open_dataset("manga109", tmp_path)


def test_selfexsr_takes_hr_only_and_plain_folders(tmp_path):
    selfexsr(tmp_path / "x", images=100)
    dataset = open_dataset("urban100", tmp_path / "x")
    assert dataset.official and len(dataset.pairs) == 100
    assert names(dataset)["img_007"] == ("img_007_SRF_4_HR.png", [])
    put(tmp_path / "plain" / "baby.bmp", 1)
    plain = open_dataset("set5", tmp_path / "plain")
    assert list(names(plain)) == ["baby"] and not plain.official


def test_set5_with_other_pixels_is_not_official(tmp_path):
    selfexsr(tmp_path, images=5)
    dataset = open_dataset("set5", tmp_path)
    assert not dataset.official
    assert "other digest" in dataset.notes[0]


@pytest.mark.parametrize("name", ["set5", "set14"])
def test_release_is_recognised_by_digest(shared, name):
    dataset = open_dataset(name, shared / "data" / "classic_x4")
    assert dataset.official and dataset.notes == ()


def test_folder_matching_rules(tmp_path):
    folder(tmp_path)
    put(tmp_path / "hr" / "c.png", 7)
    for k, name in enumerate(("c.png", "c_2.png", "c_10.png", "c_ref.png", "other.png")):
        put(tmp_path / "ref" / name, 20 + k)
    assert names(open_dataset("folder", tmp_path)) == {
        "a": ("a.png", ["a_ref.jpg"]),
        "b": ("b.jpg", ["x2.png", "x10.png"]),
        "c": ("c.png", ["c.png", "c_ref.png", "c_2.png", "c_10.png"]),
    }


def test_folder_numbered_inputs_keep_their_own_references(tmp_path):
    for name in ("img", "img_1"):
        put(tmp_path / "hr" / f"{name}.png", len(name))
        put(tmp_path / "ref" / f"{name}.png", 10 + len(name))
    assert names(open_dataset("folder", tmp_path))["img"][1] == ["img.png"]


def test_folder_pairs_file_and_its_errors(tmp_path):
    folder(tmp_path)
    listing = tmp_path / "pairs.txt"
    listing.write_text("a.png a_ref.jpg b/x2.png\nhr/b.jpg ref/a_ref.jpg\n")
    assert names(open_dataset("folder", tmp_path)) == {
        "a": ("a.png", ["a_ref.jpg", "x2.png"]),
        "b": ("b.jpg", ["a_ref.jpg"]),
    }
    listing.write_text("a.png none.png\n")
    with pytest.raises(BenchError, match=r"1 listed files do not exist: none\.png"):
        open_dataset("folder", tmp_path)
    listing.unlink()
    put(tmp_path / "hr" / "lonely.png", 9)
    with pytest.raises(BenchError, match=r"missing: lonely\.png"):
        open_dataset("folder", tmp_path)


def test_folder_without_refs_or_anything(tmp_path):
    put(tmp_path / "input" / "a.png", 1)
    with pytest.raises(BenchError, match="no ref/"):
        open_dataset("folder", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(Misuse):
        open_dataset("folder", tmp_path / "empty")


def test_damaged_file_is_named_when_its_pair_is_asked_for(tmp_path):
    wrsr(tmp_path)
    (tmp_path / "ref" / "002_ref.png").write_text("no image")
    dataset = open_dataset("wrsr", tmp_path)
    np.testing.assert_array_equal(dataset.pairs[1].hr.load(), np.array(picture(2)))
    with pytest.raises(BenchError, match=r"002_ref\.png"):
        dataset.pairs[1].refs[0].load()
