"""Real photographs with homographies: every layout, their truth, and what is refused."""

import shutil

import numpy as np
import pytest
from layout_makers import put
from PIL import Image

from refsr_bench.core.errors import BenchError
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import prepare
from refsr_bench.data.verification import verify
from refsr_bench.datasets.hpatches import read_homography
from refsr_bench.geometry.truth import truth_of


def ppm(path, seed, width=40, height=30):
    put(path.with_suffix(".png"), seed, width, height)
    Image.open(path.with_suffix(".png")).save(path)
    path.with_suffix(".png").unlink()


def test_hpatches_is_prepared_from_ppm(tmp_path):
    for n, name in enumerate(("i_wall", "v_door")):
        (tmp_path / "raw" / name).mkdir(parents=True)
        for k in range(1, 7):
            ppm(tmp_path / "raw" / name / f"{k}.ppm", 10 * n + k)
            if k > 1:
                (tmp_path / "raw" / name / f"H_1_{k}").write_text(f"1 0 {k} \n0 1 -3\n0 0 1\n")
    folder = prepare("hpatches", tmp_path / "raw", tmp_path / "root")
    opened = open_dataset("hpatches", tmp_path / "root")
    assert [pair.id for pair in opened.pairs][:6] == [*(f"i_wall_1_{k}" for k in range(2, 7)), "v_door_1_2"]
    np.testing.assert_array_equal(opened.pairs[0].hr.load(), np.asarray(Image.open(tmp_path / "raw/i_wall/1.ppm")))
    assert opened.pairs[0].facts["change"] == "illumination"
    truth = truth_of(opened, "v_door_1_4")
    np.testing.assert_array_equal(truth.targets(np.array([[10.0, 20.0]])), [[14.0, 17.0]])
    points = np.array([[10.0, 20.0], [10.0, 2.0], [36.0, 20.0]])
    np.testing.assert_array_equal(truth.valid(points), [True, False, False])
    (folder / "v_door" / "H_1_4").write_text("1 0 9\n0 1 -3\n0 0 1\n")
    assert open_dataset("hpatches", folder).manifest_sha256 != opened.manifest_sha256
    assert verify("hpatches", folder).changed == ("v_door/H_1_4",)


def test_other_layouts_of_homographies(tmp_path):
    oxford = tmp_path / "oxford"
    for k in (1, 2, 3):
        put(oxford / "bikes" / f"img{k}.png", k, 40, 30)
    for k in (2, 3):
        (oxford / "bikes" / f"H1to{k}p").write_text(f"1 0 {k}\n0 1 0\n0 0 1")
    assert [pair.id for pair in open_dataset("hpatches", oxford).pairs] == ["bikes_1_2", "bikes_1_3"]
    evd = tmp_path / "evd"
    for k in (1, 2):
        put(evd / f"{k}" / "cafe.png", k, 40, 30)
    (evd / "h").mkdir()
    (evd / "h" / "cafe.txt").write_text("1,0,5\n0,1,0\n0,0,1")
    opened = open_dataset("hpatches", evd)
    np.testing.assert_array_equal(truth_of(opened, "cafe").targets(np.array([[1.0, 2.0]])), [[6.0, 2.0]])
    plain = tmp_path / "plain"
    for k in (1, 2):
        put(plain / f"a_{k}.png", k, 40, 30 + k)
    (plain / "a.txt").write_text("1 0 0 0 1 7 0 0 1")
    assert [pair.id for pair in open_dataset("hpatches", plain).pairs] == ["a"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("1 0 0\n0 0 0\n0 0 1", "singular"),
        ("1 0 0\n0 1 0\n-0.1 0 1", "folds"),
        ("1 0 39\n0 1 0\n0 0 1", "5%"),
        ("1 0 0 0", "nine numbers"),
        ("one 0 0 0 1 0 0 0 1", "nine numbers"),
        ("nan 0 0 0 1 0 0 0 1", "finite"),
    ],
)
def test_bad_homographies_are_named(tmp_path, text, said):
    for k in (1, 2):
        put(tmp_path / f"a_{k}.png", k, 40, 30)
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(BenchError, match=said) as caught:
        open_dataset("hpatches", tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_pairs_that_hardly_overlap_are_left_out_and_named(tmp_path, layouts):
    layouts["hpatches"](tmp_path)
    (tmp_path / "v_door" / "H_1_3").write_text("1 0 39\n0 1 0\n0 0 1")
    opened = open_dataset("hpatches", tmp_path)
    assert "v_door_1_3" not in {pair.id for pair in opened.pairs} and len(opened.pairs) == 3
    assert any("v_door_1_3" in note for note in opened.notes)
    shutil.move(tmp_path / "i_wall" / "2.png", tmp_path / "i_wall" / "2.webm")
    with pytest.raises(BenchError, match="missing beside it"):
        open_dataset("hpatches", tmp_path)


def test_ppm_with_more_than_eight_bits_is_refused(tmp_path):
    (tmp_path / "raw" / "v_x").mkdir(parents=True)
    ppm(tmp_path / "raw" / "v_x" / "1.ppm", 1)
    (tmp_path / "raw" / "v_x" / "2.ppm").write_bytes(b"P6 40 30 65535\n" + bytes(40 * 30 * 6))
    (tmp_path / "raw" / "v_x" / "H_1_2").write_text("1 0 0\n0 1 0\n0 0 1")
    with pytest.raises(BenchError, match=r"2\.ppm.*8 bits"):
        prepare("hpatches", tmp_path / "raw", tmp_path / "root")
    assert not (tmp_path / "root" / "HPatches").exists()


def test_read_homography_takes_commas_and_a_byte_order_mark(tmp_path):
    (tmp_path / "h").write_bytes("\ufeff1, 2, 3\r\n4, 5, 6\r\n7, 8, 9\r\n".encode())
    assert read_homography(tmp_path / "h") == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
