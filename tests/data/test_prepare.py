"""Bringing downloads into place: what is taken, what is refused, and what a later check notices."""

import io
import json
import stat
import tarfile
import zipfile

import pytest
from layout_makers import cufed5, folder, picture, put, sun80, wrsr

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data import archives
from refsr_bench.data.manifests import MANIFEST
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import prepare as prep
from refsr_bench.data.verification import verify


def png(seed=1):
    file = io.BytesIO()
    picture(seed).save(file, "PNG")
    return file.getvalue()


def zipped(path, folder, prefix=""):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


def left_over(root):
    return [path.name for path in root.iterdir() if path.name.startswith(".")] if root.is_dir() else []


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


def test_folder_and_tar(tmp_path):
    cufed5(tmp_path / "made")
    (tmp_path / "made" / "Thumbs.db").write_text("x")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "made", "CUFED5")
    from_tar = prep("cufed5", tmp_path / "x.tar.gz", tmp_path / "a")
    from_folder = prep("cufed5", tmp_path / "made", tmp_path / "b")
    digests = {open_dataset("cufed5", folder).manifest_sha256 for folder in (from_tar, from_folder, tmp_path / "made")}
    assert len(digests) == 1
    assert not (from_folder / "Thumbs.db").exists()


def test_folder_of_several_archives(tmp_path):
    sun80(tmp_path / "made")
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    zipped(downloads / "Sun_Hays_SR_groundtruth.zip", tmp_path / "made" / "Sun_Hays_SR_groundtruth")
    matches = tmp_path / "made" / "Sun_Hays_SR_scenematches"
    zipped(downloads / "Sun_Hays_SR_scenematches.zip", matches, "Sun_Hays_SR_scenematches/")
    assert len(open_dataset("sun80", prep("sun80", downloads, tmp_path / "root")).pairs) == 2


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


def _member(name, kind=0, data=b"x"):
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    return info, data


@pytest.mark.parametrize(
    "info, data, said",
    [
        (*_member("../evil.png"), "leads out of"),
        (*_member("/evil.png"), "leads out of"),
        (*_member("input/../../evil.png"), "leads out of"),
        (*_member("..\\evil.png"), "leads out of"),
        (*_member("C:/evil.png"), "leads out of"),
        (*_member("input/link.png", stat.S_IFLNK, b"/etc/passwd"), "link or a device"),
        (*_member("input/pipe.png", stat.S_IFIFO), "link or a device"),
    ],
)
def test_unsafe_zip_members(tmp_path, info, data, said):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("input/001.png", png())
        archive.writestr(info, data)
    with pytest.raises(BenchError, match=said):
        prep("wrsr", tmp_path / "x.zip", tmp_path / "root")
    assert not list(tmp_path.rglob("evil*")) and not left_over(tmp_path / "root")
    assert not (tmp_path / "root" / "WR-SR").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, None])
def test_unsafe_tar_members(tmp_path, kind):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        info = tarfile.TarInfo("../evil.png" if kind is None else "input/001.png")
        info.type = kind or tarfile.REGTYPE
        info.linkname = "/etc/passwd"
        archive.addfile(info, io.BytesIO())
    with pytest.raises(BenchError, match="leads out of" if kind is None else "link or a device"):
        prep("wrsr", tmp_path / "x.tar", tmp_path / "root")


def test_links_in_a_folder(tmp_path):
    wrsr(tmp_path / "made")
    (tmp_path / "secret.png").write_bytes(png())
    (tmp_path / "made" / "input" / "004.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(BenchError, match=r"004\.png: is a link"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")


def test_bombs_and_bounds(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("input/001.bmp", bytes(4 << 20))
    with pytest.raises(BenchError, match="200-fold"):
        prep("wrsr", tmp_path / "bomb.zip", tmp_path / "root")
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        for name in ("001.bmp", "002.bmp"):
            info = tarfile.TarInfo(name)
            info.size = 4 << 20
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(BenchError, match="200-fold"):
        prep("wrsr", tmp_path / "bomb.tar.gz", tmp_path / "root")
    wrsr(tmp_path / "made")
    for limit, value, said in (
        ("MAX_FILES", 3, "more than 3 files"),
        ("MAX_FILE_BYTES", 100, "too large for an image"),
        ("MAX_TOTAL_BYTES", 2000, "in all"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(archives, limit, value)
            with pytest.raises(BenchError, match=said):
                prep("wrsr", tmp_path / "made", tmp_path / "root")


def test_a_name_that_comes_twice(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("input/001.png", png())
        archive.writestr("input/001.png", png(2))
    with pytest.raises(BenchError, match="comes twice"):
        prep("wrsr", tmp_path / "x.zip", tmp_path / "root")


def test_damaged_downloads(tmp_path):
    wrsr(tmp_path / "made")
    whole = zipped(tmp_path / "x.zip", tmp_path / "made").read_bytes()
    (tmp_path / "half.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "page.zip").write_text("<!DOCTYPE html><html>quota exceeded</html>")
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as archive:
        archive.add(tmp_path / "made", "WR-SR")
    (tmp_path / "half.tgz").write_bytes((tmp_path / "x.tgz").read_bytes()[:3000])
    for name in ("half.zip", "page.zip", "flipped.zip", "half.tgz"):
        with pytest.raises(BenchError, match=f"{name}.*again"):
            prep("wrsr", tmp_path / name, tmp_path / "root")
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


def test_verify_notices_what_happened_since(tmp_path):
    wrsr(tmp_path / "made", pairs=4)
    target = prep("wrsr", tmp_path / "made", tmp_path / "root")
    put(target / "input" / "001.png", 99)
    (target / "ref" / "003_ref.png").unlink()
    put(target / "ref" / "new.png", 5)
    report = verify("wrsr", tmp_path / "root")
    assert not report.ok
    assert report.changed == ("input/001.png",)
    assert report.missing == ("ref/003_ref.png",)
    assert report.extra == ("ref/new.png",)
    assert "003_ref" in report.problems[0]


def test_verify_without_manifest_decodes_and_says_so(tmp_path):
    wrsr(tmp_path, pairs=3)
    put(tmp_path / "ref" / "003_ref.png", 3)
    report = verify("wrsr", tmp_path)
    assert not report.manifest and not report.ok
    assert [leak.pair_id for leak in report.leaks] == ["003"]
    assert any("no manifest.json" in note for note in report.notes)
    (tmp_path / "input" / "002.png").write_text("no image")
    assert "002.png: not a PNG" in verify("wrsr", tmp_path).problems[0]


def test_verify_damaged_manifest_embedded_and_own_pairs(tmp_path):
    assert verify("sample").ok
    folder(tmp_path / "own")
    assert verify("folder", tmp_path / "own").ok
    wrsr(tmp_path / "made")
    target = prep("wrsr", tmp_path / "made", tmp_path / "root")
    (target / MANIFEST).write_text("{")
    report = verify("wrsr", tmp_path / "root")
    assert not report.ok and "damaged manifest" in report.problems[0]
