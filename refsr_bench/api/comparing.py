"""Compares methods image by image: ``refsr_bench.compare`` and ``refsr-bench compare``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaderboard.reading.load import Problem
from leaderboard.statistics import comparison, records
from refsr_bench.api.result import Result, folder_of

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, repr=False)
class Comparison:
    """The differences between methods, on every data set and under every protocol that all of them have.

    found: one comparison each. problems: run files that were left out, and why.
    """

    found: tuple[comparison.Comparison, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def frame(self) -> pandas.DataFrame:
        """The pairs of methods, a row for each: difference, interval, p values, wins, ties and losses, unrounded."""
        import pandas

        return pandas.DataFrame(self.records, columns=list(records.CSV_COLUMNS))

    @property
    def records(self) -> list[dict[str, Any]]:
        """The same as dictionaries."""
        return [line for one in self.found for line in records.records(one.contest, one.pairs)]

    @property
    def sentences(self) -> list[str]:
        """The conclusions, a sentence for each pair of methods."""
        return [pair["sentence"] for one in self.document()["comparisons"] for pair in one["pairs"]]

    def to_csv(self) -> str:
        """Return the pairs as CSV."""
        return records.to_csv(self.records)

    def document(self) -> dict[str, Any]:
        """Return everything for a program, every number unrounded, with the difference of each image."""
        return {"comparisons": [comparison.document(one) for one in self.found]}

    def __repr__(self) -> str:
        return "\n".join(comparison.text_of(one).lstrip("\n") for one in self.found)


def compare(
    *methods: Result | str | Path,
    results: str | Path = "results",
    dataset: str | None = None,
    protocol: str | None = None,
    metric: str | None = None,
) -> Comparison:
    """Say which differences between methods are more than chance.

        refsr_bench.compare(first, second).frame
        refsr_bench.compare("bicubic", "c2matching", results="results", dataset="sample")

    methods: two or more. Each is a ``Result``, a name in the folder ``results``, or a run file. dataset, protocol: only
    there; a protocol by its label or the start of its digest. metric: None for the PSNR of the protocol. p values are
    corrected over all methods that the folder has on the data set; of results and run files, over these alone.

    Raises Misuse for methods that do not exist, are one run, or were not measured on the same images under the same
    protocol; BenchError for an invalid run file.
    """
    named = tuple(folder_of(method) for method in methods)
    found, problems = comparison.compare(comparison.Asked(named, Path(results), dataset, protocol, metric))
    return Comparison(found, problems)
