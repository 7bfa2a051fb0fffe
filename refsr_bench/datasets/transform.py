"""The transformation-controlled split on disk; ``data.split`` makes, writes and reads it."""

from __future__ import annotations

from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.commands import command
from refsr_bench.core.types import Dataset
from refsr_bench.data.split.reading import open_split


def _open(root: Path | None) -> Dataset:
    return open_split(CARD, root)


MAKE = command("data", "build", "transform", "--from", "DATASET", "--transform", "KIND", "--out", "DIR")
CARD = DatasetCard(
    name="transform",
    title="Transformation-controlled split",
    description="References made from the inputs: turned, scaled, tilted, degraded; every pixel's place is known.",
    open=_open,
    home=f"your own disk, after {MAKE}",
    terms="those of the data set it was made from",
    withheld="the terms are those of the data set it was made from",
    layout="manifest.json with input/ID.png and ref/LEVEL/ID.png",
)
DATASETS = (CARD,)
