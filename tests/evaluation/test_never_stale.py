"""A number is reused for the same code alone, and the command says what it reused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec import structs

from refsr_bench.cli import main
from refsr_bench.core import reader, results
from refsr_bench.core.schema import Machine
from refsr_bench.evaluation import plan as plans

FILTERS = ("BICUBIC", "NEAREST")
SCRIPT = """
import sys
from PIL import Image
low = Image.open(sys.argv[1])
low.resize((4 * low.width, 4 * low.height), Image.Resampling.BICUBIC).save(sys.argv[2])
"""
IMPORTING = """
import sys
from pathlib import Path
from PIL import Image
low = Image.open(sys.argv[1])
kind = (Path(__file__).parent / "lib" / "filter.txt").read_text()
low.resize((4 * low.width, 4 * low.height), Image.Resampling[kind]).save(sys.argv[2])
"""
METHOD = """
from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.types import Prediction
from theirlab.net import upscale

def load(weights, device):
    return LoadedMethod(lambda lr, refs, scale: Prediction(upscale(lr, scale)))

METHODS = (
    MethodCard("theirs", "Theirs", "SISR", "none", False, 2026, "", "A method of another distribution.", load),
)
"""
NET = """
import numpy as np
from PIL import Image

def upscale(lr, scale):
    size = (scale * lr.shape[1], scale * lr.shape[0])
    return np.asarray(Image.fromarray(lr).resize(size, Image.Resampling.BICUBIC))
