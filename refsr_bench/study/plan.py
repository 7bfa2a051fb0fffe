"""What a study compares: ``plan.json``, written once and never changed, since every vote refers to its digest."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import digest, dumps, to_json

SCHEMA_VERSION = 1
PLAN, IMAGES, VOTES = "plan.json", "images", "votes.jsonl"
REFERENCES = ("none", "hr", "ref")
PAIR, CHECK, REPEAT = "pair", "check", "repeat"
SHARP, BLURRED = "sharp", "blurred"


@dataclass(frozen=True)
class Method:
    """One method. weights: as its results name them."""

    name: str
    title: str
    weights: str = ""


@dataclass(frozen=True)
class Item:
    """One comparison: the same image by two methods, or a check whose answer is known: a, SHARP, against b, BLURRED.

    a, b: names of methods; a_file, b_file, reference_file: in ``images/``, "" for no reference.
    """

    id: str
    kind: str
    image: str
    a: str
    b: str
    a_file: str
    b_file: str
    reference_file: str = ""

    def other(self, name: str) -> str:
        return self.b if name == self.a else self.a

    def file(self, name: str) -> str:
        return self.a_file if name == self.a else self.b_file


@dataclass(frozen=True)
class Plan:
    """A study. focus: the method that is compared with every other one, "" where all are compared with all.

    reference: what is shown beside the two images: "hr" (the ground truth), "ref" (the method's reference) or "none".
    crop: side in pixels of the window that is shown, 0 for whole images. per_person: comparisons of one participant,
    with checks and repeats on top: attention, repeats are shares of it. pass_share: of the checks, to be answered right
    by a participant who counts. checks_from: what the checks were made of. dataset, protocol: of the results, "" for
    plain folders. notes: what people should know of how it was made.
    """

    title: str
    question: str
    methods: tuple[Method, ...]
    focus: str
    reference: str
    ties: bool
    crop: int
    per_person: int
    attention: float
    repeats: float
    pass_share: float
    seed: int
    checks_from: str
    items: tuple[Item, ...]
    dataset: str = ""
    dataset_title: str = ""
    dataset_sha256: str = ""
    protocol: str = ""
    protocol_digest: str = ""
    notes: tuple[str, ...] = ()
    schema_version: int = SCHEMA_VERSION

    @cached_property
    def digest(self) -> str:
        return digest(to_json(self))

    @cached_property
    def by_id(self) -> dict[str, Item]:
        return {item.id: item for item in self.items}

    @cached_property
    def pairs(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == PAIR)

    @cached_property
    def checks(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind == CHECK)

    @property
    def checks_per_person(self) -> int:
        return max(1, round(self.attention * self.per_person)) if self.checks else 0

    @property
    def repeats_per_person(self) -> int:
        return min(round(self.repeats * self.per_person), self.per_person // 3)

    @property
    def length(self) -> int:
        """Everything one participant is asked."""
        return self.per_person + self.checks_per_person + self.repeats_per_person


def write(folder: Path, plan: Plan) -> None:
    (folder / PLAN).write_text(dumps(plan), encoding="utf-8")


def read(folder: Path) -> Plan:
    """The plan of a study folder. Raises Misuse when there is none, BenchError naming the field that does not fit."""
    path = folder / PLAN
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Misuse(f"{folder} is no study: it has no {PLAN}. `refsr-bench study init {folder}` makes one.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BenchError(f"{path}: cannot be read ({error}).") from None
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION:
        raise BenchError(f"{path}: schema_version {version!r}; this refsr-bench reads {SCHEMA_VERSION}.")
    plan = _built(Plan, values, str(path))
    methods = tuple(_built(Method, value, f"{path}: methods") for value in plan.methods)
    items = tuple(_built(Item, value, f"{path}: items") for value in plan.items)
    plan = dataclasses.replace(plan, methods=methods, items=items)
    if problem := _problem(plan):
        raise BenchError(f"{path}: {problem}. The file was changed by hand; make the study anew.")
    return plan


def _built(cls: type, values: Any, where: str) -> Any:
    hints = typing.get_type_hints(cls)
    names = {f.name for f in dataclasses.fields(cls)}
    if not isinstance(values, dict) or values.keys() != names:
        odd = sorted(names ^ values.keys()) if isinstance(values, dict) else ["an object"]
        raise BenchError(f"{where}: field {odd[0]!r} is missing or unknown.")
    for name, value in values.items():
        kind = typing.get_origin(hints[name]) or hints[name]
        kinds = {tuple: list, float: (int, float)}.get(kind, kind)
        if not isinstance(value, kinds) or (isinstance(value, bool) and kind is not bool):
            raise BenchError(f"{where}: {name} is {type(value).__name__}, not {kind.__name__}.")
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _problem(plan: Plan) -> str | None:
    names = [method.name for method in plan.methods]
    files = [file for item in plan.items for file in (item.a_file, item.b_file, item.reference_file) if file]
    if len(plan.by_id) != len(plan.items) or len(set(names)) != len(names):
        return "an item or a method is named twice"
    if any({item.a, item.b} != {SHARP, BLURRED} for item in plan.checks) or not plan.pairs:
        return "its checks or pairs are none"
    if any(item.kind not in (PAIR, CHECK) for item in plan.items):
        return "an item is neither pair nor check"
    if not {name for item in plan.pairs for name in (item.a, item.b)} <= set(names):
        return "an item names an unknown method"
    if not safe_names(files):
        return "an image's name is no file in images/"
    if not 1 <= plan.per_person <= len(plan.pairs):
        return "per_person is not between 1 and the number of pairs"
    if plan.reference not in REFERENCES or plan.focus not in ("", *names):
        return "reference or focus is unknown"
    return None


def safe_names(files: Iterable[str]) -> bool:
    """Whether all are names ``prepare`` gives: hexadecimal digits and .png."""
    return all(len(f) == 36 and f.endswith(".png") and set(f[:-4]) <= set("0123456789abcdef") for f in files)
