"""The plan of a study, ``plan.json``: written once and never changed, because every vote refers to its digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from refsr_bench.core import files, reader
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import Count, Format, Name, Text

SCHEMA_VERSION = 1
PLAN, IMAGES, VOTES = "plan.json", "images", "votes.jsonl"
PAIR, CHECK, REPEAT = "pair", "check", "repeat"
SHARP, BLURRED = "sharp", "blurred"  # these stand in place of methods in a check
MOST_BYTES = 24 << 20  # every two of ten methods on 1,600 images; parsed JSON takes up to twenty times its bytes

Reference = Literal["none", "hr", "ref"]
File = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\.png\Z", max_length=36)]
"""The name of an image in ``images/``: a keyed digest of its content, which does not reveal the method."""
FileOrNone = Annotated[str, Meta(pattern=r"^([0-9a-f]{32}\.png)?\Z", max_length=36)]
# Integers stay integers: plans made through Python may hold 0 or 1, and 0.0 would change their digest.
Share = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]


class Method(Format):
    """One method. weights: their name in its results; "" for plain folders."""

    name: Name
    title: Text
    weights: Text = ""


class Item(Format):
    """One comparison: one image by two methods, or a check whose answer is known: a is SHARP, b is BLURRED.

    a, b: names of methods; a_file, b_file, reference_file: names in ``images/``, the last "" for no reference.
    """

    id: Name
    kind: Literal["pair", "check"]
    image: Text
    a: Name
    b: Name
    a_file: File
    b_file: File
    reference_file: FileOrNone = ""

    def other(self, name: str) -> str:
        """Return the name that ``name`` is compared with."""
        return self.b if name == self.a else self.a

    def file(self, name: str) -> str:
        """Return the file of the image by ``name``."""
        return self.a_file if name == self.a else self.b_file


class Plan(Format, dict=True):  # dict makes room for the cached properties
    """A study. focus: the method that is compared with every other one; "" if all are compared with all.

    reference: the image shown between the two: "hr" (the ground truth), "ref" (the method's reference) or "none". crop:
    the side in pixels of the window that is shown; 0 for whole images. per_person: comparisons of one participant;
    checks and repeats are added, and ``attention`` and ``repeats`` are their shares of it. pass_share: the share of
    checks that a participant must answer right to count. checks_from: the images that checks were made from, in words.
    dataset, protocol: of the results; "" for plain folders. notes: what readers should know about how the study was
    made.
    """

    title: Text
    question: Text
    methods: tuple[Method, ...]
    focus: Text
    reference: Reference
    ties: bool
    crop: Count
    per_person: Count
    attention: Share
    repeats: Share
    pass_share: Share
    seed: Annotated[int, Meta(ge=0)]
    checks_from: Text
    items: tuple[Item, ...]
    dataset: Text = ""
    dataset_title: Text = ""
    dataset_sha256: Text = ""
    protocol: Text = ""
    protocol_digest: Text = ""
    notes: tuple[Text, ...] = ()
    schema_version: Literal[1] = SCHEMA_VERSION

    @cached_property
    def digest(self) -> str:
        return reader.digest(self)

    @cached_property
    def by_id(self) -> dict[str, Item]:
        return {item.id: item for item in self.items}

    @cached_property
    def sides(self) -> frozenset[tuple[str, str]]:
        """Every item with each name that may be shown left."""
        return frozenset((item.id, name) for item in self.items for name in (item.a, item.b))

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
        # Repeats are drawn from the first third of a session, each comparison at most once.
        return min(round(self.repeats * self.per_person), self.per_person // 3)

    @property
    def length(self) -> int:
        """The number of questions that one participant is asked."""
        return self.per_person + self.checks_per_person + self.repeats_per_person


def write(folder: Path, plan: Plan) -> None:
    """Write ``plan.json``. Raises BenchError when the disk refuses."""
    files.write_text(folder / PLAN, reader.dumps(plan))


def read(folder: Path) -> Plan:
    """Read the plan of a study folder.

    Raises Misuse when there is none, BenchError naming the field that does not fit.
    """
    path = folder / PLAN
    if not path.exists():
        make = command("study", "init", folder, "--methods", "A,B", "--dataset", "DATASET")
        raise Misuse(f"{folder} is no study: it has no {PLAN}. To make one: {make}")
    values = reader.parse_json(files.read_text(path, MOST_BYTES), str(path))
    version = values.get("schema_version") if isinstance(values, Mapping) else None
    if version != SCHEMA_VERSION:
        raise BenchError(f"{path}: schema_version {version!r}; this refsr-bench reads {SCHEMA_VERSION}.")
    plan = reader.convert(values, Plan, str(path))
    if wrong := _contradiction(plan):
        raise BenchError(f"{path}: {wrong}. The file was changed by hand; make the study anew.")
    return plan


def _contradiction(plan: Plan) -> str | None:
    """Return the first statement that the rest of the plan contradicts, in words."""
    names = [method.name for method in plan.methods]
    for what, found in (("item", [item.id for item in plan.items]), ("method", names)):
        if twice := [name for name, times in Counter(found).items() if times > 1]:
            return f"the {what} {twice[0]!r} is there twice"
    if wrong := [item.id for item in plan.checks if {item.a, item.b} != {SHARP, BLURRED}]:
        return f"the check {wrong[0]!r} is not of {SHARP} and {BLURRED}"
    if not {name for item in plan.pairs for name in (item.a, item.b)} <= set(names):
        return "an item names an unknown method"
    if not 1 <= plan.per_person <= len(plan.pairs):
        return f"per_person is {plan.per_person}, not between 1 and the number of pairs, {len(plan.pairs)}"
    if plan.focus not in ("", *names):
        return f"focus is {plan.focus!r}, which is no method"
    return None
