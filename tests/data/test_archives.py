"""Downloads that nobody trusts: what is taken out of them, and what is refused."""

import io
import stat
import tarfile
import zipfile

import pytest
from downloads import left_over, png, zipped
from layout_makers import cufed5, sun80, wrsr

from refsr_bench.core.errors import BenchError
from refsr_bench.data import archives
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import prepare as prep


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


def test_a_tar_that_begins_with_the_folder_itself(tmp_path):
    wrsr(tmp_path / "made")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "made", ".")
    assert len(open_dataset("wrsr", prep("wrsr", tmp_path / "x.tar", tmp_path / "root")).pairs) == 3
