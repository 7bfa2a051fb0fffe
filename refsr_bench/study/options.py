"""The options of making a study. It imports nothing heavy, because the command line loads it to print help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """The sources of the images: runs with saved images in one results folder, any folders of images, or both.

    methods: the runs' folders, "A,B,...", in ``results/<protocol>/<dataset>/``. images: "NAME=DIR" each, with optional
    hr and refs. data_root: where the data set of the runs is looked for.
    """

    methods: str | None = None
    results: Path = Path("results")
    protocol: str = "c2"
    dataset: str | None = None
    images: tuple[str, ...] = ()
    hr: Path | None = None
    refs: Path | None = None
    data_root: Path | None = None


@dataclass(frozen=True)
class Wish:
    """The kind of study, see ``plan.Plan``.

    per_person: 0 for all comparisons, but at most 60. limit: at most this many images, chosen at random; 0 for all.
    """

    title: str = "User study"
    question: str = "Which of the two images looks better?"
    focus: str = ""
    reference: str = "none"
    ties: bool = False
    crop: int = 0
    per_person: int = 0
    attention: float = 0.1
    repeats: float = 0.05
    pass_share: float = 0.75
    limit: int = 0
    seed: int = 0

    @property
    def needs_pictures(self) -> bool:
        """True if HR images or references are wanted beside the methods' images."""
        return self.reference != "none" or self.attention > 0
