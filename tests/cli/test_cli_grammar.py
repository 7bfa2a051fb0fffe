"""Where values come from, how much is said, old spellings, near names, exit codes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from refsr_bench.cli import main
from refsr_bench.core.errors import BenchError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("REFSR_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict:
    """The options that reach ``run``, which then stops."""
    seen: dict = {}

    def stop(methods, *_: object, **__: object) -> None:
        ctx = click.get_current_context()
        seen.update(ctx.params)
        raise BenchError("seen")

    monkeypatch.setattr("refsr_bench.cli.run.protocol_of", stop)
    return seen


def call(*words: object, code: int = 0) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, f"{words}\n{done.output}\n{done.exception!r}"
    assert "Traceback" not in done.output or code == 0 or "-v" in words
    return done


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


# -- configurations ------------------------------------------------------------------------------------------------


def test_a_configuration_says_what_options_say(asked: dict) -> None:
    config = write(
        "run.toml",
        'method = ["bicubic", "srcnn"]\ndataset = "sample"\nlimit = 2\nset = ["border=0"]\nsave-images = false\n'
        'allow_leaks = true\ntime-limit = 2.5\nout = "elsewhere"\nquiet = 1\n',
    )
    call("run", "--config", config, code=1)
    assert asked["methods"] == ("bicubic", "srcnn") and asked["datasets"] == ("sample",)
    assert (asked["limit"], asked["time_limit"]) == (2, 2.5) and asked["settings"] == ("border=0",)
    assert (asked["save_images"], asked["allow_leaks"], asked["out"]) == (False, True, Path("elsewhere"))
    assert asked["reuse"] == "missing"  # a default


def test_the_command_line_wins_over_configurations_and_these_over_the_environment(asked, monkeypatch) -> None:
    config = write("run.toml", 'method = "bicubic"\ndataset = "sample"\nlimit = 2\n')
    for name in ("METHOD", "DATASET", "NAME", "LIMIT"):
        monkeypatch.setenv(f"REFSR_RUN_{name}", "7" if name == "LIMIT" else "environment")
    call("run", "--config", config, "--limit", 3, code=1)
    assert (asked["methods"], asked["datasets"]) == (("bicubic",), ("sample",))
    assert (asked["limit"], asked["name"]) == (3, "environment")


def test_later_configurations_win_and_one_may_stand_before_the_command(asked: dict) -> None:
    first = write("first.toml", 'method = "bicubic"\ndataset = "sample"\nlimit = 2\n')
    second, third = write("second.toml", "limit = 3\n"), write("third.toml", 'name = "three"\n')
    call("--config", first, "run", "--config", second, "--config", third, code=1)
    assert (asked["limit"], asked["name"], asked["methods"]) == (3, "three", ("bicubic",))


def test_tables_are_for_the_commands_that_they_name(asked: dict) -> None:
    config = write(
        "project.toml",
        '[run]\nmethod = "bicubic"\ndataset = "sample"\n[data.info]\njson = true\n[build.wrsr.pool]\nworkers = 2\n',
    )
    call("--config", config, "run", code=1)
    assert asked["methods"] == ("bicubic",)
    assert json.loads(call("--config", config, "data", "info", "wrsr").stdout)["name"] == "wrsr"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('metod = "bicubic"', ["run has no option 'metod'", "Did you mean method?"]),
        ("limit = 0", ["--limit", "not in the range", "from run.toml"]),
        ('limit = "two"', ["--limit", "from run.toml"]),
        ("limit = [1, 2]", ["limit: text or a number is expected"]),
        ("allow-leaks = 1", ["allow-leaks: true or false is expected"]),
        ("name = true", ["name: text or a number is expected"]),
        ('reuse = "always"', ["--reuse", "missing", "from run.toml"]),
        ('[rum]\nlimit = 1', ["no command [rum]", "Did you mean run?"]),
        ('[data]\nlimit = 1', ["data has no option 'limit'"]),
        ('[data.inf]\njson = true', ["no command [data.inf]", "Did you mean info"]),
        ('config = "other.toml"', ["no option 'config'"]),
        ("limit = ", ["run.toml: not TOML"]),
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_refused_in_words(text: str, words: list[str]) -> None:
    config = write("run.toml", text + "\n")
    output = call("run", "--method", "bicubic", "--dataset", "sample", "--config", config, code=2).output
    assert output.count("Error: ") == 1
    for word in words:
        assert word in output


def test_an_absent_configuration_is_refused() -> None:
    assert "none.toml" in call("data", "list", "--config", "none.toml", code=2).output


# -- the environment -----------------------------------------------------------------------------------------------


def test_every_option_has_an_environment_variable(asked: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {
        "METHOD": "bicubic srcnn", "DATASET": "sample", "LIMIT": "2", "SAVE_IMAGES": "no", "ALLOW_LEAKS": "1",
        "COMMAND": "python mine.py {lr}", "DEPENDS": os.pathsep.join(("one", "two")),
    }.items():  # fmt: skip
        monkeypatch.setenv(f"REFSR_RUN_{name}", text)
    call("run", code=1)
    assert asked["methods"] == ("bicubic", "srcnn") and asked["depends"] == (Path("one"), Path("two"))
    assert (asked["limit"], asked["save_images"], asked["allow_leaks"]) == (2, False, True)
    assert asked["command"] == "python mine.py {lr}"


def test_wrong_values_name_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSR_RUN_LIMIT", "many")
    assert "from REFSR_RUN_LIMIT" in call("run", "--dataset", "sample", code=2).output
    monkeypatch.setenv("REFSR_RUN_LIMIT", "")  # as if it were not set
    monkeypatch.setenv("REFSR_RUN_ALLOW_LEAKS", "maybe")
    assert "REFSR_RUN_ALLOW_LEAKS=maybe" in call("run", "--dataset", "sample", code=2).output


def test_a_variable_of_no_option_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSR_DATA_INFO_JSOM", "1")
    monkeypatch.setenv("REFSR_DATA_LIST_JSON", "1")  # of another command
    done = call("data", "info", "wrsr")
    assert "REFSR_DATA_INFO_JSOM names no option of data info. Did you mean REFSR_DATA_INFO_JSON?" in done.stderr
    assert "REFSR_DATA_LIST" not in done.stderr and "REFSR" not in done.stdout


def test_variables_of_all_commands(asked: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSR_DATA", "sets")
    monkeypatch.setenv("REFSR_DEVICE", "cpu")
    call("run", "--dataset", "sample", "--method", "bicubic", code=1)
    assert (asked["data_root"], asked["device"]) == (Path("sets"), "cpu")
    monkeypatch.setenv("REFSR_RUN_DATA_ROOT", "mine")
    call("run", "--dataset", "sample", "--method", "bicubic", code=1)
    assert asked["data_root"] == Path("mine")
    call("run", "--dataset", "sample", "--method", "bicubic", "--data-root", "typed", code=1)
    assert asked["data_root"] == Path("typed")


def test_a_configuration_for_every_command_comes_from_the_environment(asked: dict, monkeypatch) -> None:
    monkeypatch.setenv("REFSR_CONFIG", write("all.toml", '[run]\nmethod = "bicubic"\n[data.info]\njson = true\n'))
    call("run", "--dataset", "sample", code=1)
    assert asked["methods"] == ("bicubic",)
    assert json.loads(call("data", "info", "wrsr").stdout)["name"] == "wrsr"


def test_the_command_of_a_run_file_says_what_others_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives the same numbers without the configuration and the environment of this machine."""
    write("run.toml", 'method = "bicubic"\ndataset = "sample"\nsave-images = false\nset = ["border=0"]\n')
    monkeypatch.setenv("REFSR_RUN_LIMIT", "1")
    monkeypatch.setenv("REFSR_DATA", "a private place")
    monkeypatch.setattr(sys, "argv", ["refsr-bench", "run", "--config", "run.toml", "--name", "Mine"])
    call(*sys.argv[1:])
    (file,) = Path("results").glob("*/*/*/result.json")
    assert json.loads(file.read_text())["run"]["command"] == (
        "refsr-bench run --name Mine --method bicubic --dataset sample --set border=0 --limit 1 --no-save-images"
    )


