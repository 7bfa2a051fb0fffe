"""Copies a run from a temporary folder into a results folder."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core import files
from refsr_bench.core.errors import Misuse


def keep(folder: Path, out: Path) -> Path:
    """Copy a run folder, and the inputs beside it, to the same place below a results folder; return its place there.

    ``result.json`` comes last, so that an interrupted copy is no result. Raises Misuse when a run lies there already.
    """
    protocol, dataset, method = folder.parts[-3:]
    target = out / protocol / dataset / method
    if (target / "result.json").exists() or (target / "run.json").exists():
        raise Misuse(f"{target} holds a run already. Choose another folder, or evaluate under another name.")
    files.make_folder(target)
    inputs = folder.parent / "inputs"
    _copy(inputs, target.parent / "inputs", out)
    _copy(folder, target, out)
    return target


def _copy(source: Path, target: Path, out: Path) -> None:
    found = sorted(path for path in source.rglob("*") if path.is_file() and not path.is_symlink())
    for path in sorted(found, key=lambda path: path.name in ("result.json", "inputs.json")):
        place = target / path.relative_to(source)
        if not place.exists() and path.name != ".lock":
            files.make_folder(place.parent, below=out)
            files.write_bytes(place, files.read_bytes(path))
