"""Find and read run files. Whatever they hold is somebody else's text: checked here, escaped in the pages.

``refsr_bench.core.results.parse_result`` refuses unknown and missing fields; this module adds what a ranking relies on:
sizes, field types, records that belong to the run, means that are those of the records, and a protocol digest over
its fields.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.results import read_result
from refsr_bench.core.schema import DatasetInfo, MethodInfo, Result

MOST_DIGITS = 9
MOST_BYTES = 20 * 2**20  # of one run file: tens of thousands of images
LARGEST = 1e15  # of any number: beyond it arithmetic on the pages would fail, and nothing measured is so large
MOST_WORDS = 300  # characters of a reason that are shown; it may quote the file


@dataclass(frozen=True)
class LoadedRun:
    """A run file. path: relative to the results folder, with forward slashes on every platform."""

    path: str
    result: Result


@dataclass(frozen=True)
class Problem:
    """A run file that was left out. path: as in LoadedRun; reason: what is wrong with it, and where in it."""

    path: str
    reason: str


def weights_key(method: MethodInfo) -> str:
    """What tells two sets of weights apart: the digest; the name where there is none."""
    return method.weights.sha256 or f"name:{method.weights.name}"


def dataset_key(dataset: DatasetInfo) -> tuple[str, str, bool, int]:
    """What tells two columns apart: results share one only on the same files, and never across ``official``."""
    return (dataset.name, dataset.manifest_sha256, dataset.official, dataset.n_pairs)


def run_key(result: Result) -> tuple[Any, ...]:
    """What there may be only one run file of: method with its weights, data set, protocol."""
    run = result.run
    return (run.protocol.digest, dataset_key(run.dataset), run.method.name, weights_key(run.method))


def find_results(folder: Path) -> list[Path]:
    """Every ``result.json`` below ``folder``, in the order of their relative paths; links to folders not followed.

    Raises BenchError when ``folder`` is not a folder, and when one below it cannot be listed.
    """
    if not folder.is_dir():
        raise BenchError(f"{folder}: no such folder of results; `refsr-bench run` writes one")

    def unreadable(error: OSError) -> None:
        raise BenchError(f"{error.filename}: {error.strerror}; results in it would be left out")

    walk = os.walk(folder, onerror=unreadable)
    found = [Path(parent) / "result.json" for parent, _, names in walk if "result.json" in names]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def load_results(folder: Path) -> tuple[tuple[LoadedRun, ...], tuple[Problem, ...]]:
    """Read every benchmark run below ``folder``; what cannot be trusted comes back as a Problem, in the order of paths.

    Raises BenchError when there is no run file, when none could be read, and when two hold the same method (with the
    same weights), data set and protocol: which of them counts is a person's decision.
    """
    paths = find_results(folder)
    if not paths:
        raise BenchError(f"{folder}: no result.json below this folder; `refsr-bench run --out {folder}` writes them")
    runs: list[LoadedRun] = []
    problems: list[Problem] = []
    seen: dict[tuple[Any, ...], str] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            result = read(path)
        except BenchError as error:
            # Pages must not depend on where the results folder lies, nor publish it.
            reason = str(error).replace(str(path), name).removeprefix(f"{name}: ")
            problems.append(Problem(name, reason if len(reason) <= MOST_WORDS else f"{reason[: MOST_WORDS - 3]}..."))
            continue
        if result.run.kind != "benchmark":
            continue
        first = seen.setdefault(run_key(result), name)
        if first != name:
            run = result.run
            raise BenchError(
                f"{folder / first} and {path} both hold {run.method.name} (weights {run.method.weights.name}) on "
                f"{run.dataset.name} under protocol {run.protocol.label}; move one of them out of {folder}"
            )
        runs.append(LoadedRun(name, result))
    if not runs and not problems:
        raise BenchError(f"{folder}: only robustness runs are here, and they are not ranked")
    if not runs:
        raise BenchError(f"{folder}: no readable result.json; the first: {problems[0].path}: {problems[0].reason}")
    return tuple(runs), tuple(problems)


def raw(path: Path) -> bytes:
    """What a run file holds, MOST_BYTES at most. Raises BenchError."""
    return files.read_bytes(path, MOST_BYTES)


def value(path: Path) -> Any:
    """The JSON value of a run file. Raises BenchError, in words, for all that is not plain, whole JSON."""
    return reader.parse_json(files.read_text(path, MOST_BYTES), str(path))


def read(path: Path) -> Result:
    """A run file that says nothing wrong about itself. Raises BenchError naming the file and the field."""
    return read_result(path)


def build(cls: type, values: Any, where: str) -> Any:
    """A dataclass from JSON, refusing unknown and missing keys by name."""
    if not isinstance(values, dict):
        raise BenchError(f"{where}: expected an object, found {type(values).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - set(fields)):
        raise BenchError(f"{where}: unknown field {unknown[0]!r}")
    required = [
        n for n, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing := [n for n in required if n not in values]:
        raise BenchError(f"{where}: field {missing[0]!r} is missing")
    return cls(**{name: tuple(item) if isinstance(item, list) else item for name, item in values.items()})


def _misfit(value: Any, hint: Any, where: str) -> str | None:
    """The first field whose value is not of its annotated type, in words; None when all fit."""
    wrong = _checker(hint)(value)
    return f"{where}{wrong[0]}{wrong[1]}".lstrip(".") if wrong else None


Wrong = tuple[str, str]  # where below the value, what is wrong there


@functools.cache
def _checker(hint: Any) -> Callable[[Any], Wrong | None]:
    """A check against one type, made once: a results folder holds hundreds of thousands of values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    def misfit(value: Any) -> Wrong:
        return "", f" is {type(value).__name__}, not {getattr(hint, '__name__', hint)}"

    if hint is Any:
        return lambda value: None
    if origin is types.UnionType:
        choices = [_checker(choice) for choice in arguments]
        return lambda value: None if any(choice(value) is None for choice in choices) else misfit(value)
    if dataclasses.is_dataclass(hint):
        fields = [(name, _checker(kind)) for name, kind in typing.get_type_hints(hint).items()]

        def record(value: Any) -> Wrong | None:
            if not isinstance(value, hint):
                return misfit(value)
            for name, check in fields:
                if wrong := check(getattr(value, name)):
                    return f".{name}{wrong[0]}", wrong[1]
            return None

        return record
    if origin is tuple:
        several = arguments[-1] is Ellipsis
        items = [_checker(kind) for kind in arguments if kind is not Ellipsis]

        def sequence(value: Any) -> Wrong | None:
            if not isinstance(value, tuple) or not (several or len(value) == len(items)):
                return misfit(value)
            for i, item in enumerate(value):
                if wrong := items[0 if several else i](item):
                    return f"[{i}]{wrong[0]}", wrong[1]
            return None

        return sequence
    if origin is not None:
        check = _checker(arguments[1])

        def mapping(value: Any) -> Wrong | None:
            if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
                return misfit(value)
            for key, item in value.items():
                if wrong := check(item):
                    return f".{key}{wrong[0]}", wrong[1]
            return None

        return mapping
    if hint in (int, float):

        def number(value: Any) -> Wrong | None:
            if not isinstance(value, (int, hint)) or isinstance(value, bool):
                return misfit(value)
            if -LARGEST <= value <= LARGEST or value == math.inf:
                return None
            return "", f" is {value}, not within ±{LARGEST:g}"

        return number
    return lambda value: None if isinstance(value, hint) else misfit(value)
