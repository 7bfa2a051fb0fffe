"""A repository that collects results: its README and its workflows on GitHub, as files to begin with."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.errors import BenchError
from refsr_bench.core.files import write_text

FILES = {
    "README.md": "README.md",
    "check.yml": ".github/workflows/check.yml",
    "publish.yml": ".github/workflows/publish.yml",
}


def write(folder: Path) -> list[Path]:
    """Write the template into ``folder``, which is made where absent, and say which files it has.

    Raises BenchError, having written nothing, when one of them is there already, and when nothing can be written.
    """
    targets = {folder / target: Path(__file__).with_name(source) for source, target in FILES.items()}
    keep = folder / "results" / ".gitkeep"
    if there := [path for path in (*targets, keep) if path.exists()]:
        raise BenchError(f"{there[0]} is there already and stays; choose an empty folder")
    try:
        for path, source in targets.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, source.read_text(encoding="utf-8"))
        keep.parent.mkdir(exist_ok=True)
        keep.touch()
    except OSError as error:
        raise BenchError(f"{folder}: cannot be written ({error.strerror})") from None
    return [*targets, keep]
