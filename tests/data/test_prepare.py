"""Bringing downloads into place: unpacked, checked, listed, or nothing at all."""

import json
import os
import signal
import subprocess
import sys

import pytest
from downloads import left_over, zipped
from layout_makers import cufed5, put, wrsr

from refsr_bench.core.errors import BenchError, Busy, Misuse
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


STOPPED = (
    "import os, sys; from pathlib import Path; from refsr_bench.data import prepare\n"
    "def stop(*_): print('here', flush=True); sys.stdin.read()\n"
    "prepare._check_and_record = stop\n"
    "prepare.prepare('wrsr', Path(sys.argv[1]), Path(sys.argv[2]))"
)


def _stopped(source, root):
    """Start an attempt that has unpacked everything and now waits."""
    command = [sys.executable, "-c", STOPPED, str(source), str(root)]
    attempt = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert attempt.stdout.readline() == b"here\n"
    return attempt


def test_the_rest_of_a_killed_attempt_is_removed_and_said(tmp_path, caplog):
    wrsr(tmp_path / "made")
    with _stopped(tmp_path / "made", tmp_path / "root") as attempt:
        attempt.send_signal(signal.SIGKILL)
    assert left_over(tmp_path / "root") == [".WR-SR.partial"]
    target = prep("wrsr", tmp_path / "made", tmp_path / "root")
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'root' / '.WR-SR.partial'}: removed the rest of an attempt that was cut short; unpacking anew."
    ]
    assert not left_over(tmp_path / "root") and verify("wrsr", tmp_path / "root").ok and target.is_dir()


def test_two_processes_do_not_prepare_one_set(tmp_path):
    wrsr(tmp_path / "made")
    with _stopped(tmp_path / "made", tmp_path / "root") as attempt:
        with pytest.raises(Busy, match=f"Another preparation of wrsr is writing to .*: process {attempt.pid} on "):
            prep("wrsr", tmp_path / "made", tmp_path / "root")
        attempt.send_signal(signal.SIGKILL)
    assert prep("wrsr", tmp_path / "made", tmp_path / "root").is_dir()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_source_that_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for source in (tmp_path / "fifo", tmp_path / "loop", "/dev/zero"):
        with pytest.raises(Misuse, match="neither a file nor a folder"):
            prep("wrsr", type(tmp_path)(source), tmp_path / "root")


@pytest.mark.skipif(sys.platform != "linux", reason="needs names that are no UTF-8")
def test_a_name_that_is_no_utf_8_is_named_and_nothing_is_left(tmp_path):
    wrsr(tmp_path / "made")
    other = tmp_path / "made" / os.fsdecode(b"\xff")
    other.mkdir()
    put(other / "a.png", 3)
    with pytest.raises(BenchError, match=r"udcff/a\.png.* which is no UTF-8\. Give the file, folder or option a name"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")
    assert not left_over(tmp_path / "root")


def test_the_rest_of_an_attempt_is_not_sought_behind_a_link(tmp_path):
    wrsr(tmp_path / "made")
    (tmp_path / "theirs" / "files").mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / ".WR-SR.partial").symlink_to(tmp_path / "theirs")
    with pytest.raises(BenchError, match="is a link"):
        prep("wrsr", tmp_path / "made", tmp_path / "root")
    assert (tmp_path / "theirs" / "files").is_dir()
