"""Every command and every Python line in README runs, in order, as a new user would type it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from reader import Reader, typed

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETUP = {"pip install .", 'pip install ".[test]"', "pytest"}  # what .ci/run types


@pytest.mark.slow
def test_commands_run_one_after_the_other(reader: Reader) -> None:
    assert len(typed(README)) >= 15 and all(line.startswith("refsr-bench ") for line in typed(README))
    reader.follow(README)
    assert (reader.home / "results/site/index.html").is_file() and (reader.home / "site/index.html").is_file()


def test_the_tables_are_those_of_the_catalogue() -> None:
    from docs.scripts.methods_table import pages, written

    assert {page.name for page in pages()} >= {"README.md", "methods.md", "metrics.md", "own-data.md"}
    for page in pages():
        text = page.read_text(encoding="utf-8")
        assert written(text) == text, f"{page.name}: run python docs/scripts/methods_table.py"


def test_setup_commands_are_those_of_the_continuous_test() -> None:
    script = (ROOT / ".ci/run").read_text()
    for command in SETUP:
        assert re.search(rf"^{re.escape(command).replace('install', 'install.*')}$", script, flags=re.M), command


def test_the_installed_command_answers() -> None:
    command = shutil.which("refsr-bench") or shutil.which("refsr-bench", path=Path(sys.executable).parent)
    assert command, "the package is not installed: pip install ."
    shown = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "reference-based super-resolution" in shown
