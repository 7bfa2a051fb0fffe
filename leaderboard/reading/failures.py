"""Groups the reasons why images failed, and finds the runs that measured nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from leaderboard.reading.load import LoadedRun
from refsr_bench.core.schema import ImageRecord, Result

MOST_CHARACTERS = 200  # of a reason; a method's traceback may fill pages
SHOWN = 3  # different reasons that a list shows


def reasons(records: Iterable[ImageRecord]) -> list[tuple[str, int]]:
    """Return each reason of a failure with the number of images, most frequent first.

    A reason that quotes the name of its own pair is the same for all pairs.
    """
    texts = (record.error.replace(f"'{record.id}'", "'...'") for record in records if record.error is not None)
    short = (text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..." for text in texts)
    return Counter(short).most_common()


def in_words(records: Iterable[ImageRecord]) -> str:
    """Return the first reasons in one line: "CUDA out of memory (12 images), disk full (1 image)"."""
    found = reasons(records)
    told = ", ".join(f"{text} ({images(number)})" for text, number in found[:SHOWN])
    return f"{told} and {len(found) - SHOWN} other reasons" if len(found) > SHOWN else told


def images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def shortfall(result: Result) -> str:
    """Say what a run lacks: "2 of 3 images; 1 failed: CUDA out of memory (1 image)"; "" if it lacks nothing."""
    total = result.run.dataset.n_pairs
    left_out = total - len(result.measured) - len(result.failed)
    if left_out <= 0 and not result.failed:
        return ""
    parts = [f"{len(result.measured)} of {images(total)}"]
    parts += [f"{len(result.failed)} failed: {in_words(result.failed)}"] if result.failed else []
    parts += [f"{left_out} left out"] if left_out > 0 else []
    return "; ".join(parts)


@dataclass(frozen=True)
class FailedRun:
    """A run without a single measured image. It is no row of a table and takes part in no statistics."""

    path: str
    method: str
    weights: str
    dataset: str
    protocol: str
    why: str


def measured_something(result: Result) -> bool:
    return bool(result.measured)


def failed_runs(runs: Iterable[LoadedRun]) -> tuple[FailedRun, ...]:
    """Return the runs, of any kind, that measured nothing, in the order of paths."""
    return tuple(
        FailedRun(loaded.path, run.method.title, run.method.weights.name, run.dataset.title, run.protocol.label,
                  shortfall(loaded.result))
        for loaded in runs if not measured_something(loaded.result) for run in [loaded.result.run]
    )  # fmt: skip
