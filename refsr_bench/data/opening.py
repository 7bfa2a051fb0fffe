"""Data sets: one module per layout on disk, each exporting ``DATASETS``; here only how one is found and opened."""

from __future__ import annotations

import os
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.types import Dataset

ENVIRONMENT = "REFSR_DATA"


def data_root(option: Path | None = None) -> Path:
    """The folder that holds the data sets: ``option``, else ``$REFSR_DATA``, else the platform's data folder."""
    if option is not None:
        return Path(option)
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    import platformdirs

    return Path(platformdirs.user_data_dir("refsr-bench", appauthor=False))


def dataset_folder(card: DatasetCard, root: Path | None = None) -> Path:
    """Where a data set is looked for: below the data root ``root`` in ``card.folder``, else ``root`` itself."""
    root = data_root(root)
    below = root / card.folder
    return below if card.folder and below.is_dir() else root


def open_dataset(name: str, root: Path | None = None) -> Dataset:
    """Open a data set by name; nothing is decoded until a pair's image is asked for, but every file is hashed.

    root: a data root that holds the data set in its usual folder, or the folder of the data set itself; None means
    ``data_root()``. Raises Misuse for an unknown name (with the nearest known one) and for an absent data set (with
    its home and the command that prepares it), BenchError naming the files of a damaged or incomplete one.
    """
    card: DatasetCard = catalogue.get("DATASETS", name)
    return card.open(None if card.embedded else dataset_folder(card, root))
