"""Completion in bash, zsh and fish, by click's own machinery as the shells' scripts call it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete, get_completion_class

from refsr_bench.cli import main
from refsr_bench.core import catalogue

ROOT = Path(__file__).resolve().parents[2]
SHELLS = ("bash", "zsh", "fish")


def offered(*words: str, shell: type[ShellComplete] = ShellComplete) -> list[str]:
    """The values that are offered for the last word."""
    complete = shell(main, {}, "refsr-bench", "_REFSR_BENCH_COMPLETE")
    return [item.value for item in complete.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_ask_and_are_answered(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = get_completion_class(shell)
    complete = kind(main, {}, "refsr-bench", "_REFSR_BENCH_COMPLETE")
    monkeypatch.setenv("COMP_WORDS", "refsr-bench run --method bicu")
    monkeypatch.setenv("COMP_CWORD", "bicu" if shell == "fish" else "3")
    assert "bicubic" in complete.complete()
    monkeypatch.setenv("COMP_WORDS", "refsr-bench rob")
    monkeypatch.setenv("COMP_CWORD", "rob" if shell == "fish" else "1")
    assert "robustness" in complete.complete()
    assert "_REFSR_BENCH_COMPLETE" in complete.source() and "refsr-bench" in complete.source()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("run", "--method", ""), ["all", *catalogue.collect("METHODS")]),
        (("robustness", "--method", "c2"), ["c2matching", "c2matching-gan"]),
        (("run", "--dataset", "wr"), ["wrsr"]),
        (("data", "info", "cufed"), ["cufed-train", "cufed5"]),
        (("run", "--protocol", "tt"), ["ttsr"]),
        (("protocols", "diff", "c2", "tt"), ["ttsr"]),
        (("run", "--set", "bord"), ["border="]),
        (("run", "--refs", "le"), ["level:"]),
        (("score", "--metric", "psnr"), sorted(name for name in catalogue.collect("METRICS") if "psnr" in name)),
        (("robustness", "--matcher", "si"), ["sift"]),
        (("robustness", "--matcher", "no"), ["none"]),
        (("robustness", "--transform", "rot"), ["rotation", "rotation+scale"]),
        (("build", "transform", "--transform", "sh"), ["shear", "shift"]),
        (("robustness", "--transform", "rotation", "--levels", "small,la"), ["small,large"]),
        (("run", "--matching", ""), ["coarse", "exact", "half", "sub-cell"]),
        (("match", "--matching", "s"), ["sub-cell"]),
        (("sr", "--views", "auto:s"), ["auto:sift"]),
        (("sr", "--device", "c"), ["cpu", "cuda"]),
        (("train", "ttsr"), ["ttsr", "ttsr-rec"]),
        (("train", "c2matching", "t"), ["teacher"]),
        (("train", "srcnn", "--recipe", "sm"), ["small-cpu"]),
        (("weights", "import", "--method", "ran"), ["ranksrgan"]),
        (("weights", "info", "c2"), ["c2matching-nano-v2"]),
        (("run", "--reuse", "n"), ["never"]),
        (("leaderboard", "export", "--format", "la"), ["latex"]),
        (("data", ""), ["fetch", "info", "list", "prepare", "stats", "verify"]),
        (("build", "wrsr", "q"), ["queries"]),
        (("run", "--over"), []),
        (("sr", "--over"), ["--overwrite"]),
        (("weights", "pack", "--for"), []),  # old spellings are not offered
    ],
)
def test_names_and_choices_are_offered(words: tuple[str, ...], names: list[str]) -> None:
    assert sorted(offered(*words)) == sorted(names)


def test_methods_with_a_run_are_offered_from_the_results_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert offered("compare", "") == []
    for folder in ("results/c2/sample/one", "results/ttsr/sample/two", "other/c2/sample/three"):
        Path(folder).mkdir(parents=True)
        Path(folder, "run.json").write_text("{}")
    assert offered("compare", "") == ["one", "two"] and offered("compare", "one", "t") == ["two"]
    assert offered("compare", "--results", "other", "") == ["three"]
    assert offered("study", "init", "s", "--methods", "one,t") == ["one,two"]


def test_places_are_completed_by_the_shell() -> None:
    complete = ShellComplete(main, {}, "refsr-bench", "_REFSR_BENCH_COMPLETE")
    for words in (["sr", "--lr"], ["run", "--data-root"], ["run", "--config"], ["run", "--weights"]):
        assert {item.type for item in complete.get_completions(words, "x")} == {"file"}


def test_what_cannot_be_looked_up_offers_nothing_and_says_nothing(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.setenv("REFSR_RUN_LIMIT", "many")
    monkeypatch.setenv("REFSR_RUN_CONFIG", "none.toml")
    monkeypatch.setattr("refsr_bench.core.catalogue.collect", lambda kind: (_ for _ in ()).throw(OSError(kind)))
    assert offered("run", "--method", "") == []
    assert offered("run", "--config", "none.toml", "--reuse", "o") == ["only"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash"])
def test_the_program_answers_a_shell(shell: str) -> None:
    asked = {"_REFSR_BENCH_COMPLETE": f"{shell}_complete", "COMP_WORDS": "refsr-bench data in", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "refsr_bench"], env={**os.environ, "PYTHONPATH": str(ROOT), **asked},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["plain,info"] and done.stderr == ""
