"""Manages a run's folder: opened for one writer, appended to image by image, sealed at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from refsr_bench.core import files, reader, results
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import ImageRecord, Result, Run

SHOWN_CHANGES = 4


class RunFolder:
    """The files of one run while it is being measured, see ``core.results``. ``opened`` makes it."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path, self._journal = path, results.journal(path / "images.jsonl")
        self.run = _same_run(path / "run.json", run)
        self.records = results.latest(self._journal.read())

    def done(self, pair_id: str) -> bool:
        """Tell whether the pair has been measured; pairs that failed are not done."""
        return pair_id in self.records and self.records[pair_id].error is None

    def append(self, record: ImageRecord) -> None:
        """Put a record on the disk before the next pair begins. Raises BenchError when the disk refuses."""
        self._journal.append(record)
        self.records[record.id] = record

    def seal(self, finished: str | None) -> Result:
        """Write ``result.json`` from the records. finished: None keeps the date of the file that is there."""
        path = self.path / "result.json"
        if finished is None:
            finished = results.read_result(path).finished
        result = results.seal(self.run, self.records, finished)
        results.write_result(path, result)
        return result


@contextmanager
def opened(path: Path, run: Run, fresh: bool = False) -> Iterator[RunFolder]:
    """Hold the folder for the block's run alone. fresh: set an existing run aside first.

    Raises Misuse when the folder holds a run with other settings or cannot be made, BenchError when another process
    writes to it or the disk refuses; existing records are kept.
    """
    try:
        if fresh and path.exists():
            with files.locked(path, "Another run"):
                _set_aside(path)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misuse(f"The folder {path} cannot be made: {error.strerror}. Choose another with --out.") from None
    with files.locked(path, "Another run"):
        try:
            yield RunFolder(path, run)
        except OSError as error:
            raise BenchError(
                f"Results cannot be written to {path}: {error.strerror or error}. Earlier records are kept; "
                "make room or choose another folder with --out, then run the same command again."
            ) from None


def _same_run(path: Path, run: Run) -> Run:
    """Write ``run.json``, or check that the existing one is the same run; return what the file then says."""
    if not path.exists():
        files.write_text(path, reader.dumps(run))
        return run
    old = results.read_run(path)
    if old.fingerprint() != run.fingerprint():
        changes = list(_differences(old.fingerprint(), run.fingerprint()))
        more = len(changes) - SHOWN_CHANGES
        shown = "; ".join(changes[:SHOWN_CHANGES]) + (f"; and {more} more" if more > 0 else "")
        raise Misuse(
            f"{path.parent} holds another run: {shown}. Give --name or --out to keep both, or --fresh to start over "
            "(the old run is set aside)."
        )
    if old.pair_ids != run.pair_ids:  # the same data with more or fewer pairs: existing records serve both
        old = structs.replace(old, pair_ids=run.pair_ids)
        files.write_text(path, reader.dumps(old))
    return old


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        a, b, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{name}.")
        elif a != b:
            short = [text if len(text := json.dumps(v)) <= 60 else f"{text[:57]}..." for v in (a, b)]
            yield f"{name} (was {short[0]}, now {short[1]})"


def _set_aside(folder: Path) -> None:
    """Move aside what a --fresh run replaces, so that the leaderboard does not see it."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    files.move(folder, target)
    if (target / "result.json").exists():
        files.move(target / "result.json", target / "result.replaced.json")
