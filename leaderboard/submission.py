"""Checks of one run file that somebody sends: is it whole, does it agree with itself, is it plausible.

Nothing of a submission is executed, imported or followed. What can be re-measured is re-measured elsewhere
(``refsr_bench.remeasure``); this module looks at the file alone, beside the published numbers.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.load import contradiction
from leaderboard.published import Published
from refsr_bench.results import Result, ResultError, parse_result, to_json

MOST_BYTES = 20 * 2**20
MOST_IMAGES = 100_000
MOST_DIGITS = 400  # of one number: longer ones are an attack on the reader, not a measurement
MOST_SHOWN = 20  # findings of the schema that are listed; a file of another kind has thousands

RANGES = {"psnr": (0.0, 100.0), "ssim": (-1.0, 1.0), "lpips": (0.0, 2.0)}  # by the start of a metric's name
ABOVE_BEST = 3.0  # dB over the best published number of a data set that want an explanation
FAR = 1.0  # dB between a method's measured and published numbers that want one


@dataclass(frozen=True)
class Finding:
    """level: "error" fails the check, "warning" wants a person's eye. where: a field, a pair, or "" for the file."""

    level: str
    where: str
    text: str


def read_submission(path: Path) -> Any:
    """The JSON value of a stranger's file. Raises ResultError, in words, for all that is not plain, whole JSON."""
    if path.is_symlink():
        raise ResultError(f"{path}: a link, not a file; send the file itself")
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ResultError(f"{path}: not a file")
        if size > MOST_BYTES:
            raise ResultError(f"{path}: {size / 2**20:.0f} MiB; a run file has at most {MOST_BYTES >> 20}")
        data = path.read_bytes()
    except OSError as error:
        raise ResultError(f"{path}: {error.strerror}") from None
    if data.startswith(b"\xef\xbb\xbf"):
        raise ResultError(f"{path}: begins with a byte order mark; save it as UTF-8 without one")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_int,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise ResultError(f"{path}: not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise ResultError(f"{path}: nested too deeply to be a run file") from None
    except ValueError as error:
        raise ResultError(f"{path}: not JSON as run files are ({error})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:80]!r} is there twice in one object")
    return values


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number; infinite values are written as the text 'inf'")


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    value = float(text) if len(text) <= MOST_DIGITS else math.inf
    if math.isinf(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def schema_findings(value: Any, schema: dict[str, Any]) -> Iterator[Finding]:
    """What the JSON Schema of run files refuses, field by field, the first MOST_SHOWN."""
    from itertools import islice

    from jsonschema import Draft202012Validator

    errors = Draft202012Validator(schema).iter_errors(value)
    for error in islice(errors, MOST_SHOWN):
        # Of what may also be null, the complaint about the other choice is the one that helps.
        found = next((inner for inner in error.context or () if inner.validator_value != "null"), error)
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in found.absolute_path)
        yield Finding("error", where.lstrip(".") or "the file", _words(found))


def _words(error: Any) -> str:
    """A schema's complaint as a sentence that does not print somebody's whole file."""
    shown = json.dumps(error.instance, ensure_ascii=False)
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    rule, due = error.validator, error.validator_value
    if rule in ("required", "additionalProperties"):
        return error.message[:200]
    said = {
        "type": f"is {shown}; {due} is due",
        "enum": f"is {shown}; one of {', '.join(map(str, due)) if isinstance(due, list) else due} is due",
        "const": f"is {shown}; {due!r} is due",
        "pattern": f"is {shown}; 64 hexadecimal digits are due",
        "maxLength": f"is longer than {due} characters",
        "minLength": "is empty",
        "minimum": f"is {shown}; at least {due} is due",
        "maximum": f"is {shown}; at most {due} is due",
    }
    return said.get(rule, f"{shown}: {error.message[:160]}")


def file_findings(value: Any, where: str, schema: dict[str, Any]) -> tuple[Result | None, list[Finding]]:
    """A submission's JSON value as a Result, with everything wrong about it; None where it is no run file at all.

    Files of older versions are brought to this one first, as every reader does.
    """
    images = value.get("images") if isinstance(value, dict) else None
    if isinstance(images, list) and len(images) > MOST_IMAGES:
        return None, [Finding("error", "images", f"{len(images)} images; at most {MOST_IMAGES} are read")]
    try:
        result = parse_result(value, where)
    except ResultError as error:
        return None, [Finding("error", "", str(error).removeprefix(f"{where}: "))]
    findings = list(schema_findings(to_json(result), schema))
    if not findings and (wrong := contradiction(result)):
        findings.append(Finding("error", "", wrong))
    if findings:
        return result, findings
    return result, [*_paths(result), *_values(result)]


def _paths(result: Result) -> Iterator[Finding]:
    for pair in result.run.pair_ids:
        if pair.startswith(("/", "\\")) or ".." in pair.replace("\\", "/").split("/") or "\x00" in pair:
            yield Finding("error", f"pair {pair!r}", "looks like a path out of its folder; ids are names")


def _values(result: Result) -> Iterator[Finding]:
    for image in result.images:
        where = f"image {image.id!r}"
        if image.error is not None:
            yield Finding("warning", where, f"failed: {image.error[:200]}")
            continue
        for name, value in image.metrics.items():
            low, high = next((RANGES[start] for start in RANGES if name.startswith(start)), (-math.inf, math.inf))
            if value != math.inf and not low <= value <= high:
                yield Finding("error", where, f"{name} is {value}, outside {low:g} to {high:g}")
        for name, value in image.cost.items():
            if value < 0:
                yield Finding("error", where, f"cost {name} is {value}, below zero")
        if image.sr_sha256 is None:
            yield Finding("warning", where, "has no digest of its SR image, so it cannot be re-measured")


def plausibility(result: Result, published: Iterable[Published]) -> Iterator[Finding]:
    """What a reviewer would ask about: values all alike, SR equal to HR, numbers far from those published.

    Warnings alone: an unusual result may be true.
    """
    run = result.run
    psnr = run.protocol.psnr
    values = [image.metrics[psnr] for image in result.images if psnr in image.metrics]
    if len(values) > 2 and len(set(values)) == 1:
        yield Finding("warning", psnr, f"is the same on all {len(values)} images")
    if same := sum(value == math.inf for value in values):
        yield Finding("warning", psnr, f"is infinite on {same} images: SR equals HR there")
    digests = [image.sr_sha256 for image in result.images if image.sr_sha256]
    if len(set(digests)) < len(digests):
        yield Finding("warning", "sr_sha256", "several images have the same SR pixels")
    finite = [value for value in values if math.isfinite(value)]
    if not finite or not run.dataset.official or not result.complete:
        return
    mean = statistics.fmean(finite)
    entries = [entry for entry in published if entry.dataset == run.dataset.name and entry.comparable]
    if entries and mean > (best := max(entry.psnr for entry in entries)) + ABOVE_BEST:
        yield Finding("warning", psnr, f"{mean:.2f} dB is {mean - best:.1f} dB above the best published, {best:.2f}")
    own = [entry for entry in entries if entry.method == run.method.name]
    if own and min(abs(mean - entry.psnr) for entry in own) > FAR:
        told = ", ".join(sorted({f"{entry.psnr:.2f}" for entry in own}))
        yield Finding("warning", psnr, f"{mean:.2f} dB; published for {run.method.title}: {told}")
