"""A method of a user's own, run as a command line per image."""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from baselines import external
from refsr_bench.cli import main
from refsr_bench.core import results
from refsr_bench.core.errors import BenchError, Misuse

THEIRS = """
import sys
from pathlib import Path
from PIL import Image
lr, ref, out = sys.argv[1:4]
low, high = Image.open(lr), Image.open(ref)
assert low.mode == high.mode == "RGB" and high.width > low.width
low.resize((4 * low.width, 4 * low.height), Image.Resampling.BICUBIC).save(out)
"""
FAULTY = {
    "crashes": ("import sys; print('loading'); sys.exit('out of memory')", r"exit code 1: .*out of memory"),
    "silent": ("", "wrote no image"),
    "no image": ("import sys; open(sys.argv[3], 'w').write('oops')", "sr.png"),
    "wrong size": ("import sys; from PIL import Image; Image.new('RGB', (8, 8)).save(sys.argv[3])", r"\(8, 8, 3\)"),
}


def program(folder: Path, source: str) -> str:
    path = folder / "their model.py"
    path.write_text(source)
    return f"{sys.executable} '{path}' {{lr}} {{ref}} {{out}}"


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["run", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_a_command_is_measured_like_any_method(wrsr, tmp_path) -> None:
    root = wrsr(2).parent
    common = ("--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "results")
    command = program(tmp_path, THEIRS)
    text = run("--command", command, "--name", "Theirs", *common)
    run("--method", "bicubic", *common)
    assert "Theirs" in text
    found = {}
    for path in (tmp_path / "results").rglob("result.json"):
        result = results.read_result(path)
        found[result.run.method.name] = result
    assert found["Theirs"].means["psnr_y"] == found["bicubic"].means["psnr_y"]
    assert command in found["Theirs"].run.method.weights.name


@pytest.mark.parametrize("fault", FAULTY)
def test_a_failure_is_recorded_with_its_reason_and_the_others_go_on(fault, wrsr, tmp_path) -> None:
    source, reason = FAULTY[fault]
    root = wrsr(2).parent
    good = program(tmp_path, THEIRS)
    half = tmp_path / "half.py"  # the second image fails
    half.write_text(f"import sys, pathlib\nmark = pathlib.Path({str(tmp_path / 'mark')!r})\n"
                    f"code = {THEIRS!r} if not mark.exists() else {source!r}\nmark.touch()\nexec(code)\n")  # fmt: skip
    command = good.replace(str(tmp_path / "their model.py"), str(half))
    text = run("--command", command, "--dataset", "wrsr", "--data-root", root, "--out", tmp_path / "r", code=1)
    (log,) = (tmp_path / "r").rglob("images.jsonl")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert [record["error"] is None for record in records] == [True, False]
    assert re.search(reason, records[1]["error"]) and "failed" in text


def test_a_command_that_hangs_is_stopped_with_its_children() -> None:
    started = time.monotonic()
    lr = np.zeros((4, 4, 3), np.uint8)
    loaded = external.load(None, "cpu", "sh -c 'sleep 600 & sleep 600; echo {lr} {out}'", 0.5)
    with pytest.raises(BenchError, match=r"longer than 0.5 s"):
        loaded.predict(lr, [], 4)
    assert time.monotonic() - started < 30


def test_several_references_and_their_places(tmp_path) -> None:
    words = external.arguments("model --in {lr} --refs {refs} --to={out} -x {scale}")
    paths = [Path("a.png"), Path("b.png")]
    ready = external.filled(words, Path("l.png"), paths, Path("o.png"), 4)
    assert ready == ["model", "--in", "l.png", "--refs", "a.png", "b.png", "--to=o.png", "-x", "4"]
    with pytest.raises(BenchError, match="no reference"):
        external.filled(external.arguments("m {lr} {ref} {out}"), Path("l"), [], Path("o"), 4)


@pytest.mark.parametrize("command", ["model {lr}", "model 'unclosed {lr} {out}", "model x y"])
def test_a_command_without_its_places_is_refused(command) -> None:
    with pytest.raises(Misuse, match="--command"):
        external.arguments(command)


def test_a_program_that_does_not_exist(tmp_path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "lr.png")
    with pytest.raises(BenchError, match="cannot be started"):
        external.run(["no-such-program-here"], 1)


def test_options_that_do_not_go_together(tmp_path) -> None:
    assert "--command" in run("--method", "external", "--dataset", "sample", "--out", tmp_path, code=2)
    assert "--method external" in run(
        "--method", "bicubic", "--command", "m {lr} {out}", "--dataset", "sample", "--out", tmp_path, code=2
    )
    assert "--method" in run("--dataset", "sample", "--out", tmp_path, code=2)
