"""Identifies the code behind a run, so that no number is shown for code that has changed since."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path

from refsr_bench.core.schema import Code

OWN_PACKAGES = ("refsr_bench", "baselines", "c2matching")
MOST_FILES = 2_000  # limit of a package's files that are digested; the largest research code bases have a few hundred


def code_of_method(load: Callable, card_version: int) -> Code:
    """Return the code of a card of the catalogue, found through its ``load``.

    This package's own methods have a version, which is raised when they give different images, so an upgrade measures
    again only what changed. Somebody else's package is identified by the digest of its Python files.
    """
    while isinstance(load, partial):
        load = load.func
    module = getattr(load, "__module__", "") or "unknown"
    package = module.partition(".")[0]
    if package in OWN_PACKAGES:
        return Code(module, str(card_version), None)
    names = packages_distributions().get(package, ())
    return Code(module, version(names[0]) if names else "", _digest(_sources(package)))


def code_of_command(command: str) -> Code:
    """Return the code of a command line: the digest over the files that its words name."""
    words = shlex.split(command)
    return Code(command, "", _digest(path for path in map(Path, words) if path.is_file()))


def _sources(package: str) -> list[Path]:
    """Return every Python file of an imported package, or the one file of a module without a folder."""
    found = sys.modules.get(package)
    folders = [Path(folder) for folder in getattr(found, "__path__", ())]
    if folders:
        return sorted(path for folder in folders for path in folder.rglob("*.py"))[:MOST_FILES]
    file = getattr(found, "__file__", None)
    return [Path(file)] if file else []


def _digest(paths: Iterable[Path]) -> str | None:
    """Return SHA-256 over the names and contents of files; None if there is no file."""
    total, count = hashlib.sha256(), 0
    for count, path in enumerate(paths, 1):  # noqa: B007
        with path.open("rb") as file:
            contents = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name}\n{contents}\n".encode())
    return total.hexdigest() if count else None