# -- how much is said ----------------------------------------------------------------------------------------------


def test_verbose_says_where_options_came_from_and_where_errors_were_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFSR_DATA_INFO_JSON", "true")
    for words in (("-v", "data", "info", "wrsr"), ("data", "info", "wrsr", "-v"), ("data", "-v", "info", "wrsr")):
        done = call(*words)
        assert "--json (from REFSR_DATA_INFO_JSON)" in done.stderr and json.loads(done.stdout)
    assert "REFSR_DATA_INFO_JSON" not in call("data", "info", "wrsr").stderr
    assert "Traceback" in call("-v", "data", "info", "nothing", code=2).stderr


@pytest.mark.parametrize("place", [0, 1])
def test_quiet_hides_notices_and_progress_but_no_errors(place: int, capsys, monkeypatch) -> None:
    words = ["run", "--method", "bicubic", "--dataset", "sample", "--limit", "1"]
    assert "Pictures: " in call(*words).stderr
    quiet = ("-q", *words) if place == 0 else (*words, "--quiet")
    done = call(*quiet)
    assert "Pictures: " not in done.stderr and "reused" not in done.stderr and "PSNR-Y" in done.stdout
    assert "Error: " in call("-q", "data", "info", "nothing", code=2).stderr
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for a terminal
    from refsr_bench.core.terminal import progress_bar

    capsys.readouterr()
    with progress_bar("working") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
    logging.getLogger("refsr_bench").setLevel(logging.INFO)
    with progress_bar("working") as progress:
        progress(1, 2)
    assert "working" in capsys.readouterr().err


