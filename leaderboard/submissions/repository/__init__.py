"""A template of a repository that collects results: its README and its workflows on GitHub."""

from __future__ import annotations

import re
from pathlib import Path

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse

FILES = {
    "README.md": "README.md",
    "check.yml": ".github/workflows/check.yml",
    "publish.yml": ".github/workflows/publish.yml",
}


PACKAGE = "PACKAGE_HERE"  # in the workflows, for what pip installs
ADDRESS = re.compile(r"[A-Za-z0-9./~][A-Za-z0-9._~:/@+=#&%-]*")  # no quote, blank or "${{", which YAML or a shell reads


def write(folder: Path, package: str = "") -> list[Path]:
    """Write the template into ``folder``, which is made if absent, and return its files.

    package: what the workflows install where the repository's variable names nothing: an address or a path for pip.
    Raises Misuse for a package that is neither; BenchError, having written nothing, when one of the files exists
    already, and when nothing can be written.
    """
    if package and not ADDRESS.fullmatch(package):
        raise Misuse(f"--package {package!r} is no address that pip installs from, such as git+https://HOST/NAME.git.")
    targets = {folder / target: Path(__file__).with_name(source) for source, target in FILES.items()}
    keep = folder / "results" / ".gitkeep"
    if there := [path for path in (*targets, keep) if path.exists()]:
        raise BenchError(f"{there[0]} is there already and stays; choose an empty folder.")
    files.make_folder(folder)
    for path, source in targets.items():
        files.make_folder(path.parent, below=folder)
        files.write_text(path, source.read_text(encoding="utf-8").replace(PACKAGE, package))
    files.make_folder(keep.parent, below=folder)
    files.write_text(keep, "")
    return [*targets, keep]
