"""A later check notices what happened to a data set."""

import shlex

from click.testing import CliRunner
from layout_makers import folder, put, wrsr

from refsr_bench.cli import main
from refsr_bench.data.manifests import MANIFEST
from refsr_bench.data.prepare import prepare as prep
from refsr_bench.data.verification import verify


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


def test_the_command_that_prepare_prints_works_when_pasted(tmp_path, monkeypatch):
    wrsr(tmp_path / "made")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["data", "prepare", "wrsr", "--from", "made", "--data-root", "root"])
    assert done.exit_code == 0, done.output
    program, *arguments = shlex.split(done.output.partition("at any time: ")[2])
    monkeypatch.chdir("/")
    checked = CliRunner().invoke(main, arguments)
    assert program == "refsr-bench" and checked.exit_code == 0, checked.output
    assert "wrsr: 3 pairs, 6 files in" in checked.output and checked.output.endswith("ok\n")
