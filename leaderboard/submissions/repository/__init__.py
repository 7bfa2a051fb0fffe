"""A template of a repository that collects results: its README and its workflows on GitHub."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError

FILES = {
    "README.md": "README.md",
    "check.yml": ".github/workflows/check.yml",
    "publish.yml": ".github/workflows/publish.yml",
}


def write(folder: Path) -> list[Path]:
    """Write the template into ``folder``, which is made if absent, and return its files.

    Raises BenchError, having written nothing, when one of them exists already, and when nothing can be written.
    """
    targets = {folder / target: Path(__file__).with_name(source) for source, target in FILES.items()}
    keep = folder / "results" / ".gitkeep"
    if there := [path for path in (*targets, keep) if path.exists()]:
        raise BenchError(f"{there[0]} is there already and stays; choose an empty folder.")
    for path, source in targets.items():
        files.make_folder(path.parent)
        files.write_text(path, source.read_text(encoding="utf-8"))
    files.make_folder(keep.parent)
    files.write_text(keep, "")
    return [*targets, keep]
