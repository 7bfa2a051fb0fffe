"""Finds the files of weights that metrics need: in the folder of weights, in torch hub's cache, or by download."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.cards import WeightsFile
from refsr_bench.core.errors import BenchError
from refsr_bench.formats import checkpoints
from refsr_bench.learning.weights import folder


def find(file: WeightsFile) -> Path | None:
    """Return a file that is on this machine, None if it is not. Raises BenchError when it is damaged."""
    for path in (folder() / file.file, checkpoints.hub_file(file.file)):
        if path.is_file():
            if not (digest := checkpoints.sha256(path)).startswith(file.sha256):
                raise BenchError(
                    f"{path} is damaged: its SHA-256 begins with {digest[:12]}, not with {file.sha256[:12]}. Delete it."
                )
            return path
    return None


def find_or_fetch(file: WeightsFile) -> Path:
    """Return a file that is on this machine, or download it. Raises BenchError when it is damaged or not to be had."""
    return find(file) or checkpoints.fetch(file.home + file.file)
