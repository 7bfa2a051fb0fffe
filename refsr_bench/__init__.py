"""refsr-bench: data, protocols, metrics and results for reference-based super-resolution."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datasets
    import pandas

    from refsr_bench.core.types import Dataset

__version__ = "0.1.0"


def load_dataset(name: str, root: str | Path | None = None) -> Dataset:
    """Open a data set by name: ``load_dataset("wrsr", root="data/WR-SR").pairs``.

    root: the folder that holds the data set; None looks in ``REFSR_DATA`` and the platform's data folder.
    Returns a ``refsr_bench.core.types.Dataset``. Raises ``refsr_bench.core.errors.BenchError`` with a readable reason.
    """
    from refsr_bench.data.opening import open_dataset

    return open_dataset(name, root=None if root is None else Path(root))


def to_hf(dataset: Dataset, streaming: bool = False) -> datasets.Dataset | datasets.IterableDataset:
    """Turn the pairs of an opened data set into a Hugging Face ``Dataset`` (``IterableDataset`` when streaming)."""
    from refsr_bench.data import hf

    return hf.to_hf(dataset, streaming=streaming)


def load_results(folder: str | Path) -> pandas.DataFrame:
    """Read every run below a results folder into one tidy pandas frame with a row for each image and metric.

    ``load_results("results")`` has columns for the run (method, weights, dataset, protocol ...), the image (pair,
    seconds ...) and the number (metric, value, status); ``leaderboard.frame`` describes them. Raises
    ``refsr_bench.core.errors.BenchError`` when there is nothing to read.
    """
    from leaderboard import frame

    return frame.load_results(folder)
