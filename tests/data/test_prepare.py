"""Bringing downloads into place: unpacked, checked, listed, or nothing at all."""

import json

import pytest
from downloads import left_over, zipped
from layout_makers import cufed5, put, wrsr

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.manifests import MANIFEST
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import prepare as prep
from refsr_bench.data.verification import verify


@pytest.mark.parametrize("prefix", ["", "WR-SR/", "Some download 2024/data/WR-SR/"])
def test_zip_is_unpacked_checked_and_listed(tmp_path, prefix):
    wrsr(tmp_path / "made")
    (tmp_path / "made" / "run_me.sh").write_text("rm")
    seen = []
    target = prep(
        "wrsr", zipped(tmp_path / "x.zip", tmp_path / "made", prefix), tmp_path / "root", lambda *n: seen.append(n)
    )
    assert target == tmp_path / "root" / "WR-SR"
    assert seen[-1] == (6, 6)
    manifest = json.loads((target / MANIFEST).read_text())
    assert manifest["dataset"] == "wrsr" and manifest["pairs"] == 3
    name = next(name for name in manifest["files"] if name.endswith("ref/002_ref.png"))
    entry = manifest["files"][name]
    assert (entry["width"], entry["height"]) == (30, 26)
    assert entry["bytes"] == (target / name).stat().st_size
    assert not list(target.rglob("*.sh")) and not left_over(tmp_path / "root")
    dataset = open_dataset("wrsr", tmp_path / "root")
    assert dataset.manifest_sha256 == manifest["manifest_sha256"]
    report = verify("wrsr", tmp_path / "root")
    assert report.ok and report.manifest and (report.n_files, report.n_pairs) == (6, 3)
    assert any("3 pairs instead of 80" in note for note in report.notes)


def test_again_is_fine_but_other_files_are_kept(tmp_path):
    wrsr(tmp_path / "made")
    target = prep("wrsr", tmp_path / "made", tmp_path / "root")
    assert prep("wrsr", tmp_path / "made", tmp_path / "root") == target
    put(tmp_path / "made" / "ref" / "002_ref.png", 55)
    before = (target / "ref" / "002_ref.png").read_bytes()
    with pytest.raises(BenchError, match=r"holds other files already \(ref/002_ref\.png\)"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")
    assert (target / "ref" / "002_ref.png").read_bytes() == before
    assert not left_over(tmp_path / "root")


def test_what_is_inside_is_checked(tmp_path):
    cufed5(tmp_path / "other")
    with pytest.raises(BenchError, match=r"holds no 'wrsr' data set\. Expected input/"):
        prep("wrsr", tmp_path / "other", tmp_path / "root")
    wrsr(tmp_path / "made")
    broken = tmp_path / "made" / "ref" / "002_ref.png"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(BenchError, match=r"1 of the images cannot be used: .*made.*002_ref\.png: damaged"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")
    broken.unlink()
    with pytest.raises(BenchError, match=r"made.*1 references missing: 002_ref"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchError, match="holds no images"):
        prep("wrsr", tmp_path / "empty", tmp_path / "root")
    assert not (tmp_path / "root" / "WR-SR").exists()


def test_misuse(tmp_path):
    with pytest.raises(Misuse, match="no such file"):
        prep("wrsr", tmp_path / "none.zip", tmp_path)
    for name in ("sample", "folder"):
        with pytest.raises(Misuse, match="nothing to prepare"):
            prep(name, tmp_path, tmp_path)
    with pytest.raises(Misuse, match="data prepare wrsr"):
        verify("wrsr", tmp_path)


def test_target_that_cannot_be_written(tmp_path):
    wrsr(tmp_path / "made")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BenchError, match="cannot be written"):
        prep("wrsr", tmp_path / "made", tmp_path / "file" / "root")
