"""Commands that need a package of an extra say in words what to install, and a missing system library is named."""

import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from refsr_bench.cli import main
from refsr_bench.core.extras import EXTRAS, explained

ROOT = Path(__file__).resolve().parents[2]
EXTRA = [(extra, module, package) for extra, (_, found) in EXTRAS.items() for module, package in found.items()]


def block(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let a module be one that is not installed, for code that has not imported it yet, and for code that has."""
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith(("refsr_bench.builder", "refsr_bench.study"))]:
        monkeypatch.delitem(sys.modules, name)


def commands(extra: str, folder: Path) -> list[list[str]]:
    """The commands of an extra, on a folder."""
    if extra == "study":
        return [["study", "report", str(folder), "--out", str(folder / "report")]]
    if extra == "onnx":
        return [["weights", "export", "--method", "srcnn", "--weights", "synthetic", "--out", str(folder / "net.onnx")]]
    return [["build", "wrsr", stage, str(folder)] for stage in ("init", "pool", "clean")]


@pytest.mark.parametrize(("extra", "module", "package"), EXTRA)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    extra: str, module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "build.toml").touch()
    block(monkeypatch, module)
    for words in commands(extra, tmp_path):
        shown: Result = CliRunner().invoke(main, words)
        assert shown.exit_code == 2 and f"needs {package}: pip install {package}\n" in shown.output, shown.output
    assert CliRunner().invoke(main, [*commands(extra, tmp_path)[0], "--help"]).exit_code == 0


def test_the_extras_are_those_of_the_package() -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for extra, (_, packages) in EXTRAS.items():
        assert sorted(packages.values()) == sorted(wanted.partition(">")[0] for wanted in stated[extra])


def test_a_system_without_what_opencv_links_to_gets_both_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("refsr_bench.cli.common.click.Group.invoke", broken)
    shown = CliRunner().invoke(main, ["methods", "list"])
    assert shown.exit_code == 2 and shown.output.count("\n") == 1
    assert "libGL.so.1" in shown.output and "libgl1" in shown.output and "opencv-python-headless" in shown.output


def test_a_mistake_of_ours_is_not_explained_away() -> None:
    assert not explained(ImportError("cannot import name 'x' from 'refsr_bench'"))
    assert not explained(ModuleNotFoundError("No module named 'refsr_bench.y'", name="refsr_bench.y"))
