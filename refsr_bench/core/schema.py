"""The JSON Schema of run files (draft 2020-12), made from the dataclasses of ``refsr_bench.core.results``.

    python -m refsr_bench.core.schema      writes result.schema.json anew, after a change of a dataclass

The schema is that of the current version. Older files are read too (``results`` migrates them), and are checked after
that.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from refsr_bench.core.results import (
    KINDS,
    SCHEMA_VERSION,
    DatasetInfo,
    ImageRecord,
    MethodInfo,
    MetricInfo,
    ProtocolInfo,
    Result,
    Run,
)

FILE = Path(__file__).with_name("result.schema.json")
SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$", "maxLength": 64}  # "$" alone lets a newline through
TEXT = {"type": "string", "maxLength": 20_000}

# What a type cannot say: (class, field) -> the field's schema, or a description to add to it.
FIELDS: dict[tuple[type, str], dict[str, Any]] = {
    (Result, "means"): {"description": "Plain mean per metric over the images that have it."},
    (Result, "finished"): {"description": "When the last image was measured, ISO 8601, UTC."},
    (Run, "schema_version"): {"const": SCHEMA_VERSION},
    (Run, "kind"): {"enum": list(KINDS)},
    (Run, "pair_ids"): {"description": "Pairs that were to be measured, in order.", "uniqueItems": True},
    (Run, "versions"): {"description": "Versions of packages by name."},
    (MethodInfo, "name"): {"minLength": 1},
    (MethodInfo, "group"): {"description": "SISR, Ref-SR, or a name of one's own."},
    (MethodInfo, "references"): {"enum": ["none", "one", "many"]},
    (MethodInfo, "year"): {"minimum": 1900, "maximum": 2200},
    (MethodInfo, "parameters"): {"minimum": 0, "description": "Weights of the network, a count."},
    (MethodInfo, "gmacs"): {
        "minimum": 0,
        "description": "10^9 multiply-accumulates for a 160x160 LR image and a 640x640 reference.",
    },
    (MethodInfo, "weights_sha256"): SHA256,
    (DatasetInfo, "name"): {"minLength": 1},
    (DatasetInfo, "manifest_sha256"): SHA256,
    (DatasetInfo, "n_pairs"): {"minimum": 1, "description": "Pairs the data set holds, measured or not."},
    (ProtocolInfo, "digest"): SHA256 | {"description": "SHA-256 of the fields as canonical JSON."},
    (ProtocolInfo, "version"): {"minimum": 1},
    (MetricInfo, "direction"): {"enum": ["higher", "lower"]},
    (MetricInfo, "digits"): {"minimum": 0, "maximum": 9},
    (ImageRecord, "sr_sha256"): SHA256 | {"description": "SHA-256 of the SR pixels, uint8 H x W x 3 RGB, row by row."},
    (ImageRecord, "id"): {"minLength": 1},
    (ImageRecord, "hr_size"): {"description": "Width and height that were scored, in pixels."},
    (ImageRecord, "cost"): {
        "description": "seconds, and peak_memory_mb in MiB.",
        "additionalProperties": {"type": "number", "minimum": 0},
    },
    (ImageRecord, "error"): {"description": "Why the image failed; null for one that was measured."},
}


def result_schema() -> dict[str, Any]:
    """The schema of ``result.json`` as a JSON value."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:refsr-bench:result:{SCHEMA_VERSION}",
        "title": "refsr-bench run file",
        "description": "One method on one data set under one protocol: every image, and the means over them.",
        **_object(Result),
    }


@cache
def published() -> dict[str, Any]:
    """The schema as shipped."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def _object(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": names,
        "properties": {name: _field(cls, name, hints[name]) for name in names},
    }


def _field(cls: type, name: str, hint: Any) -> dict[str, Any]:
    found, more = _of(hint), FIELDS.get((cls, name), {})
    if "anyOf" not in found:
        return {**found, **more}
    about = {key: more[key] for key in more if key == "description"}
    rules = {key: more[key] for key in more if key != "description"}
    return {"anyOf": [c if c == {"type": "null"} else {**c, **rules} for c in found["anyOf"]], **about}


def _of(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if dataclasses.is_dataclass(hint):
        return _object(hint)
    if origin is types.UnionType:
        return {"anyOf": [_of(choice) for choice in arguments]}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": _of(arguments[0])}
    if origin is tuple:  # sizes, in pixels
        sides = [{**_of(side), "minimum": 1} for side in arguments]
        return {"type": "array", "prefixItems": sides, "items": False, "minItems": len(sides)}
    if origin is Mapping or origin is dict:
        values = _of(arguments[1])
        # JSON has no infinity: the PSNR of identical images is the text "inf".
        values = {"anyOf": [values, {"const": "inf"}]} if arguments[1] is float else values
        return {"type": "object", "additionalProperties": values}
    if hint is type(None):
        return {"type": "null"}
    return {str: TEXT, bool: {"type": "boolean"}, int: {"type": "integer"}, float: {"type": "number"}}[hint]


if __name__ == "__main__":
    FILE.write_text(json.dumps(result_schema(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