# -- old spellings -------------------------------------------------------------------------------------------------


def old(*words: object, now: str, code: int = 0) -> Result:
    done = call(*words, code=code)
    assert f"is now {now}; the old spelling works until version" in done.stderr, done.output
    return done


@pytest.fixture
def photos(photo) -> None:
    Path("photos").mkdir()
    for n in range(3):
        Image.fromarray(photo(180, 200, n)).save(f"photos/{n}.png")
    Image.fromarray(photo(30, 40, 0)).save("lr.png")
    Image.fromarray(photo(120, 90, 1)).save("ref.png")


def test_old_spellings_of_files_to_replace(photos) -> None:
    words = ("match", "--lr", "lr.png", "--ref", "ref.png", "--out", "match.png", "--lines", 0)
    call(*words)
    assert "--overwrite" in call(*words, code=2).output
    old(*words, "--force", now="--overwrite")


def test_old_spellings_of_building(photos) -> None:
    words = ("--transform", "rotation", "--levels", "small", "--limit", 1)
    done = old("data", "build", "transform", "--from", "sample", *words, "--out", "split", now="build")
    assert "--from is now --dataset" in done.stderr and "1 inputs" in done.stdout
    assert json.loads(call("build", "transform", *words, "--out", "split", "--json").stdout)["inputs"] == 1


def test_old_spellings_of_training(photos) -> None:
    words = ("train", "srcnn", "--data", "photos", "--out", "out", "--device", "cpu")
    quick = ("--set", "run.validation=1", "--budget", 1, "--set", "batch=1", "--set", "crop=64")
    old(*words, "--config", "small-cpu", *quick, now="--recipe small-cpu")
    recipe = write("mine.toml", "[restoration]\nbatch = 1\ncrop = 64\n[run]\nvalidation = 1\n")
    done = old(*words, "--config", recipe, "--resume", "--budget", 2, now="--recipe mine.toml", code=2)
    assert "batch" not in done.stderr.partition("Error: ")[2]  # the recipe was read: another field differs
    config = write("options.toml", 'recipe = "small-cpu"\nbudget = 1\n')
    done = call(*words[:4], "--out", "other", "--device", "cpu", "--config", config, *quick[:2], *quick[4:])
    assert "is now" not in done.stderr and Path("other/last.safetensors").is_file()
    weights = ("--weights", "out/last.safetensors", "--out", "third")
    old(*words[:4], "--device", "cpu", *weights, "--recipe", "small-cpu", *quick, now="--from-weights")