"""


@pytest.fixture
def refsr(wrsr, tmp_path: Path):
    """``refsr("run", ...)`` on four small pairs; returns the exit code and everything that was printed."""
    data = wrsr(4)

    def call(*arguments: object, code: int = 0) -> str:
        common = ("--dataset", "wrsr", "--data-root", data, "--out", tmp_path / "out")
        result = CliRunner().invoke(main, [str(word) for word in ("run", *arguments, *common)])
        assert result.exit_code == code, result.output
        return result.output

    return call


def psnr(folder: Path) -> float:
    return results.read_result(folder / "result.json").means["psnr_y"]


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace(*FILTERS))


def test_editing_the_script_of_a_command_measures_again_and_says_so(refsr, tmp_path: Path) -> None:
    script, folder = tmp_path / "my.py", tmp_path / "out/c2/wrsr/Mine"
    script.write_text(SCRIPT)
    command = ("--command", f"{sys.executable} {script} {{lr}} {{out}}", "--name", "Mine")
    assert "reused" not in refsr(*command)
    before = psnr(folder)
    assert "Mine on wrsr: reused 4 of 4, measured 0." in refsr(*command)
    edit(script)
    said = refsr(*command)
    assert "Mine on wrsr: code (was " in said and "Mine.replaced-1" in said and "reused" not in said
    assert psnr(folder) != before and f"{psnr(folder):.2f}" in said
    kept = json.loads((folder.with_name("Mine.replaced-1") / "result.replaced.json").read_text())
    assert kept["means"]["psnr_y"] == before


def test_depends_adds_files_that_no_word_of_the_command_names(refsr, tmp_path: Path) -> None:
    script, library = tmp_path / "my.py", tmp_path / "lib"
    library.mkdir()
    script.write_text(IMPORTING)
    (library / "filter.txt").write_text(FILTERS[0])
    command = ("--command", f"{sys.executable} {script} {{lr}} {{out}}", "--name", "Mine", "--depends", library)
    refsr(*command)
    before = psnr(tmp_path / "out/c2/wrsr/Mine")
    assert "reused 4 of 4" in refsr(*command)
    edit(library / "filter.txt")
    assert "Mine.replaced-1" in refsr(*command)
    assert psnr(tmp_path / "out/c2/wrsr/Mine") != before
    assert "no such file" in refsr(*command[:-1], tmp_path / "absent", code=2)
    assert "--depends is for --command" in refsr("--method", "bicubic", "--depends", library, code=2)


def test_editing_a_module_of_an_entry_point_method_measures_again_and_says_so(wrsr, tmp_path: Path) -> None:
    package, info = tmp_path / "lab" / "theirlab", tmp_path / "lab" / "theirlab-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirlab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[refsr_bench]\ntheirlab = theirlab\n")
    (package / "__init__.py").write_text("")
    (package / "method.py").write_text(METHOD)
    (package / "net.py").write_text(NET)
    command = [sys.executable, "-c", "from refsr_bench.cli import main; main()", "run", "--method", "theirs"]
    command += ["--dataset", "wrsr", "--data-root", str(wrsr(2)), "--out", str(tmp_path / "out")]
    paths = os.pathsep.join([str(tmp_path / "lab"), *filter(None, sys.path)])

    def run() -> str:
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    folder = tmp_path / "out/c2/wrsr/theirs"
    run()
    before = psnr(folder)
    assert "theirs on wrsr: reused 2 of 2, measured 0." in run()
    edit(package / "net.py")
    said = run()
    assert "theirs on wrsr: code (was " in said and "theirs.replaced-1" in said
    assert psnr(folder) != before


def test_an_unfinished_run_says_what_it_reused(refsr) -> None:
    refsr("--method", "bicubic", "--limit", "3")
    assert "bicubic on wrsr: reused 3 of 4, measured 1." in refsr("--method", "bicubic")


def test_reuse_only_measures_nothing(refsr, tmp_path: Path) -> None:
    only = ("--method", "bicubic", "--reuse", "only")
    assert "holds no run" in refsr(*only, code=1)
    assert not (tmp_path / "out/c2").exists()
    refsr("--method", "bicubic", "--limit", "3")
    lines = (tmp_path / "out/c2/wrsr/bicubic/images.jsonl").read_bytes()
    assert "1 of 4 pairs have no record: 004" in refsr(*only, code=1)
    assert "reused 3 of 3, measured 0" in refsr(*only, "--limit", "3")
    assert (tmp_path / "out/c2/wrsr/bicubic/images.jsonl").read_bytes() == lines


def test_reuse_never_measures_everything_and_keeps_the_old_run(refsr, tmp_path: Path) -> None:
    refsr("--method", "bicubic")
    said = refsr("--method", "bicubic", "--reuse", "never")
    assert "reused" not in said and "bicubic.replaced-1" in said
    assert len((tmp_path / "out/c2/wrsr/bicubic/images.jsonl").read_bytes().splitlines()) == 4


def test_other_options_under_one_name_are_refused(refsr, tmp_path: Path) -> None:
    script = tmp_path / "my.py"
    script.write_text(SCRIPT)
    refsr("--command", f"{sys.executable} {script} {{lr}} {{out}}", "--name", "Mine")
    said = refsr("--command", f"{sys.executable} {script} {{lr}} {{out}} --fast", "--name", "Mine", code=2)
    assert "method.options.command" in said and "--reuse never" in said
    assert not list((tmp_path / "out").rglob("*.replaced-*"))


def test_records_without_their_run_file_are_not_reused(refsr, tmp_path: Path) -> None:
    refsr("--method", "bicubic")
    (tmp_path / "out/c2/wrsr/bicubic/run.json").unlink()
    said = refsr("--method", "bicubic")
    assert "records without a run.json" in said and "reused" not in said


def test_a_description_that_changed_is_told_with_the_records_kept(refsr, tmp_path: Path) -> None:
    refsr("--method", "bicubic")
    path = tmp_path / "out/c2/wrsr/bicubic/run.json"
    run = results.read_run(path)
    path.write_text(reader.dumps(structs.replace(run, method=structs.replace(run.method, title="Cubic", notes=("x",)))))
    assert "reused 4 of 4" in refsr("--method", "bicubic")
    assert results.read_run(path) == run


def test_a_run_that_goes_on_elsewhere_names_both_machines(refsr, tmp_path: Path, monkeypatch) -> None:
    refsr("--method", "bicubic", "--limit", "2")
    first = results.read_run(tmp_path / "out/c2/wrsr/bicubic/run.json").machine
    other = Machine("cpu", first.versions, "Another processor", 3)
    monkeypatch.setattr(plans, "describe_machine", lambda device: other)
    refsr("--method", "bicubic", "--limit", "2")  # nothing is measured there
    run = results.read_run(tmp_path / "out/c2/wrsr/bicubic/run.json")
    assert run.machine == first and run.more_machines == ()
    refsr("--method", "bicubic")
    run = results.read_result(tmp_path / "out/c2/wrsr/bicubic/result.json").run
    assert run.machine == first and run.more_machines == (other,)
