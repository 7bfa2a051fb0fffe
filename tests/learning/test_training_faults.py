"""Trainings under faults: two at once, kills, full and read-only disks, impossible values; nothing is lost or mixed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from c2matching.training.config import C2Training
from refsr_bench.cli import main
from refsr_bench.core import files
from refsr_bench.core.errors import Misuse
from refsr_bench.formats.checkpoints import read_metadata, sha256
from refsr_bench.learning.training import config
from refsr_bench.learning.training.config import Training

SHORT = ["run.log_every=1", "run.validate_every=1", "run.validation=1", "batch=1", "crop=64"]
LIMITED = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, 2 * (int(sys.argv.pop(1)),))\n"
    "from refsr_bench.cli import main; main()"
)


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "photos").mkdir()
    for n in range(2):
        pixels = np.random.default_rng(n).integers(0, 256, (80, 80, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{n}.png")
    return tmp_path / "photos"


def command(photos: Path, out: Path, iterations: int = 1, *more: str) -> list[str]:
    settings = [word for setting in (*SHORT, f"iterations={iterations}") for word in ("--set", setting)]
    return ["train", "srcnn", "--small", "--device", "cpu", "--data", str(photos), "--out", str(out), *settings, *more]


def run(*given, code: int = 0) -> str:
    result = CliRunner().invoke(main, command(*given))
    assert result.exit_code == code, (result.output, result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.output


def test_a_folder_has_one_training_and_the_second_learns_whose(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with files.locked(out, "Another training"):
        told = run(photos, out, code=1)
    assert f"Another training is writing to {out}: process {os.getpid()} on " in told
    assert not (out / "checkpoint.pt").exists() and not (out / "config.toml").exists()


def test_two_trainings_make_the_same_bytes_and_name_no_place(photos, tmp_path):
    for name in ("a", "b"):
        run(photos, tmp_path / name, 1, "--name", "mine")
    paths = [tmp_path / name / "last.safetensors" for name in ("a", "b")]
    assert sha256(paths[0]) == sha256(paths[1])
    assert str(tmp_path) not in str(read_metadata(paths[0]))
    assert json.loads(read_metadata(paths[0])["training"])["data"] == ["photos"]


def test_a_resumed_training_reads_its_own_file_and_ends_with_the_same_bytes(photos, tmp_path):
    run(photos, tmp_path / "a", 1)
    run(photos, tmp_path / "a", 2, "--resume")
    run(photos, tmp_path / "b", 2, "--name", "a")
    assert sha256(tmp_path / "a/last.safetensors") == sha256(tmp_path / "b/last.safetensors")


def test_a_training_killed_before_its_first_checkpoint_resumes(photos, tmp_path):
    run(photos, tmp_path / "whole", 1, "--name", "out")
    out = tmp_path / "out"
    run(photos, out)
    (out / "checkpoint.pt").unlink()  # as a kill leaves the folder: configuration and log alone
    assert "starts at its first iteration" in run(photos, out, 1, "--resume")
    assert sha256(out / "last.safetensors") == sha256(tmp_path / "whole/last.safetensors")
    (out / "checkpoint.pt").unlink()
    assert "restoration.rate" in run(photos, out, 1, "--resume", "--set", "rate=0.5", code=2)
    assert "there is no checkpoint.pt" in run(photos, tmp_path / "other", 1, "--resume", code=2)


def test_files_follow_the_umask(photos, tmp_path):
    before = os.umask(0o027)
    try:
        run(photos, tmp_path / "out")
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "out").iterdir() if path.is_file() and path.name != ".lock"]
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in made} == {path.name: "0o640" for path in made}


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
@pytest.mark.parametrize("limit", [20_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (300, 60_000))])
def test_a_full_disk_keeps_the_earlier_checkpoint(photos, tmp_path, limit):
    out = tmp_path / "out"
    run(photos, out)
    before = {name: (out / name).read_bytes() for name in ("checkpoint.pt", "last.safetensors", "best.safetensors")}
    words = [sys.executable, "-c", LIMITED, str(limit), *command(photos, out, 2, "--resume")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "cannot be written" in done.stderr or "could not be written" in done.stderr
    assert not list(out.rglob("*.partial"))
    assert (out / "checkpoint.pt").read_bytes() == before["checkpoint.pt"]
    run(photos, out, 2, "--resume")
    run(photos, tmp_path / "whole", 2, "--name", "out")
    assert sha256(out / "last.safetensors") == sha256(tmp_path / "whole/last.safetensors")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no files, even from root")
def test_a_folder_that_takes_no_files_is_told_in_words(photos):
    assert "cannot be made" in run(photos, Path("/proc/refsr-bench"), code=1)


@pytest.mark.parametrize("damage", ["iteration", "networks", "optimisers", "training", "best"])
def test_a_checkpoint_with_other_contents_is_refused_in_words(photos, tmp_path, damage):
    out = tmp_path / "out"
    run(photos, out)
    content = torch.load(out / "checkpoint.pt", weights_only=True)
    torch.save(content | {damage: {"restoration": "evil"}}, out / "checkpoint.pt")
    result = CliRunner().invoke(main, command(photos, out, 2, "--resume"))
    assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.exception
    assert "checkpoint.pt" in result.output or "--resume" in result.output


@pytest.mark.parametrize(
    "setting",
    [
        *("run.seed=18446744073709551616", "run.seed=-1", f"run.seed={'9' * 5000}", "run.workers=1000000"),
        *("restoration.rate=nan", "restoration.rate=inf", "restoration.rate=-1.0", "restoration.betas=[0.9, nan]"),
        *("restoration.betas=[0.9, 1.0]", "restoration.average=1.0", "photos.shrink=2.0", "views.scale=inf"),
        *("restoration.iterations=10000000000", "restoration.crop=1000000000", f"run.seed={'[' * 5000}"),
    ],
)
def test_values_that_no_training_can_take_are_misuse(setting):
    with pytest.raises(Misuse):
        config.load(Training, [], [setting])


@pytest.mark.parametrize(
    "setting", ["network.channels=1000000000", "network.blocks=[1000000000, 1, 1, 1]", "student.temperature=0.0"]
)
def test_a_network_beyond_any_machine_is_misuse(setting):
    with pytest.raises(Misuse):
        config.load(C2Training, [], [setting])


def test_a_number_of_many_digits_in_a_file_is_misuse(tmp_path):
    (tmp_path / "mine.toml").write_text(f"[run]\nseed = {'9' * 5000}\n")
    with pytest.raises(Misuse, match=r"mine\.toml: not TOML"):
        config.load(Training, [str(tmp_path / "mine.toml")])
