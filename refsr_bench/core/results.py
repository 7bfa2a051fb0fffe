"""Records and run files: the only thing the leaderboard reads, standard library alone.

One run (one method, one data set, one protocol) is a folder ``<protocol>/<dataset>/<method>/`` with

* ``run.json``: what is being measured, written first; a later run with another fingerprint is refused;
* ``images.jsonl``: one line per image, appended and flushed as it is made (the last line for an id counts);
* ``result.json``: rebuilt from the two, the same bytes every time for the same records.

A result is *sealed* when every pair has a record, and *complete* when all of them were measured and no pair of the
data set was left out. Numbers that JSON cannot write (the PSNR of identical images) are the string "inf".
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 2
KINDS = ("benchmark", "robustness", "ablation")

MOST_LEVELS = 20  # of lists and objects inside each other; run files have six
MOST_DIGITS = 20  # of an integer: longer ones are an attack on the reader, not a measurement
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class ResultError(Exception):
    """A run file that cannot be read or does not fit; the message names the file and the field."""


@dataclass(frozen=True)
class MethodInfo:
    """The method's card as it was when measured. group: "SISR" or "Ref-SR"; parameters: network weights, a count.

    mark: a few words that tables show beside the title ("from the paper's text alone"), empty for none. notes: what was
    guessed or done differently. ranked: False for weights that mean nothing. gmacs: 10^9 multiply-accumulates for a
    160x160 LR image and a 640x640 reference, None where nobody counted them for a network of this size.
    """

    name: str
    title: str
    group: str
    references: str
    gan: bool
    year: int
    paper: str
    parameters: int
    weights: str
    weights_sha256: str | None
    mark: str = ""
    notes: tuple[str, ...] = ()
    ranked: bool = True
    gmacs: float | None = None


@dataclass(frozen=True)
class DatasetInfo:
    """The data set as it was when measured. n_pairs: pairs it holds, whether or not all were measured."""

    name: str
    title: str
    manifest_sha256: str
    official: bool
    notes: tuple[str, ...]
    n_pairs: int


@dataclass(frozen=True)
class ProtocolInfo:
    """The protocol. label: name plus overrides; digest: SHA-256 over ``fields``; psnr, ssim: its headline metrics."""

    label: str
    name: str
    version: int
    digest: str
    summary: str
    psnr: str
    ssim: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class MetricInfo:
    """One column. direction: "higher" or "lower" is better; digits: decimals when printed."""

    name: str
    title: str
    direction: str
    unit: str
    digits: int


@dataclass(frozen=True)
class Run:
    """``run.json``: everything that must be equal for two sets of records to be one run, then the circumstances.

    kind: ``benchmark``; or, never ranked, ``robustness`` (references from the ground truth) and ``ablation``.
    """

    method: MethodInfo
    dataset: DatasetInfo
    protocol: ProtocolInfo
    metrics: tuple[MetricInfo, ...]
    pair_ids: tuple[str, ...]
    versions: Mapping[str, str]
    device: str = ""
    command: str = ""
    started: str = ""
    kind: str = "benchmark"
    schema_version: int = SCHEMA_VERSION

    def fingerprint(self) -> dict[str, Any]:
        """What a resumed run must share: all but the pairs, and the circumstances device, command and date."""
        facts = to_json(self)
        del facts["method"]["gmacs"]  # follows from the rest, and older runs have none
        return {key: facts[key] for key in facts if key not in ("pair_ids", "device", "command", "started")}


@dataclass(frozen=True)
class ImageRecord:
    """One image. metrics: by name, unrounded; hr_size: (width, height), scored; cost: seconds, peak_memory_mb."""

    id: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    refs: tuple[str, ...] = ()
    hr_size: tuple[int, int] | None = None
    sr_sha256: str | None = None
    error: str | None = None
    cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """``result.json``: a run with its records in the order of its pairs, and the plain means over measured images."""

    run: Run
    images: tuple[ImageRecord, ...]
    means: Mapping[str, float]
    finished: str = ""

    @property
    def failed(self) -> tuple[ImageRecord, ...]:
        return tuple(image for image in self.images if image.error is not None)

    @property
    def sealed(self) -> bool:
        return len(self.images) == len(self.run.pair_ids)

    @property
    def complete(self) -> bool:
        """Fit for a ranking: every pair of the data set measured."""
        return self.sealed and not self.failed and len(self.run.pair_ids) == self.run.dataset.n_pairs


def to_json(value: Any) -> Any:
    """Dataclasses, mappings and sequences as plain JSON values; infinite numbers as strings."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def dumps(value: Any) -> str:
    """The one way this project writes JSON files: sorted keys, one-space indent, final newline."""
    return json.dumps(to_json(value), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def digest(value: Any) -> str:
    """SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True).encode()).hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or nothing: a reader never sees half of it, a full disk leaves the old one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def build(cls: type, values: Any, where: str) -> Any:
    """A dataclass from JSON, refusing unknown and missing keys by name."""
    if not isinstance(values, dict):
        raise ResultError(f"{where}: expected an object, found {type(values).__name__}")
    fields = {f.name: f for f in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - set(fields)):
        raise ResultError(f"{where}: unknown field {unknown[0]!r}")
    required = [
        n for n, f in fields.items() if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing := [n for n in required if n not in values]:
        raise ResultError(f"{where}: field {missing[0]!r} is missing")
    return cls(**{name: tuple(item) if isinstance(item, list) else item for name, item in values.items()})


def _metrics(values: Mapping[str, Any], where: str) -> dict[str, float]:
    if not isinstance(values, Mapping):
        raise ResultError(f"{where}: expected an object of metrics, found {type(values).__name__}")
    for name, value in values.items():
        if type(value) not in (int, float) and value not in ("inf", "-inf", "nan"):
            raise ResultError(f"{where}: metric {name!r} is not a number but {type(value).__name__}")
    return {name: float(value) for name, value in values.items()}


def _checked(parse: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """Values of the wrong type anywhere in a file are said to be so, not shown as a traceback."""

    @functools.wraps(parse)
    def checked(values: Any, where: str) -> Any:
        try:
            return parse(values, where)
        except (TypeError, AttributeError, RecursionError) as error:
            raise ResultError(f"{where}: a value has the wrong type ({error})") from None

    return checked


def _from_1(run: dict[str, Any]) -> dict[str, Any]:
    """Version 2 states what version 1 may leave out: kind, and of the method mark, notes, ranked and gmacs."""
    stated = {"mark": "", "notes": [], "ranked": True, "gmacs": None}
    method = run.get("method")
    return {"kind": "benchmark", **run, "method": {**stated, **method} if isinstance(method, dict) else method}


_MIGRATIONS = {1: _from_1}
"""By version, a function from a run's JSON value to that of the next version: files of any age are read."""


def migrate(values: dict[str, Any], where: str) -> dict[str, Any]:
    """A run's JSON value (``run.json``, or ``run`` of ``result.json``) as this version writes it; pure.

    Raises ResultError for a version that is unknown here.
    """
    version = values.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise ResultError(f"{where}: schema_version {version!r}; this refsr-bench reads 1 to {SCHEMA_VERSION}")
    for older in range(version, SCHEMA_VERSION):
        values = {**_MIGRATIONS[older](values), "schema_version": older + 1}
    return values


@_checked
def parse_run(values: Any, where: str) -> Run:
    """A Run from its JSON value. Raises ResultError naming ``where`` and the field."""
    if not isinstance(values, dict):
        raise ResultError(f"{where}: expected an object")
    run = build(Run, migrate(values, where), where)
    return dataclasses.replace(
        run,
        method=build(MethodInfo, run.method, f"{where}: method"),
        dataset=build(DatasetInfo, run.dataset, f"{where}: dataset"),
        protocol=build(ProtocolInfo, run.protocol, f"{where}: protocol"),
        metrics=tuple(build(MetricInfo, m, f"{where}: metrics") for m in run.metrics),
    )


@_checked
def parse_image(values: Any, where: str) -> ImageRecord:
    """An ImageRecord from its JSON value. Raises ResultError naming ``where`` and the field."""
    record = build(ImageRecord, values, where)
    return dataclasses.replace(record, metrics=_metrics(record.metrics, where))


def parse_json(text: str) -> Any:
    """The JSON value of a text that may be a stranger's.

    Raises ValueError, in words, for all that is no JSON, and for what readers take differently or stumble over: a name
    twice in an object, NaN and infinities outside texts, numbers of many digits, halves of characters, deep nesting.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    level = [value]
    for _ in range(MOST_LEVELS):
        nodes = [node for node in level if isinstance(node, (dict, list))]
        level = [child for node in nodes for child in (node.values() if isinstance(node, dict) else node)]
    if any(isinstance(node, (dict, list)) for node in level):
        raise ValueError("nested too deeply")
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("half of a character (a lone surrogate)") from None
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"{twice[:80]!r} is there twice in one object")
    return values


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number; infinite values are written as the text 'inf'")


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _load_json(path: Path) -> Any:
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ResultError(f"{path}: not JSON ({error})") from None


def read_run(path: Path) -> Run:
    """Read ``run.json``. Raises ResultError."""
    return parse_run(_load_json(path), str(path))


def read_images(path: Path) -> dict[str, ImageRecord]:
    """Read ``images.jsonl``; the last record of an id counts. A torn last line (a killed run) is ignored.

    Raises ResultError for any other damage.
    """
    records: dict[str, ImageRecord] = {}
    if not path.exists():
        return records
    whole, _, _torn = path.read_text(encoding="utf-8").rpartition("\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise ResultError(f"{path}, line {number}: not JSON ({error})") from None
        record = parse_image(values, f"{path}, line {number}")
        records[record.id] = record
    return records


def means(images: Iterable[ImageRecord], metrics: Iterable[str]) -> dict[str, float]:
    """Plain mean per metric over the images that have it (the field's convention: a mean of dB, not dB of a mean)."""
    measured = [image for image in images if image.error is None]
    columns = {name: [image.metrics[name] for image in measured if name in image.metrics] for name in metrics}
    return {name: math.fsum(v) / len(v) if all(map(math.isfinite, v)) else math.inf for name, v in columns.items() if v}


def seal(run: Run, records: Mapping[str, ImageRecord], finished: str = "") -> Result:
    """Put records in the order of the run's pairs and compute the means."""
    images = tuple(records[pair_id] for pair_id in run.pair_ids if pair_id in records)
    return Result(run, images, means(images, [metric.name for metric in run.metrics]), finished)


def write_result(path: Path, result: Result) -> None:
    """Write ``result.json`` atomically. Raises OSError."""
    write_atomically(path, dumps(result))


def read_result(path: Path) -> Result:
    """Read ``result.json``. Raises ResultError naming the file and the field."""
    return parse_result(_load_json(path), str(path))


@_checked
def parse_result(values: Any, path: str) -> Result:
    """A Result from its JSON value. Raises ResultError naming ``path`` and the field."""
    result = build(Result, values, path)
    return dataclasses.replace(
        result,
        run=parse_run(result.run, f"{path}: run"),
        images=tuple(parse_image(image, f"{path}: images") for image in result.images),
        means=_metrics(result.means, f"{path}: means"),
    )