def test_old_spellings_of_pages_and_studies(photos) -> None:
    for name in ("one", "two"):
        call("run", "--method", "bicubic", "--dataset", "sample", "--limit", 1, "--name", name)
    old("leaderboard", "build", "--images", "none", now="--pictures")
    assert not Path("site/images").exists()
    for name in ("a", "b", "hr"):
        Path(name).mkdir()
        Image.open("photos/0.png").rotate(len(name)).save(f"{name}/0.png")
        Image.open("photos/1.png").rotate(2 * (name == "a")).save(f"{name}/1.png")
    folders = ("--images", "A=a", "--images", "B=b", "--reference", "hr", "--attention", 0)
    old("study", "init", "study", *folders, "--hr", "hr", now="--hr-images")
    old("data", "stats", "sample", "--svg", "--out", "charts", now="--format svg")
    assert list(Path("charts").glob("*.svg")) and not list(Path("charts").glob("*.png"))


def test_the_old_spelling_of_a_comparison_s_file(photos) -> None:
    for name in ("one", "two"):
        call("run", "--method", "bicubic", "--dataset", "sample", "--limit", 2, "--name", name)
    done = old("compare", "one", "two", "--json", "numbers.json", now="--json > numbers.json")
    assert json.loads(Path("numbers.json").read_text())["comparisons"] and "one" in done.stdout
    assert json.loads(call("compare", "--json", "one", "two").stdout)["comparisons"]
    call("compare", "one", "two", "--csv", "pairs.csv")
    assert "--overwrite" in call("compare", "one", "two", "--csv", "pairs.csv", code=2).output
    call("compare", "one", "two", "--csv", "pairs.csv", "--overwrite")


@pytest.mark.parametrize(("module", "warned"), [("refsr_bench", False), ("refsr_bench.cli", True)])
def test_the_package_runs_as_a_module(module: str, warned: bool) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", module, "--version"], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.startswith("refsr-bench, version ")
    assert ("python -m refsr_bench.cli is now python -m refsr_bench;" in done.stderr) == warned


# -- near names and exit codes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("rum",), "Did you mean run"),
        (("data", "verfy", "wrsr"), "Did you mean verify?"),
        (("verify", "wrsr"), "Did you mean data verify or weights verify?"),
        (("robustnes",), "Did you mean robustness?"),
        (("weights", "prepare"), "Did you mean data prepare or submit prepare?"),
        (("nonsense",), "Known: ablation, build,"),
        (("run", "--metod", "bicubic"), "--method"),
        (("data", "info", "wr-sr"), "Did you mean wrsr"),
        (("train", "ttsr_rec", "--data", "x", "--out", "y"), "Did you mean ttsr-rec"),
        (("methods", "info", "c2matchin"), "Did you mean c2matching"),
        (("protocols", "diff", "c2", "masa-sr"), "Did you mean masa"),
        (("robustness", "--transform", "rotatoin"), "Did you mean rotation"),
        (("robustness", "--transform", "rotation", "--matcher", "sfit"), "Did you mean sift"),
        (("run", "--method", "bicubic", "--dataset", "sample", "--metric", "dist"), "Did you mean dists"),
        (("match", "--lr", "a", "--ref", "b", "--out", "c.png", "--matching", "corse"), "'coarse'"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(words: tuple[str, ...], hint: str) -> None:
    assert hint in call(*words, code=2).output


def test_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    call("protocols")
    call("run", "--dataset", "sample", code=2)  # misuse
    Path("broken.safetensors").write_bytes(b"no")
    call("weights", "verify", "broken.safetensors", code=1)  # failed work

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("refsr_bench.core.catalogue.collect", stop)
    assert "Stopped." in call("protocols", "list", code=130).stderr
