"""Reads a results folder: run files, ablations and reports of user studies, in one walk, each file once.

The files hold untrusted text. A file that does not fit, or contradicts itself, is left out with its reason, and pages
escape the rest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.reading import ablation
from leaderboard.reading.ablation import Ablation, read_ablation
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError
from refsr_bench.core.results import read_result
from refsr_bench.core.schema import DatasetInfo, Kind, MethodInfo, Result
from refsr_bench.study import report_format
from refsr_bench.study.report_format import StudyReport, read_report

RUN_FILE = "result.json"
MOST_WORDS = 300  # characters of a reason that are shown; it may quote the file


@dataclass(frozen=True)
class LoadedRun:
    """A run file. path: relative to the results folder, with forward slashes on every platform."""

    path: str
    result: Result


@dataclass(frozen=True)
class LoadedAblation:
    """An ``ablation.json``. path: as in LoadedRun."""

    path: str
    study: Ablation


@dataclass(frozen=True)
class Problem:
    """A file that was left out. path: as in LoadedRun. reason: what is wrong with it, and where in it."""

    path: str
    reason: str


@dataclass(frozen=True)
class Results:
    """The contents of a results folder, each part in the order of paths. problems: the files that were left out."""

    folder: Path
    runs: tuple[LoadedRun, ...]
    ablations: tuple[LoadedAblation, ...] = ()
    studies: tuple[StudyReport, ...] = ()
    problems: tuple[Problem, ...] = ()

    def of_kind(self, kind: Kind) -> tuple[LoadedRun, ...]:
        """Return the runs of one kind; those of ablations and of robustness are never ranked."""
        return tuple(run for run in self.runs if run.result.run.kind == kind)

    def benchmarks(self) -> tuple[LoadedRun, ...]:
        """Return the runs that tables are made from. Raises BenchError, saying why, when there is none."""
        if found := self.of_kind("benchmark"):
            return found
        if self.problems:
            first = self.problems[0]
            raise BenchError(f"{self.folder}: no readable {RUN_FILE}; the first: {first.path}: {first.reason}")
        if self.runs:
            raise BenchError(f"{self.folder}: only robustness runs and ablations are here, and they are not ranked.")
        run = command("run", "--method", "bicubic", "--dataset", "sample", "--out", self.folder)
        raise BenchError(f"{self.folder}: no {RUN_FILE} below this folder. To write one: {run}")


def method_key(method: MethodInfo) -> tuple[str, str]:
    """Identify a row: the method's name, and the digest of its weights, or their name if there is no digest."""
    return (method.name, method.weights.key)


def dataset_key(dataset: DatasetInfo) -> tuple[str, str, bool, int]:
    """Identify a column: results share one only on the same files, and never across ``official``."""
    return (dataset.name, dataset.manifest_sha256, dataset.official, dataset.n_pairs)


def run_key(result: Result) -> tuple[Any, ...]:
    """Identify a run: the method with its weights, the data set, the protocol."""
    run = result.run
    return (run.protocol.digest, dataset_key(run.dataset), *method_key(run.method))


def find_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return every file of these names below ``folder``, in the order of relative paths; follow no links to folders.

    Raises BenchError when ``folder`` is not a folder, and when one below it cannot be listed.
    """
    if not folder.is_dir():
        run = command("run", "--method", "bicubic", "--dataset", "sample", "--out", folder)
        raise BenchError(f"{folder}: no such folder of results. To write one: {run}")

    def unreadable(error: OSError) -> None:
        raise BenchError(f"{error.filename}: {error.strerror}; results in it would be left out.")

    wanted = set(names)
    walk = os.walk(folder, onerror=unreadable)
    found = [Path(parent) / name for parent, _, present in walk for name in wanted.intersection(present)]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def read_folder(folder: Path) -> Results:
    """Read everything below ``folder`` that pages are made from.

    A report of a study that another file already reports is a Problem. Raises BenchError like ``find_files``, and when
    two run files hold the same method (with the same weights), data set and protocol, because a person must decide
    which of them counts.
    """
    runs: list[LoadedRun] = []
    ablations: list[LoadedAblation] = []
    studies: list[StudyReport] = []
    problems: list[Problem] = []
    take: dict[str, Callable[[str, Path], None]] = {
        RUN_FILE: lambda name, path: runs.append(LoadedRun(name, read_result(path))),
        ablation.FILE: lambda name, path: ablations.append(LoadedAblation(name, read_ablation(path))),
        report_format.NAME: lambda name, path: studies.append(_new(read_report(path), studies, name)),
    }
    for path in find_files(folder, take):
        name = path.relative_to(folder).as_posix().encode(errors="replace").decode()  # a folder's name may be any bytes
        try:
            take[path.name](name, path)
        except BenchError as error:
            # Pages must not depend on where the results folder lies, nor publish it.
            reason = str(error).replace(str(path), name).removeprefix(f"{name}: ")
            problems.append(Problem(name, reason if len(reason) <= MOST_WORDS else f"{reason[: MOST_WORDS - 3]}..."))
    _refuse_twins(folder, runs)
    return Results(folder, tuple(runs), tuple(ablations), tuple(studies), tuple(problems))


def _new(report: StudyReport, before: Iterable[StudyReport], name: str) -> StudyReport:
    if any(other.key == report.key for other in before):
        raise BenchError(f"{name}: a report of a study that another file reports already.")
    return report


def _refuse_twins(folder: Path, runs: Iterable[LoadedRun]) -> None:
    """Raise BenchError for two benchmark runs of one method, data set and protocol."""
    seen: dict[tuple[Any, ...], str] = {}
    for loaded in runs:
        run = loaded.result.run
        if run.kind != "benchmark":
            continue
        first = seen.setdefault(run_key(loaded.result), loaded.path)
        if first != loaded.path:
            raise BenchError(
                f"{folder / first} and {folder / loaded.path} both hold {run.method.name} (weights "
                f"{run.method.weights.name}) on {run.dataset.name} under protocol {run.protocol.label}; move one of "
                f"them out of {folder}."
            )
