"""A person's statements about the images of folders: about all of them (command line) or single ones (a table)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from refsr_bench.builder import tables
from refsr_bench.builder.rows import Stated, StatedQuery
from refsr_bench.core.errors import Misuse


class _OfFile(Stated, kw_only=True):
    file: str


class _OfQueryFile(StatedQuery, kw_only=True):
    file: str


def said(row: Stated) -> dict[str, str]:
    """Return the fields that are not empty, except those that only say which image is meant."""
    return {name: value for name in StatedQuery.__struct_fields__ if (value := getattr(row, name, ""))}


@dataclass(frozen=True)
class Statements:
    """Facts of every image, and of single files by their absolute path; the latter take precedence."""

    common: Mapping[str, str] = field(default_factory=dict)
    single: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, common: Mapping[str, str], table: Path | None = None, queries: bool = False) -> Statements:
        """Read the statements.

        table: CSV with a column ``file``, relative to its own folder, and fields of ``Stated`` (``StatedQuery`` for
        queries). Raises Misuse naming what does not fit.
        """
        if table is None:
            return cls(common)
        base = table.resolve().parent
        rows = tables.given(table, _OfQueryFile if queries else _OfFile)
        single = {}
        for row in rows:
            try:
                single[(base / row.file).resolve()] = said(row)
            except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL
                raise Misuse(f"{table}: {row.file!r} is no file's name.") from None
        return cls(common, single)

    def of(self, path: Path) -> dict[str, str]:
        """Return every statement about one file."""
        return {**self.common, **self.single.get(path, {})}


SILENT = Statements()
