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
import stat
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsr_bench.core.results import (
    KINDS,
    DatasetInfo,
    MethodInfo,
    Result,
    ResultError,
    digest,
    means,
    parse_json,
    parse_result,
)

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
    return method.weights_sha256 or f"name:{method.weights}"


def dataset_key(dataset: DatasetInfo) -> tuple[str, str, bool, int]:
    """What tells two columns apart: results share one only on the same files, and never across ``official``."""
    return (dataset.name, dataset.manifest_sha256, dataset.official, dataset.n_pairs)


def run_key(result: Result) -> tuple[Any, ...]:
    """What there may be only one run file of: method with its weights, data set, protocol."""
    run = result.run
    return (run.protocol.digest, dataset_key(run.dataset), run.method.name, weights_key(run.method))


def find_results(folder: Path) -> list[Path]:
    """Every ``result.json`` below ``folder``, in the order of their relative paths; links to folders not followed.

    Raises ResultError when ``folder`` is not a folder, and when one below it cannot be listed.
    """
    if not folder.is_dir():
        raise ResultError(f"{folder}: no such folder of results; `refsr-bench run` writes one")

    def unreadable(error: OSError) -> None:
        raise ResultError(f"{error.filename}: {error.strerror}; results in it would be left out")

    walk = os.walk(folder, onerror=unreadable)
    found = [Path(parent) / "result.json" for parent, _, names in walk if "result.json" in names]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def load_results(folder: Path) -> tuple[tuple[LoadedRun, ...], tuple[Problem, ...]]:
    """Read every benchmark run below ``folder``; what cannot be trusted comes back as a Problem, in the order of paths.

    Raises ResultError when there is no run file, when none could be read, and when two hold the same method (with the
    same weights), data set and protocol: which of them counts is a person's decision.
    """
    paths = find_results(folder)
    if not paths:
        raise ResultError(f"{folder}: no result.json below this folder; `refsr-bench run --out {folder}` writes them")
    runs: list[LoadedRun] = []
    problems: list[Problem] = []
    seen: dict[tuple[Any, ...], str] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            result = read(path)
        except ResultError as error:
            # Pages must not depend on where the results folder lies, nor publish it.
            reason = str(error).replace(str(path), name).removeprefix(f"{name}: ")
            problems.append(Problem(name, reason if len(reason) <= MOST_WORDS else f"{reason[: MOST_WORDS - 3]}..."))
            continue
        if result.run.kind != "benchmark":
            continue
        first = seen.setdefault(run_key(result), name)
        if first != name:
            run = result.run
            raise ResultError(
                f"{folder / first} and {path} both hold {run.method.name} (weights {run.method.weights}) on "
                f"{run.dataset.name} under protocol {run.protocol.label}; move one of them out of {folder}"
            )
        runs.append(LoadedRun(name, result))
    if not runs and not problems:
        raise ResultError(f"{folder}: only robustness runs are here, and they are not ranked")
    if not runs:
        raise ResultError(f"{folder}: no readable result.json; the first: {problems[0].path}: {problems[0].reason}")
    return tuple(runs), tuple(problems)


def raw(path: Path) -> bytes:
    """What a run file holds, MOST_BYTES at most. Raises ResultError."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):  # a link in a repository may lead to a device that never ends
            raise ResultError(f"{path}: not a file")
        if about.st_size > MOST_BYTES:
            raise ResultError(f"{path}: {about.st_size / 2**20:.1f} MiB; a run file has at most {MOST_BYTES >> 20}")
        return path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from None


def value(path: Path) -> Any:
    """The JSON value of a run file. Raises ResultError, in words, for all that is not plain, whole JSON."""
    data = raw(path)
    if data.startswith(b"\xef\xbb\xbf"):
        raise ResultError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        return parse_json(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: not UTF-8 (byte {error.start})") from None
    except ValueError as error:
        raise ResultError(f"{path}: not JSON as run files are ({error})") from None


def read(path: Path) -> Result:
    """A run file that says nothing wrong about itself. Raises ResultError naming the file and the field."""
    result = parse_result(value(path), str(path))
    if wrong := contradiction(result):
        raise ResultError(f"{path}: {wrong}")
    return result


def contradiction(result: Result) -> str | None:
    """The first value of a wrong type, or the first statement that the rest belies, in words; None for a sound result.

    Means must be those of the images, the protocol's digest that of its fields, records those of the run's pairs.
    """
    return _misfit(result, Result, "") or _contradiction(result)


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


def _contradiction(result: Result) -> str | None:
    """The first statement of the file that the rest of it belies, in words; None for a sound file."""
    run = result.run
    names = [metric.name for metric in run.metrics]
    ids = [image.id for image in result.images]
    known = set(ids)
    if run.kind not in KINDS:
        return f"run.kind is {run.kind!r}, not one of {', '.join(KINDS)}"
    if len(set(names)) != len(names):
        return "run.metrics names a metric twice"
    if len(set(run.pair_ids)) != len(run.pair_ids):
        return "run.pair_ids names a pair twice"
    if ids != [pair for pair in run.pair_ids if pair in known]:
        return "images are not those of run.pair_ids, each once and in their order"
    if len(run.pair_ids) > run.dataset.n_pairs:
        return f"run.pair_ids has {len(run.pair_ids)} pairs, the data set {run.dataset.n_pairs}"
    headline = (run.protocol.psnr, run.protocol.ssim) if run.kind == "benchmark" else ()
    if absent := [name for name in headline if name not in names]:
        return f"the protocol's metric {absent[0]!r} is not in run.metrics"
    if digest(run.protocol.fields) != run.protocol.digest:
        return "run.protocol.digest is not that of run.protocol.fields"
    if wild := [metric for metric in run.metrics if not 0 <= metric.digits <= MOST_DIGITS]:
        return f"run.metrics: {wild[0].name} has {wild[0].digits} digits, not 0 to {MOST_DIGITS}"
    expected = means(result.images, names)
    for name in sorted(expected.keys() | result.means.keys()):
        stated, measured = result.means.get(name), expected.get(name)
        if stated is None or measured is None or not math.isclose(stated, measured, rel_tol=1e-9, abs_tol=1e-12):
            return f"the mean of {name} is given as {stated}, its images make {measured}"
    return None
