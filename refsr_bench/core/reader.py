"""One strict reader for every format. Structs are the schema, and errors say in words what does not fit.

A format is an ``msgspec.Struct`` (``Format`` gives it the options). ``read_json`` and ``read_toml`` bound the bytes,
the nesting and the digits before anything is built from them, refuse unknown and missing fields, and name the file and
the field in the error. ``json_schema`` publishes the same structs.

Standard ``json`` parses and msgspec converts, because JSON parsers differ in what they accept silently. A name that
stands twice in an object, NaN, and half surrogate pairs are errors here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError
from refsr_bench.core.journals import Journal

MOST_LEVELS = 20  # of lists and objects inside each other; run files have six
MOST_DIGITS = 20  # limit of an integer; a longer one is an attack on the reader, not a measurement
MOST_ITEMS = 1_000_000  # limit of one list; the largest data set of the field has 13,761 pairs
LARGEST = 1e15  # limit of any number: arithmetic on pages fails beyond it, and nothing measured is so large
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(min_length=1, max_length=20_000)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", max_length=64)]
Count = Annotated[int, Meta(ge=0, le=int(LARGEST))]
Real = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Infinite = Literal["inf"]  # JSON has no infinity: the PSNR of identical images is the text "inf"

T = TypeVar("T")


class Format(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every struct that is read from a file: immutable, and strict about its fields."""


# -- from bytes to values ------------------------------------------------------------------------------------------


def parse_json(data: bytes | str, where: str) -> Any:
    """Parse the JSON value of a text that may come from a stranger. Raises BenchError naming ``where``.

    Besides invalid JSON, it refuses what readers interpret differently or fail on: a name twice in an object, NaN and
    infinities, numbers with many digits, half surrogate pairs, deep nesting.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_int, parse_float=_float
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise BenchError(f"{where}: not UTF-8 (byte {error.start}).") from None
    except UnicodeEncodeError:
        raise BenchError(f"{where}: not JSON (half of a character, a lone surrogate).") from None
    except RecursionError:
        raise BenchError(f"{where}: not JSON (nested too deeply).") from None
    except ValueError as error:
        raise BenchError(f"{where}: not JSON ({error}).") from None
    if _deeper(value, MOST_LEVELS):
        raise BenchError(f"{where}: not JSON (nested too deeply).")
    return value


def read_json(path: Path, kind: type[T], most: int = files.MOST_BYTES) -> T:
    """Read a regular JSON file of at most ``most`` bytes as ``kind``.

    Raises BenchError naming the file and the field.
    """
    return convert(parse_json(files.read_text(path, most), str(path)), kind, str(path))


def read_toml(path: Path, most: int = files.MOST_BYTES) -> dict[str, Any]:
    """Read a regular TOML file as plain values, for ``convert``. Raises BenchError naming the file."""
    try:
        values = tomllib.loads(files.read_text(path, most))
    except (ValueError, RecursionError) as error:  # int() refuses thousands of digits with a plain ValueError
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise BenchError(f"{path}: not TOML ({reason}).") from None
    if _deeper(values, MOST_LEVELS):
        raise BenchError(f"{path}: not TOML (nested too deeply).")
    return values


def convert(value: Any, kind: type[T], where: str) -> T:
    """Convert plain JSON or TOML values to ``kind``, strictly. Raises BenchError naming ``where`` and the field."""
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        raise BenchError(f"{where}: {_in_words(str(error))}.") from None
    except RecursionError:
        raise BenchError(f"{where}: nested too deeply.") from None


def _in_words(text: str) -> str:
    """Turn msgspec's ``Expected `int`, got `str` - at `$.x` `` into ``x: expected int, got str``, the place first."""
    reason, _, place = text.partition(" - at `$")
    reason = re.sub("field `(.*)`$", r"field '\1'", reason, flags=re.DOTALL).replace("`", "")
    reason = reason.replace("Object contains", "has an").replace("Object missing", "lacks the")
    reason = re.sub("Invalid enum value (.*)", r"\1 is not among the values allowed here", reason)
    place = place.rstrip("`").lstrip(".").replace("[...]", "")
    return f"{place}: {reason[:1].lower()}{reason[1:]}" if place else f"{reason[:1].lower()}{reason[1:]}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
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


def _deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        nodes = [node for node in level if isinstance(node, (dict, list))]
        level = [child for node in nodes for child in (node.values() if isinstance(node, dict) else node)]
    return any(isinstance(node, (dict, list)) for node in level)


# -- from values to bytes ------------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """Convert structs, dataclasses, mappings and sequences to plain JSON values; paths and infinities become text."""
    if isinstance(value, msgspec.Struct):
        return {name: to_json(getattr(value, name)) for name in value.__struct_fields__}
    if hasattr(value, "__dataclass_fields__"):
        return {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_json(item) for item in value]
    if isinstance(value, PurePath) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value


def dumps(value: Any) -> str:
    """Format a JSON file as this project writes them all: sorted keys, one-space indent, final newline."""
    return json.dumps(to_json(value), sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def dump_line(value: Any) -> bytes:
    """Format one line of a journal, without the newline: sorted keys, UTF-8.

    Raises BenchError for half a character, as in names that are no UTF-8.
    """
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BenchError(f"{text[max(0, error.start - 60) : error.end + 20]!a}: no UTF-8. Rename the file.") from None


def load_line(kind: type[T]) -> Callable[[bytes, str], T]:
    """Return the ``decode`` of a ``Journal`` whose lines are ``kind``."""
    return lambda data, where: convert(parse_json(data, where), kind, where)


def journal(path: Path, kind: type[T], most: int = 1 << 30) -> Journal[T]:
    """Open a journal whose lines are ``kind``, written by ``dump_line``."""
    return Journal(path, load_line(kind), dump_line, most)


def digest(value: Any) -> str:
    """Return SHA-256 (hex) of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True).encode()).hexdigest()


# -- the published schema ------------------------------------------------------------------------------------------


@functools.cache
def json_schema(kind: type, identifier: str, title: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a format. identifier: its URN."""
    found = json.loads(json.dumps(msgspec.json.schema(kind)))  # turns tuples in defaults into lists
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identifier, "title": title, **found}
