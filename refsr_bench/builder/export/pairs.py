"""The finished pairs of a project with every fact known about them, and whether they may be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from refsr_bench.builder import licenses
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import UNKNOWN, Candidate, Cleaned, Query, Rescaled, Selected
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.core.lists import some


@dataclass(frozen=True)
class Picture:
    """One image of a pair.

    file: its path in the export. row: its row in the tables, with its origin. stored: its path in the project. cut:
    (width, height) of the part that is used. size: (width, height) in the export. changes: the edits, in words.
    """

    file: str
    row: Query | Candidate
    stored: str
    cut: tuple[int, int]
    size: tuple[int, int]
    changes: str

    @property
    def changed(self) -> bool:
        return self.changes != UNCHANGED

    @property
    def license(self) -> tuple[str, str]:
        """Return (name, version)."""
        return self.row.license, self.row.license_version


UNCHANGED = "none"


@dataclass(frozen=True)
class Pair:
    """One pair. name: NNN, counted from 001."""

    name: str
    query: Query
    candidate: Candidate
    cleaned: Cleaned
    selected: Selected
    rescaled: Rescaled

    @property
    def category(self) -> str:
        return self.selected.category or self.query.category

    @property
    def input(self) -> Picture:
        row = self.rescaled
        size = row.input_width, row.input_height
        uncut = size == (row.input_width_before, row.input_height_before)
        changes = UNCHANGED if uncut else f"cut to {size[0]}x{size[1]}"
        return Picture(f"input/{self.name}.png", self.query, row.input, size, size, changes)

    @property
    def ref(self) -> Picture:
        row = self.rescaled
        cut, size = (row.ref_width_before, row.ref_height_before), (row.ref_width, row.ref_height)
        changes = f"reduced to {size[0]}x{size[1]} ({row.resampling})" if row.factor < 1 else UNCHANGED
        return Picture(f"ref/{self.name}_ref.png", self.candidate, row.ref, cut, size, changes)

    @property
    def pictures(self) -> tuple[Picture, Picture]:
        return self.input, self.ref


def pictures(pairs: Sequence[Pair]) -> list[Picture]:
    """Return the input and reference of every pair, in order."""
    return [picture for pair in pairs for picture in pair.pictures]


def categories(pairs: Sequence[Pair]) -> Counter[str]:
    """Count the inputs of each category."""
    return Counter(pair.category or UNKNOWN for pair in pairs)


def finished(project: Project) -> list[Pair]:
    """Return the selected pairs in the order of their queries. Raises Misuse when some were not rescaled."""
    queries = {row.id: row for row in project.kept_queries}
    pool = {(row.query, row.file): row for row in reversed(project.pool)}  # the first provider's row counts
    cleaned = {(row.query, row.file): row for row in project.cleaned}
    rescaled = {(row.query, row.file): row for row in project.rescaled}
    chosen = {(row.query, row.file): row for row in project.selected if row.file and row.query in queries}
    todo = sum(key not in rescaled for key in chosen)
    if todo or not chosen:
        first = command("build", "wrsr", "rescale", project.path)
        raise Misuse(f"{project.path}: {todo or 'all'} pairs not finished. First: {first}")
    width = max(3, len(str(len(chosen))))
    return [
        Pair(
            f"{n:0{width}d}",
            queries[key[0]],
            pool.get(key, Candidate(*key)),
            cleaned.get(key, Cleaned(*key, kept=True)),
            chosen[key],
            rescaled[key],
        )
        for n, key in enumerate(sorted(chosen), 1)
    ]


def check_licenses(pairs: Sequence[Pair], by_reference: bool) -> None:
    """Raise Misuse when a licence forbids an image's edits (no derivatives), or when an image without a web address is
    to be published by reference."""
    if by_reference:
        nowhere = [p.file for p in pictures(pairs) if not p.row.source_url.startswith(("http://", "https://"))]
        if nowhere:
            raise Misuse(f"{len(nowhere)} images have no web address to refer to: {some(nowhere)}.")
        return
    closed = [p for p in pictures(pairs) if p.changed and licenses.forbids_changes(p.row.license)]
    if closed:
        named = some([f"{p.file} ({p.row.license})" for p in closed])
        raise Misuse(
            f"{len(closed)} images are under licences without derivatives and were cut or reduced: {named}. "
            "Choose others, or export with --by-reference."
        )
