"""Manages a run's folder: opened for one writer, appended to image by image, sealed at the end."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from msgspec import structs

from refsr_bench.core import files, reader, results
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import ImageRecord, Machine, Result, Run, SetValue

log = logging.getLogger(__name__)

Reuse = Literal["missing", "never", "only"]
"""The records that a run takes from an earlier one: measure what is missing, measure everything, measure nothing."""

SHOWN_CHANGES = 4
UNDERNEATH = ("version", "code", "libraries", "arithmetic")
"""The parts of an identity that change without a word of the person who asks, as when a script is edited."""


class RunFolder:
    """The files of one run while it is being measured, see ``core.results``. ``opened`` makes it."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path, self.run, self._journal = path, run, results.journal(path / "images.jsonl")
        self.records = results.latest(self._journal.read())

    def done(self, pair_id: str) -> bool:
        """Tell whether the pair has been measured; pairs that failed are not done."""
        return pair_id in self.records and self.records[pair_id].error is None

    def append(self, record: ImageRecord) -> None:
        """Put a record on the disk before the next pair begins. Raises BenchError when the disk refuses."""
        self._journal.append(record)
        self.records[record.id] = record

    def goes_on_here(self, machine: Machine) -> None:
        """Note that pairs are measured on ``machine``, if it is not the one on which the run began."""
        if machine not in (self.run.machine, *self.run.more_machines):
            self.run = structs.replace(self.run, more_machines=(*self.run.more_machines, machine))
            files.write_text(self.path / "run.json", reader.dumps(self.run))

    def before(self) -> Result | None:
        """Return the result that the folder holds; None if there is none, or it cannot be read any more."""
        path = self.path / "result.json"
        try:
            return results.read_result(path) if path.exists() else None
        except BenchError:
            return None

    def seal(self, finished: str | None, sets: Mapping[str, SetValue] = results.NO_SETS) -> Result:
        """Write ``result.json`` from the records. finished: None keeps the date of the file that is there.

        sets: the values of metrics of all images together.
        """
        path = self.path / "result.json"
        if finished is None:
            finished = results.read_result(path).finished
        result = results.seal(self.run, self.records, finished, sets)
        results.write_result(path, result)
        return result


@contextmanager
def opened(path: Path, run: Run, reuse: Reuse = "missing", below: Path | None = None) -> Iterator[RunFolder]:
    """Hold the folder for the block's run alone. below: the results folder, if it must be there already.

    An earlier run of other code is set aside, and so is any earlier run with reuse "never". Raises Misuse when the
    folder holds a run of other weights, data or options, or cannot be made; BenchError when another process writes to
    it, the disk refuses, or "only" finds no run to reuse. Existing records are kept.
    """
    if reuse == "only" and not (path / "run.json").exists():
        raise BenchError(f"{path} holds no run. Leave out --reuse only to measure it.")
    if below:
        files.make_folder(path, below)
    else:
        results_folder(path)
    with ExitStack() as locks:
        locks.enter_context(files.locked(path, "Another run"))
        try:
            if reason := _outdated(path, run, reuse):
                kept = _set_aside(path)
                log.warning("%s The earlier run is kept in %s; every pair is measured again.", reason, kept)
                path.mkdir()
                locks.enter_context(files.locked(path, "Another run"))
            yield RunFolder(path, _written(path / "run.json", run))
        except OSError as error:
            raise BenchError(
                f"Results cannot be written to {path}: {error.strerror or error}. Earlier records are kept; "
                "make room or choose another folder with --out, then run the same command again."
            ) from None


def results_folder(path: Path) -> Path:
    """Make a folder for results; return it. Raises Misuse when it cannot be made."""
    try:
        return files.make_folder(path)
    except BenchError as error:
        raise Misuse(f"{error} Choose another with --out.") from None


def _outdated(folder: Path, run: Run, reuse: Reuse) -> str:
    """Return why the run in the folder makes room for ``run``; "" for a run that goes on, or none at all.

    Raises Misuse or BenchError for an earlier run that must stay where it is.
    """
    what = f"{run.method.name} on {run.dataset.name}:"
    if not (folder / "run.json").exists():
        return f"{what} records without a run.json." if (folder / "images.jsonl").exists() else ""
    if reuse == "never":
        return f"{what} --reuse never."
    old, new = results.read_run(folder / "run.json").identity(), run.identity()
    changes = list(_differences(old, new))
    if not changes:
        return ""
    more = len(changes) - SHOWN_CHANGES
    told = "; ".join(changes[:SHOWN_CHANGES]) + (f"; and {more} more" if more > 0 else "")
    if reuse == "only":
        raise BenchError(f"{folder} holds another run: {told}. Leave out --reuse only to measure this one.")
    if any(old[key] != new[key] for key in new if key not in UNDERNEATH):
        raise Misuse(
            f"{folder} holds another run: {told}. Give --name or --out to keep both, or --reuse never to measure "
            "everything again (the old run is set aside)."
        )
    return f"{what} {told}."


def _written(path: Path, run: Run) -> Run:
    """Write ``run.json``. One that is there already keeps its circumstances; return what the file then says."""
    if path.exists():
        old = results.read_run(path)
        run = structs.replace(
            run, machine=old.machine, more_machines=old.more_machines, command=old.command, started=old.started
        )
        if run == old:
            return old
    files.write_text(path, reader.dumps(run))
    return run


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(old.keys() | new.keys()):
        a, b, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b, f"{name}.")
        elif a != b:
            yield f"{name} (was {_short(a)}, now {_short(b)})"


def _short(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return value[:8]
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _set_aside(folder: Path) -> Path:
    """Move a run aside, so that the leaderboard does not see it; return its new folder."""
    number = 1
    while (target := folder.with_name(f"{folder.name}.replaced-{number}")).exists():
        number += 1
    if (folder / "result.json").exists():  # before the move: a kill in between must not leave two tables' rows
        files.move(folder / "result.json", folder / "result.replaced.json")
    files.move(folder, target)
    return target
