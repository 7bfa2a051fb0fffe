"""The public functions, and what they stand on, pass a type checker; installed packages say that they are typed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("refsr_bench", "c2matching", "baselines", "leaderboard")
PUBLIC = """
from pathlib import Path

import numpy as np
import refsr_bench

def double(lr: np.ndarray, refs: "list[np.ndarray]", scale: int) -> np.ndarray:
    return lr.repeat(scale, 0).repeat(scale, 1)

result: refsr_bench.Result = refsr_bench.evaluate(double, refsr_bench.load_dataset("sample")[:2], out=Path("x"))
mean: float = result.means["psnr_y"]
pair: refsr_bench.RefPair = refsr_bench.load_dataset("sample")[0]
values: dict[str, float] = refsr_bench.measure("a.png", "b.png", "psnr_y")
"""
WRONG = {
    'refsr_bench.evaluate("bicubic")\n': "[call-arg]",
    'refsr_bench.evaluate("bicubic", "sample", reuse="some")\n': "[arg-type]",
    'text: str = refsr_bench.measure("a.png", "b.png")\n': "[assignment]",
}


def mypy(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mypy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_checker_is_content() -> None:
    done = mypy()
    assert done.returncode == 0, done.stdout + done.stderr


def test_callers_are_checked(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(PUBLIC)
    done = mypy(str(good))
    assert done.returncode == 0, done.stdout
    bad = tmp_path / "bad.py"
    bad.write_text(PUBLIC + "".join(WRONG))
    told = mypy(str(bad)).stdout.splitlines()
    assert [line.rpartition(" ")[2] for line in told if ": error: " in line] == list(WRONG.values())


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_ships_its_mark(package: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"][package]
