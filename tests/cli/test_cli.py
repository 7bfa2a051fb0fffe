"""The command line: what people type, what they read back, and the exit code."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from refsr_bench.cli import main

BENCH = ("run", "--method", "bicubic", "--dataset")


@pytest.fixture
def refsr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``refsr("run", ...)`` inside an empty folder, with no data folder of the user in sight."""
    monkeypatch.chdir(tmp_path)
    for name in ("REFSR_DATA", "REFSR_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))

    def call(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


def refuses(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.output
    assert result.output.count("Error: ") == 1
    assert "Traceback" not in result.output
    for word in words:
        assert word in result.output


def test_run_leaves_results_a_table_and_a_page(refsr, tmp_path: Path) -> None:
    result = refsr(*BENCH, "sample", "--limit", "2")
    assert result.exit_code == 0, result.output
    assert "PSNR-Y" in result.output and "Bicubic" in result.output
    assert "LPIPS stays empty" in result.output and "lpips=FILE" in result.output
    value = json.loads((tmp_path / "results/c2/sample/bicubic/result.json").read_text())
    assert [image["refs"] for image in value["images"]] == [["motorcycle_1.png"], ["shelf_1.png"]]
    assert "Bicubic" in (tmp_path / "results/site/index.html").read_text(encoding="utf-8")


def test_an_override_changes_label_digest_and_folder(refsr, tmp_path: Path) -> None:
    assert refsr(*BENCH, "sample", "--limit", "1").exit_code == 0
    assert refsr(*BENCH, "sample", "--limit", "1", "--set", "border=0", "--refs", "level:5").exit_code == 0
    files = sorted((tmp_path / "results").rglob("result.json"))
    values = [json.loads(file.read_text()) for file in files]
    assert {value["run"]["protocol"]["label"] for value in values} == {"c2", "c2+border=0+refs=level:5"}
    assert len({value["run"]["protocol"]["digest"] for value in values}) == 2


def test_draws_report_a_mean_and_a_deviation(refsr) -> None:
    result = refsr(*BENCH, "sample", "--limit", "1", "--draws", "3")
    assert result.exit_code == 0, result.output
    assert "3      " in result.output and "± 0.000 dB" in result.output  # bicubic ignores its reference


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--method", "bicubik", "--dataset", "sample"), ["Did you mean bicubic"]),
        (("run", "--method", "bicubic", "--dataset", "wr-sr"), ["Did you mean wrsr"]),
        ((*BENCH, "sample", "--protocol", "c3"), ["Did you mean c2"]),
        ((*BENCH, "sample", "--set", "boarder=0"), ["Did you mean border"]),
        ((*BENCH, "sample", "--set", "border=-1"), ["border=-1"]),
        ((*BENCH, "sample", "--refs", "best"), ["refs=best"]),
        ((*BENCH, "sample", "--device", "cuda:77"), ["--device"]),
        ((*BENCH, "sample", "--weights", "x.pth"), ["bicubic has no weights"]),
        ((*BENCH, "sample", "--draws", "2", "--refs", "all"), ["leave --refs out"]),
        ((*BENCH, "cufed5"), ["data prepare cufed5 --from"]),
        ((*BENCH, "wrsr"), ["data prepare wrsr --from"]),
        (("run", "--method", "c2matching-gan", "--dataset", "sample"), ["--weights"]),
        (("run", "--method", "c2matching", "--dataset", "sample", "--matching", "corse"), ["exact, half, coarse"]),
        ((*BENCH, "sample", "--matching", "coarse"), ["bicubic has no choice of matching"]),
        (("run", "--method", "c2matching", "--dataset", "sample", "--weights", "none.pth"), ["none.pth"]),
        (("data", "info", "cufed"), ["cufed5"]),
        (("protocols", "diff", "c2", "tsr"), ["Did you mean ttsr"]),
        (("leaderboard", "build"), ["no results folder"]),
    ],
)
def test_misuse_exits_with_2_and_says_what_to_do(refsr, arguments: tuple[str, ...], words: list[str]) -> None:
    refuses(refsr(*arguments), 2, *words)


def test_a_way_of_matching_is_part_of_the_method_s_name(refsr, tmp_path: Path) -> None:
    command = ("run", "--method", "c2matching", "--dataset", "sample", "--limit", "1")
    for options in ((), ("--matching", "exact"), ("--matching", "coarse"), ("--refs", "all")):
        result = refsr(*command, *options)
        assert result.exit_code == 0, result.output
    methods = {path.parent.name for path in (tmp_path / "results").rglob("result.json")}
    assert methods == {"c2matching", "c2matching-coarse-matching"}


def test_a_weights_file_that_would_run_code_is_refused_and_does_not_run(refsr, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"params": Evil()}))
    result = refsr("run", "--method", "c2matching", "--dataset", "sample", "--weights", "evil.pth")
    refuses(result, 1, "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_damaged_images_fail_their_pairs_and_the_run_goes_on(refsr, wrsr) -> None:
    root = wrsr(5)
    (root / "input" / "002.png").write_bytes((root / "input" / "002.png").read_bytes()[:300])
    (root / "ref" / "003_ref.png").write_text("this is text")
    Image.fromarray(np.zeros((48, 48), np.uint16)).save(root / "input" / "004.png")
    Image.new("RGB", (1, 1)).save(root / "input" / "005.png")
    result = refsr(*BENCH, "wrsr", "--data-root", root)
    assert result.exit_code == 1, result.output
    assert "1/5" in result.output and "4 images failed" in result.output
    for name in ("002.png", "003_ref.png", "004.png", "005.png"):
        assert name in result.output


def test_a_leaking_reference_is_refused_unless_allowed(refsr, wrsr) -> None:
    root = wrsr(2)
    (root / "ref" / "001_ref.png").write_bytes((root / "input" / "001.png").read_bytes())
    refuses(refsr(*BENCH, "wrsr", "--data-root", root), 2, "pair 001", "--allow-leaks")
    assert refsr(*BENCH, "wrsr", "--data-root", root, "--allow-leaks").exit_code == 0


def test_score_measures_anybodys_images(refsr, wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    ours = ("--dataset", "wrsr", "--data-root", root)
    assert refsr("run", "--method", "bicubic", *ours, "--save-images").exit_code == 0
    saved = tmp_path / "results/c2/wrsr/bicubic/images"
    result = refsr("score", "--pred", saved, *ours, "--name", "My method")
    assert result.exit_code == 0, result.output
    runs = [json.loads(path.read_text()) for path in sorted((tmp_path / "results").rglob("result.json"))]
    assert runs[0]["means"] == runs[1]["means"] and {run["run"]["method"]["title"] for run in runs} == {
        "My method",
        "Bicubic",
    }
    (saved / "002.png").unlink()
    refuses(refsr("score", "--pred", saved, *ours, "--name", "Less"), 2, "1 of 3 pairs: 002", "--partial")
    assert refsr("score", "--pred", saved, *ours, "--name", "Less", "--partial").exit_code == 0


def test_sr_takes_photos_of_any_size_and_several_references(refsr, photo, tmp_path: Path) -> None:
    Image.fromarray(photo(31, 47, 0)).save("lr.jpg")
    Image.fromarray(photo(90, 133, 1)).save("one.png")
    Image.fromarray(photo(141, 77, 2)).convert("L").save("two.webp")
    result = refsr("sr", "--lr", "lr.jpg", "--ref", "one.png", "--ref", "two.webp", "--out", "sr.png")
    assert result.exit_code == 0, result.output
    assert Image.open("sr.png").size == (188, 124)
    before = Path("sr.png").read_bytes()
    refuses(refsr("sr", "--lr", "lr.jpg", "--ref", "one.png", "--out", "sr.png"), 2, "--overwrite")
    assert Path("sr.png").read_bytes() == before
    refuses(refsr("sr", "--lr", "lr.jpg", "--out", "new.png"), 2, "--ref")
    refuses(refsr("sr", "--lr", "lr.jpg", "--ref", "one.png", "--out", "new.jpg"), 2, "PNG")
    Image.new("RGB", (2, 2)).save("tiny.png")
    refuses(refsr("sr", "--lr", "tiny.png", "--ref", "one.png", "--out", "new.png"), 1, "at least 3x3")
    assert not Path("new.png").exists()


def test_protocols_are_listed_and_explained(refsr) -> None:
    listed = refsr("protocols")
    assert listed.exit_code == 0 and all(name in listed.output for name in ("c2 (v1", "srntt", "mmagic-rgb"))
    explained = refsr("protocols", "diff", "c2", "ttsr")
    assert explained.exit_code == 0 and "border: 4 -> 0" in explained.output and "dB" in explained.output


def test_selftest_says_what_is_not_there(refsr) -> None:
    result = refsr("protocols", "selftest")
    assert result.exit_code == 0 and result.output.count("not present") == 7


def test_selftest_agrees_on_the_standard_sets(refsr, shared: Path) -> None:
    result = refsr("protocols", "selftest", "--data-root", shared / "data" / "classic_x4")
    lines = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert "agrees" in lines["Set5"] and "agrees" in lines["Set14"]


def test_data_commands(refsr, wrsr, tmp_path: Path) -> None:
    root = wrsr(3)
    assert "not here" in refsr("data", "list").output
    assert "home: https://" in refsr("data", "info", "wrsr").output
    result = refsr("data", "prepare", "wrsr", "--from", root, "--data-root", tmp_path / "data")
    assert result.exit_code == 0, result.output
    assert refsr("data", "verify", "wrsr", "--data-root", tmp_path / "data").exit_code == 0
    prepared = next((tmp_path / "data").rglob("002.png"))
    Image.new("RGB", (48, 48)).save(prepared)
    result = refsr("data", "verify", "wrsr", "--data-root", tmp_path / "data")
    assert result.exit_code == 1 and "002.png" in result.output


def test_every_command_explains_itself() -> None:
    def walk(command, path):
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0 and command.help, path
        for name, sub in getattr(command, "commands", {}).items():
            walk(sub, [*path, name])

    walk(main, [])


def test_a_small_run_keeps_its_images_and_its_page_shows_them(tmp_path) -> None:
    kept, bare = tmp_path / "kept", tmp_path / "bare"
    base = ("run", "--method", "bicubic", "--dataset", "sample", "--limit", "2")
    done = CliRunner().invoke(main, [*base, "--out", str(kept)])
    assert done.exit_code == 0 and "Pictures: " in done.output and "MiB" in done.output
    assert len(list((kept / "c2/sample/bicubic/images").glob("*.png"))) == 2
    assert "thumbs/" in (kept / "site/images/index.html").read_text()
    own = {path.stat().st_ino for path in (kept / "c2").rglob("*.png")}
    assert {path.stat().st_ino for path in (kept / "site/files").iterdir()} == own  # no picture lies there twice
    first = (kept / "site/index.html").read_text()
    assert first.count('<img src="thumbs/') == 2 and first.count('<img src="parts/') == 3  # HR, Ref; LR, SR, HR
    assert CliRunner().invoke(main, [*base, "--out", str(bare), "--no-save-images"]).exit_code == 0
    assert not list(bare.rglob("*.png")) and not (bare / "site/images").exists()


def test_a_large_data_set_leaves_no_images_unasked() -> None:
    from types import SimpleNamespace

    from refsr_bench.evaluation.pictures import SMALL, pictures_of

    small, large = SimpleNamespace(pairs=(None,) * SMALL), SimpleNamespace(pairs=(None,) * (SMALL + 1))
    assert pictures_of([small], None) == "images" and pictures_of([small, large], None) == "none"
    assert pictures_of([large], 2) == "images"


def test_a_disk_that_refuses_anywhere_is_told_without_a_traceback(refsr, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "pool"))

    monkeypatch.setattr("refsr_bench.builder.project.Project.create", full)
    refuses(refsr("build", "wrsr", "init", "P"), 1, str(tmp_path / "pool"), "No space left on device")
