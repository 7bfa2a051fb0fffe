"""Identifies the code behind a run, so that no number is shown for code that has changed since."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path

from refsr_bench.core.cards import MatcherCard, MethodCard, MetricCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Code

OWN_PACKAGES = ("refsr_bench", "baselines", "c2matching")
MOST_DEPENDS = 100_000  # files that --depends may add; more is a data set or a home folder, not code


def code_of_card(card: MethodCard | MatcherCard | MetricCard) -> Code:
    """Return the code of a method, matcher or metric of the catalogue.

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


def code_of_command(command: str, depends: Iterable[Path] = ()) -> Code:
    """Return the code of a command line: the digest over the files that its words name, and over ``depends``.

    A word names a file by its path, alone or after ``=``; the first word may also be a script on the search path.
    depends: files, and folders of which every file counts. Raises Misuse for one that is not there or holds too much.
    """
    words = shlex.split(command)
    named = [Path(text) for word in words for text in (word, word.partition("=")[2]) if text]
    if words and (script := _script(words[0])):
        named.append(script)
    files = [path for path in named if path.is_file()]
    return Code(command, "", _digest([*files, *_below(depends)]))


def digest_of_files(depends: Iterable[Path]) -> str | None:
    """Return the digest over files, and folders of which every file counts; None without any.

    Raises Misuse for one that is not there or holds too much.
    """
    return _digest(_below(depends))


def _script(word: str) -> Path | None:
    """Return the file of a script that is found on the search path; None for a compiled program."""
    found = None if os.sep in word else shutil.which(word)
    if found is None:
        return None
    with open(found, "rb") as file:
        return Path(found) if file.read(2) == b"#!" else None


def _below(depends: Iterable[Path]) -> Iterator[Path]:
    """Yield the given files, and every regular file below the given folders, in an order that does not change."""
    count = 0
    for path in depends:
        if not path.exists():
            raise Misuse(f"depends {path}: no such file or folder.")
        found = [path] if path.is_file() else path.rglob("*")
        files = [file for file in found if file.is_file() and file.suffix != ".pyc"]
        count += len(files)
        if count > MOST_DEPENDS:
            raise Misuse(f"depends {path}: over {MOST_DEPENDS:,} files. Name the folder that holds the code alone.")
        yield from sorted(files)


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
