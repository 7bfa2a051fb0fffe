"""Converts run files of older versions to the current one, by pure functions on JSON values that are kept for ever.

A fact that an old file does not state becomes "unknown". An old version stated some facts by a few constant texts or by
the form of a name; these are read back here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import MARKS, SCHEMA_VERSION

Values = dict[str, Any]

# Version 2 wrote these instead of a name of weights.
_V2_ORIGINS = {"folder": "SR images from outside", "command": "command "}
# Version 2 named data sets of robustness runs NAME.KIND.LEVEL, NAME.unrelated, transform.LEVEL.
_V2_UNRELATED = "unrelated"
_V2_CHANGED = re.compile(
    r"(.+)\.(rotation|scale|rotation\+scale|perspective|blur|noise|jpeg|illumination|occlusion)"
    r"\.([a-z]+|-?\d[\d.e+-]*)"
)


def current(result: Any, where: str) -> Any:
    """Return the JSON value of a ``result.json`` of any version in the current version."""
    if not isinstance(result, dict) or not isinstance(result.get("run"), dict):
        return result  # the reader will say what is wrong with it
    version = version_of(result["run"], f"{where}: run")
    images = result.get("images")
    if version < 3 and isinstance(images, list):
        images = [current_image(image) for image in images]
    return {**result, "run": current_run(result["run"], f"{where}: run"), **({"images": images} if images else {})}


def version_of(run: Values, where: str) -> int:
    """Return the version that a run states. Raises BenchError for an unknown one."""
    version = run.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        raise BenchError(f"{where}: schema_version {version!r}; this refsr-bench reads 1 to {SCHEMA_VERSION}.")
    return version


def current_run(run: Any, where: str) -> Any:
    """Return the JSON value of a ``run.json`` of any version in the current version. Raises BenchError."""
    if not isinstance(run, dict):
        return run
    for older in range(version_of(run, where), SCHEMA_VERSION):
        run = {**_STEPS[older](run), "schema_version": older + 1}
    return _with_later_facts(run)


def _with_later_facts(run: Values) -> Values:
    """Add what the first files of version 3 stated by a protocol's label and a data set's title alone."""
    protocol, dataset = run.get("protocol"), run.get("dataset")
    if isinstance(protocol, dict) and isinstance(protocol.get("label"), str) and "overrides" not in protocol:
        names = [part.partition("=")[0] for part in protocol["label"].split("+")[1:]]
        run = {**run, "protocol": {**protocol, "overrides": names}}
    change = dataset.get("variation") if isinstance(dataset, dict) else None
    if dataset and isinstance(change, dict) and isinstance(dataset.get("title"), str) and "title" not in change:
        title = dataset["title"]
        for end in (", unrelated references", f", {change.get('level')}", f", {change.get('kind')}"):
            title = title.removesuffix(end)
        run = {**run, "dataset": {**dataset, "variation": {**change, "title": title}}}
    return run


def current_image(image: Any) -> Any:
    """Convert a record of version 1 or 2, which did not record whether its references leaked."""
    return {"leak": {"kind": "unknown", "value": None}, **image} if isinstance(image, dict) else image


def _from_1(run: Values) -> Values:
    """Add what version 1 may leave out and version 2 states: kind, and the method's mark, notes, ranked and gmacs."""
    stated = {"mark": "", "notes": [], "ranked": True, "gmacs": None}
    method = run.get("method")
    return {"kind": "benchmark", **run, "method": {**stated, **method} if isinstance(method, dict) else method}


def _from_2(run: Values) -> Values:
    """Add what version 3 has as fields: weights, code, machine, timing, arithmetic, origin and variation."""
    run = dict(run)
    method, dataset = run.get("method"), run.get("dataset")
    if isinstance(method, dict):
        run["method"] = _method_of_2(method)
    if isinstance(dataset, dict):
        run["dataset"] = {**dataset, "variation": _variation_of_2(run.get("kind"), dataset.get("name"))}
    run["machine"] = {"device": run.pop("device", ""), "versions": run.pop("versions", {})}
    weights = method.get("weights") if isinstance(method, dict) else None
    origin = next((kind for kind, text in _V2_ORIGINS.items() if str(weights).startswith(text)), "unknown")
    return {
        "origin": origin,
        "code": None,
        "timing": "not measurable" if origin == "folder" else "unknown",
        "arithmetic": {"tiling": "unknown", "numbers": "unknown"},
        **run,
    }


def _method_of_2(method: Values) -> Values:
    method = dict(method)
    name, sha256 = method.pop("weights", "unknown"), method.pop("weights_sha256", None)
    mark, ranked = method.pop("mark", ""), method.pop("ranked", True)
    if ranked is False and method.get("group") != "matcher":
        kind = "synthetic"  # version 2 excluded nothing else from rankings
    else:
        kind = "none" if name == "none" and sha256 is None else "unknown"
    method["weights"] = {"kind": kind, "name": name, "sha256": sha256}
    method["verified"] = next((known for known, text in MARKS.items() if text == mark), "unknown")
    if method.get("parameters") == 0 and kind != "none":  # version 2 also wrote 0 for networks that nobody had counted
        method["parameters"] = None
    return method


def _variation_of_2(kind: Any, name: Any) -> Values | None:
    if kind != "robustness" or not isinstance(name, str):
        return None
    if name.endswith(f".{_V2_UNRELATED}"):
        base = name.removesuffix(f".{_V2_UNRELATED}")
        split = base.startswith("transform.")  # the unrelated references serve all of its levels
        return {"base": "transform" if split else base, "kind": _V2_UNRELATED, "level": _V2_UNRELATED}
    if changed := _V2_CHANGED.fullmatch(name):
        return dict(zip(("base", "kind", "level"), changed.groups(), strict=True))
    base, _, level = name.partition(".")
    return {"base": base, "kind": "given", "level": level} if level and base == "transform" else None


_STEPS: dict[int, Callable[[Values], Values]] = {1: _from_1, 2: _from_2}
