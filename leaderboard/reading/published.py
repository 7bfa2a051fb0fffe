"""Numbers from papers and repositories, as published: ``leaderboard/data/published.json``, read and checked.

They are facts about documents, not measurements: they never share a ranking with measured results. A value says where
it stands (source, year, table) and how it got there (``evidence``). What the file leaves out of an entry is not known,
or does not apply.

``sources``, by key: ``title``, ``short`` (a name for tables), ``year`` (absent when undated), ``id`` (arXiv number, DOI
or address), ``table``, ``protocol`` (in words, what is known of how all of its numbers were made).

``results``: one entry per method, data set and source, with the fields of ``Published``; ``source`` is a key.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "published.json"

EVIDENCE = {
    "own": "from the method's own paper or repository",
    "table of another paper": "from another paper's table: rerun, retrained or copied by its authors",
    "quoted": "quoted by another paper from a document that was not seen",
    "rerun": "official weights, run by somebody else",
    "issue thread": "reported in an issue thread",
    "second hand": "taken from notes on the source, which was not seen",
}


@dataclass(frozen=True)
class Source:
    """Where a number stands. short: a name for tables; id: arXiv number, DOI or address; protocol: how it was made."""

    key: str
    title: str
    short: str
    year: int | None
    id: str
    table: str
    protocol: str = ""

    @property
    def name(self) -> str:
        """In one line: "C²-Matching (2021), Table 1"."""
        return f"{self.short}{f' ({self.year})' if self.year else ''}, {self.table}"


@dataclass(frozen=True)
class Published:
    """What one source says of one method on one data set.

    method: the name it has in this project, "" where there is no counterpart; title: its name in tables, "-rec" for
    training without adversarial loss; variant: the training, "gan", "rec" or "" where there is one only; condition:
    what sets the number apart from the method's usual one ("official weights, rerun"), "" normally. gan: None when not
    known. year: of the method's paper. dataset: as ``refsr_bench`` calls it, "" for entries of parameters alone.
    psnr: dB; ssim; lpips; fid; params_m: 10^6 parameters; delta_psnr: dB gained over the step before it, in ablations.
    degradation: "bicubic" or "real-world"; channel: what PSNR and SSIM were taken on, "y", "y-full" or "rgb".
    evidence: a key of EVIDENCE; verified: read in the source itself.
    """

    method: str
    title: str
    group: str
    gan: bool | None
    dataset: str
    scale: int
    source: Source
    evidence: str
    verified: bool
    variant: str = ""
    condition: str = ""
    year: int | None = None
    psnr: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    fid: float | None = None
    params_m: float | None = None
    delta_psnr: float | None = None
    degradation: str = "bicubic"
    channel: str = "y"
    note: str = ""

    @property
    def comparable(self) -> bool:
        """Of the usual task: x4, bicubic LR, PSNR and SSIM on luma of studio range."""
        return (self.scale, self.degradation, self.channel) == (4, "bicubic", "y") and self.psnr is not None

    @property
    def protocol(self) -> str:
        """What is known of how the number was made, in words."""
        return self.source.protocol


@functools.cache
def published() -> tuple[Published, ...]:
    """Every published number, in the order of the file: by source, then by method as its table has them.

    Raises ValueError when the file holds a value that is not finite, or the same entry twice.
    """
    values = json.loads(DATA.read_text(encoding="utf-8"))
    sources = {key: Source(key, **{"year": None, **fields}) for key, fields in values["sources"].items()}
    found = tuple(
        Published(**{"method": "", "gan": None, "dataset": "", **entry, "source": sources[entry["source"]]})
        for entry in values["results"]
    )
    seen = set()
    for entry in found:
        place = (entry.title, entry.variant, entry.condition, entry.dataset, entry.source.key)
        if place in seen:
            raise ValueError(f"{DATA.name}: two entries for {place}")
        seen.add(place)
        numbers = (entry.psnr, entry.ssim, entry.lpips, entry.fid, entry.params_m, entry.delta_psnr)
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ValueError(f"{DATA.name}: a value of {place} is not a finite number")
        if all(number is None for number in numbers):
            raise ValueError(f"{DATA.name}: {place} has no value")
        if entry.evidence not in EVIDENCE:
            raise ValueError(f"{DATA.name}: {place} has the evidence {entry.evidence!r}")
    return found
