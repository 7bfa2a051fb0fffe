"""The places of files on this machine: one folder for weights, and torch hub's cache.

A file that somebody put there by hand counts like one that was fetched, once its digest is right.
"""

from __future__ import annotations

import os
from pathlib import Path

from refsr_bench.core.cards import PublishedFile
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.formats.checkpoints import sha256
from refsr_bench.registry.known import named

ENVIRONMENT = "REFSR_WEIGHTS"


def folder() -> Path:
    """Return the folder of weights: ``$REFSR_WEIGHTS``, else ``weights`` in the platform's data folder."""
    import platformdirs

    if chosen := os.environ.get(ENVIRONMENT):
        return Path(chosen)
    return Path(platformdirs.user_data_dir("refsr-bench", appauthor=False)) / "weights"


def hub() -> Path:
    """Return the folder in which torch hub keeps what it downloaded."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def located(file: PublishedFile, *folders: Path) -> Path | None:
    """Find a file of the registry in the given folders, or in ``folder()`` and torch hub's cache; None if not there.

    Raises BenchError for one of that name with another digest.
    """
    if file.file.startswith("*"):  # nothing is known of its name
        return None
    for place in folders or (folder(), hub()):
        found = [path for path in sorted(place.glob(file.file)) if path.is_file()] if place.is_dir() else []
        for path in found:
            check(file, path)
            return path
    return None


def check(file: PublishedFile, path: Path) -> None:
    """Raise BenchError when a file has not the digest that its owners state."""
    if file.sha256 and not (found := sha256(path)).startswith(file.sha256):
        raise BenchError(
            f"{path}: its SHA-256 is {found}, and that of the real {file.file} begins with {file.sha256}. It is "
            "damaged or another file: delete or rename it."
        )


def state_of(file: PublishedFile) -> str:
    """Say in a few words whether a file is on this machine, and if not, whether it can be fetched."""
    try:
        if located(file) is not None:
            return "here" if file.sha256 else "here, by its name"
    except BenchError:
        return "another file has its name"
    return "can be fetched" if file.url and file.sha256 else "by hand"


def fetching(file: PublishedFile) -> str:
    """Return the command that fetches a file of weights."""
    return command("weights", "fetch", file.name or file.file)


def weights_file(name: str) -> Path:
    """Return the path of a file of weights by its name, once its digest is right. Nothing is downloaded.

    Raises Misuse for an unknown name, NoWeights with the command that gets the file, BenchError for a damaged one.
    """
    file = named(name)[0]
    if (found := located(file)) is not None:
        return found
    get = how_to_get(file, fetching(file), folder())
    raise NoWeights(f"{file.file} is not on this machine. {get}")


def how_to_get(file: PublishedFile, fetch: str, place: Path) -> str:
    """Tell a person in a sentence or two how to get a file. fetch: the command; place: the folder to put it into."""
    if file.url:
        return f"Get it: `{fetch}`. Without a connection, download {file.url} elsewhere and put it into {place}."
    return f"It has no direct address: get it from {file.home or 'its owners'} and put it into {place}."
