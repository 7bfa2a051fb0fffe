"""Finds and opens a data set of the catalogue; one module of ``datasets`` per layout says how."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Dataset

ENVIRONMENT = "REFSR_DATA"
ABSENT = "not here"


def data_root(option: Path | None = None) -> Path:
    """Return the folder that holds the data sets: ``option``, else ``$REFSR_DATA``, else the platform's data folder."""
    if option is not None:
        return Path(option)
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    import platformdirs

    return Path(platformdirs.user_data_dir("refsr-bench", appauthor=False))


def dataset_folder(card: DatasetCard, root: Path | None = None) -> Path:
    """Return a data set's folder: ``card.folder`` below the data root if it exists, else the data root itself."""
    root = data_root(root)
    below = root / card.folder
    return below if card.folder and below.is_dir() else root


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Open a data set by name. Every file is hashed, but an image is decoded only when asked for.

    root: a data root that holds the data set in its usual folder, or the folder of the data set itself; None means
    ``data_root()``. Raises Misuse for an unknown name (with the nearest known one) and for an absent data set (with its
    home and the command that prepares it), BenchError naming the files of a damaged or incomplete one.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    return card.open(None if card.embedded else dataset_folder(card, root))


@dataclass(frozen=True)
class State:
    """The state of a data set on this machine, in words. fault: why it cannot be used; "" if nothing is wrong."""

    words: str
    fault: str = ""


def state_of(card: DatasetCard, root: Path | None = None) -> State:
    """Open a data set to see whether it is present, complete, and the published one. root: as in ``open_dataset``."""
    try:
        opened = open_dataset(card.name, root)
    except Misuse:
        return State(ABSENT)
    except BenchError as error:
        return State("cannot be used", str(error))
    published = opened.official or card.embedded or card.n_pairs is None
    return State(f"{len(opened.pairs)} pairs" + ("" if published else ", not the published set"))
