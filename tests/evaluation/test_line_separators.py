"""Characters that Python counts as line ends may stand in names; the journal of a run has its own lines."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

REFSR = [sys.executable, "-c", "from refsr_bench.cli import main; main()"]


def twice(words: list[str], out: Path) -> tuple[bytes, bytes, int]:
    """Run a command, lose its run file as a kill would, and continue; return the journals and the last exit code."""
    subprocess.run([*REFSR, *words, "--out", str(out)], capture_output=True, check=False)
    (journal,) = out.rglob("images.jsonl")
    before = journal.read_bytes()
    journal.with_name("result.json").unlink()
    again = subprocess.run([*REFSR, *words, "--out", str(out)], capture_output=True, check=False)
    return before, journal.read_bytes(), again.returncode


@pytest.mark.parametrize("separator", ["\u2028", "\u0085"])
def test_a_run_with_a_line_separator_in_a_name_continues(tmp_path: Path, photo, separator: str) -> None:
    for which, kind in enumerate(("hr", "ref")):
        (tmp_path / "set" / kind).mkdir(parents=True)
        Image.fromarray(photo(48, 48, which)).save(tmp_path / "set" / kind / f"a{separator}b.png")
    words = ["run", "--method", "bicubic", "--device", "cpu", "--dataset", "folder"]
    before, after, code = twice([*words, "--data-root", str(tmp_path / "set")], tmp_path / "out")
    assert separator.encode() in before and code == 0
    assert after == before  # measured once
