"""Reads and checks numbers as papers and repositories published them: ``leaderboard/data/published.json``.

They are facts about documents, not measurements, so they never share a ranking with measured results. A value says
where it was published (source, year, table) and how it was recorded (``evidence``). Whatever an entry leaves out is
unknown or does not apply.

``sources``, by key: ``title``, ``short`` (a name for tables), ``year`` (absent when undated), ``id`` (arXiv number, DOI
or address), ``table``, ``protocol`` (in words, what is known about how all of its numbers were made).

``results``: one entry per method, data set and source, with the fields of ``Published``; ``source`` is a key.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Count, Format, Name, Real, Text

DATA = Path(__file__).parents[1] / "data" / "published.json"

Evidence = Literal["own", "table of another paper", "quoted", "rerun", "issue thread", "second hand"]
EVIDENCE: dict[Evidence, str] = {
    "own": "from the method's own paper or repository",
    "table of another paper": "from another paper's table: rerun, retrained or copied by its authors",
    "quoted": "quoted by another paper from a document that was not seen",
    "rerun": "official weights, run by somebody else",
    "issue thread": "reported in an issue thread",
    "second hand": "taken from notes on the source, which was not seen",
}
Year = Annotated[int, Meta(ge=1900, le=2200)]


class Source(Format):
    """The origin of a number.

    short: a name for tables. id: arXiv number, DOI or address. protocol: how the number was made.
    """

    key: Name
    title: Name
    short: Name
    year: Year | None
    id: Name
    table: Name
    protocol: Text = ""

    @property
    def name(self) -> str:
        """The source in one line: "C²-Matching (2021), Table 1"."""
        return f"{self.short}{f' ({self.year})' if self.year else ''}, {self.table}"


class Published(Format):
    """A number of one method on one data set, as one source states it.

    method: its name in this project; "" if it has no counterpart. title: its name in tables, with "-rec" for training
    without adversarial loss. variant: the training; "" if there is only one. family: the title of the other training,
    "" for a title that does not name its training. condition: what distinguishes the number from the method's usual
    one ("official weights, rerun"); normally "". gan: None when unknown. year: of the paper. dataset: its name in
    ``refsr_bench``; "" for entries of parameters alone. psnr: dB; ssim; lpips; fid; params_m: 10^6 parameters.
    delta_psnr: dB gained over the step before it, in ablations. step: our name for that step. about: whether the source
    rounds it. channel: the one that PSNR and SSIM were taken on. verified: whether it was read in the source itself.
    """

    title: Name
    group: Name
    scale: Count
    source: Source
    evidence: Evidence
    verified: bool
    method: Text = ""
    gan: bool | None = None
    dataset: Text = ""
    variant: Literal["gan", "rec", ""] = ""
    family: Text = ""
    condition: Text = ""
    year: Year | None = None
    psnr: Real | None = None
    ssim: Real | None = None
    lpips: Real | None = None
    fid: Real | None = None
    params_m: Count | Real | None = None  # a whole number is printed as one
    delta_psnr: Real | None = None
    step: Text = ""
    about: bool = False
    degradation: Literal["bicubic", "real-world"] = "bicubic"
    channel: Literal["y", "y-full", "rgb"] = "y"
    note: Text = ""

    @property
    def comparable(self) -> bool:
        """True if the number belongs to the usual task: x4, bicubic LR, PSNR and SSIM on luma of studio range."""
        return (self.scale, self.degradation, self.channel) == (4, "bicubic", "y") and self.psnr is not None

    @property
    def protocol(self) -> str:
        """The making of the number, as far as it is known, in words."""
        return self.source.protocol


@functools.cache
def published() -> tuple[Published, ...]:
    """Return every published number in the order of the file: by source, then by method as its table has them.

    Raises BenchError when the file states something twice, states nothing, or does not fit the format.
    """
    values = reader.read_json(DATA, dict[str, dict | list])
    sources = {key: {"key": key, "year": None, **fields} for key, fields in values["sources"].items()}
    entries = [{**entry, "source": sources.get(entry["source"])} for entry in values["results"]]
    found = reader.convert(entries, tuple[Published, ...], DATA.name)
    seen = set()
    for entry in found:
        place = (entry.title, entry.variant, entry.condition, entry.dataset, entry.source.key)
        if place in seen:
            raise BenchError(f"{DATA.name}: two entries for {place}.")
        seen.add(place)
        numbers = (entry.psnr, entry.ssim, entry.lpips, entry.fid, entry.params_m, entry.delta_psnr)
        if all(number is None for number in numbers):
            raise BenchError(f"{DATA.name}: {place} has no value.")
    return found
