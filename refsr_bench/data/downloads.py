"""Fetches the archives of a data set whose owners publish them, when a person asks for it, and prepares it.

An archive that was placed by hand counts like one that was fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.data.archives import SUFFIXES
from refsr_bench.data.prepare import Progress, prepare
from refsr_bench.registry.fetching import fetch

MOST_BYTES = 8 << 30  # of one archive; the largest, Urban100 with all results, has 1.14 GB


def downloads(card: DatasetCard, root: Path) -> Path:
    """Return the folder below the data root in which the archives of a data set lie."""
    return root / "downloads" / card.name


def obtain(
    name: str, root: Path, fetched: Callable[[str], Progress], prepared: Callable[[], Progress] | None = None
) -> Path:
    """Fetch what is missing of a data set's archives, prepare it, and return its folder.

    fetched: makes the progress of a file, by its name; prepared: that of preparing. Raises Misuse when the package
    itself makes the set, BenchError when an archive has no address, cannot be had, or does not hold the set. The
    message says where a person gets it and where to put it.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    if card.embedded or not card.folder:
        where = "is made by the package itself" if card.embedded else "is read where it lies"
        raise Misuse(f"Data set '{name}' {where}; there is nothing to fetch.")
    place, again = downloads(card, root), command("data", "fetch", name, "--data-root", root.absolute())
    for file in card.archives:
        if len(_archives(place)) < len(card.archives):
            fetch(file, place, MOST_BYTES, again, fetched(file.file))
    if not _archives(place):
        raise BenchError(
            f"{card.title} has no direct address. Get it: {card.home}. Put the archives as they are into {place} and "
            f"give `{again}` again. Terms: {card.terms}."
        )
    return prepare(name, place, root, *([prepared()] if prepared else []))


def _archives(place: Path) -> list[Path]:
    """Return the archives in a folder, whatever they are called."""
    return sorted(path for path in place.glob("[!.]*") if path.is_file() and path.name.lower().endswith(SUFFIXES))
