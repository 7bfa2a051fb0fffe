"""Identifies the code behind a run, so that no number is shown for code that has changed since."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path

from refsr_bench.core.cards import MatcherCard, MethodCard
from refsr_bench.core.schema import Code

OWN_PACKAGES = ("refsr_bench", "baselines", "c2matching")


def code_of_card(card: MethodCard | MatcherCard) -> Code:
    """Return the code of a method or matcher of the catalogue.

    This package's own have a version, which is raised when they give different images, so an upgrade measures again
    only what changed. Code from somebody else's package, be it the card's ``load`` or the network of its system, is
    identified by the digest of that package's Python files.
    """
    system = getattr(card, "system", None)
    parts = [card.load] if system is None else [card.load, system.build, system.restore]
    modules = [module for module in map(_module, parts) if module.partition(".")[0] not in OWN_PACKAGES]
    if not modules:
        return Code(f"refsr-bench {card.name}", str(card.version), None)
    packages = list(dict.fromkeys(module.partition(".")[0] for module in modules))
    names = packages_distributions().get(packages[0], ())
    sources = [path for package in packages for path in _sources(package)]
    return Code(modules[0], version(names[0]) if names else "", _digest(sources))


def _module(part: Callable) -> str:
    while isinstance(part, partial):
        part = part.func
    return getattr(part, "__module__", "") or "unknown"


def code_of_command(command: str) -> Code:
    """Return the code of a command line: the digest over the files that its words name."""
    words = shlex.split(command)
    return Code(command, "", _digest(path for path in map(Path, words) if path.is_file()))


def _sources(package: str) -> list[Path]:
    """Return every Python file of an imported package, or the one file of a module without a folder."""
    found = sys.modules.get(package)
    folders = [Path(folder) for folder in getattr(found, "__path__", ())]
    if folders:
        return sorted(path for folder in folders for path in folder.rglob("*.py"))
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
