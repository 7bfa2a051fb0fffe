"""A project folder: where its parts lie, who is at work in it, and how far it is.

build.toml       settings that differ from the defaults
queries.csv      input images, queries/
pool.csv         candidates, pool/files/ (each file once, whoever found it for whichever query)
clean.csv        what was kept, and why not
selection.jsonl  every decision of every annotator
selected.csv     what came of them
rescaled.csv     finished pairs, rescaled/input/ and rescaled/ref/
export/          what is published
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsr_bench.builder import settings, tables
from refsr_bench.builder.rows import DROPPED, KEPT, Candidate, Cleaned, Query, Rescaled, Selected
from refsr_bench.builder.settings import Settings
from refsr_bench.core import files
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Busy, Misuse
from refsr_bench.core.extras import require


@dataclass(frozen=True)
class Stage:
    """One stage's progress. done, total: items with a row, and all items. detail: in words."""

    name: str
    done: int
    total: int
    detail: str


def _check_links(folder: Path) -> None:
    """Raise BenchError for a link below a project that leads out of it.

    A stranger who made the project could otherwise choose what a stage reads or overwrites.
    """
    waiting = [os.fspath(folder)]
    try:
        while waiting:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        files.inside(folder, Path(entry.path).relative_to(folder).as_posix())
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    except OSError as error:
        raise BenchError(f"{error.filename or folder}: cannot be listed ({error.strerror}).") from None
    except BenchError as error:
        raise BenchError(f"{error} Put the files themselves there; no stage follows such a link.") from None


@dataclass(frozen=True)
class Project:
    """An open project. Tables are read anew at each call, because other processes may be adding rows."""

    path: Path
    settings: Settings

    @classmethod
    def create(cls, path: str | Path, **chosen: Any) -> Project:
        """Make a project folder with these settings.

        Raises Misuse when there is one already, or when packages are missing that its stages need.
        """
        require("build")
        made = cls(Path(path), settings.changed(chosen, "settings"))
        if (made.path / settings.FILE).exists():
            status = command("build", "wrsr", "status", made.path)
            raise Misuse(f"{path}: is a project already. To see its progress: {status}")
        for folder in ("queries", "pool/files"):
            files.make_folder(made.path / folder)
        files.write_text(made.path / settings.FILE, settings.as_toml(made.settings))
        return made

    @classmethod
    def open(cls, path: str | Path) -> Project:
        """Open a project folder.

        Raises Misuse when the folder is no project, a setting does not fit or packages are missing that stages need,
        BenchError naming a link out of it.
        """
        require("build")
        path = Path(path)
        if not os.path.lexists(path / settings.FILE):
            make = command("build", "wrsr", "init", path)
            raise Misuse(f"{path}: is no project ({settings.FILE} is missing). Make one: {make}")
        _check_links(path)
        return cls(path, settings.read(path / settings.FILE))

    @contextmanager
    def lock(self, stage: str) -> Iterator[None]:
        """Hold the lock of a stage while it writes its table.

        Raises Misuse, which tells the holder, at once when another process holds it, and BenchError after a block
        during which the project vanished.
        """
        # each stage has a lock, so stages may run side by side
        folder = files.make_folder(self.path / ".locks" / stage, below=self.path)
        with ExitStack() as held:
            try:
                held.enter_context(files.locked(folder, f"another process ('{stage}')", "stop it"))
            except Busy as busy:
                raise Misuse(f"{self.path}: {busy}") from None
            held.enter_context(files.standing(self.path))
            yield

    def table(self, name: str) -> Path:
        return self.path / f"{name}.csv"

    def file(self, name: str) -> Path:
        """Return the path of a ``file`` cell. Raises BenchError for a name that leaves the project."""
        return files.inside(self.path, name)

    def pool_file(self, data: bytes, suffix: str) -> str:
        """Put the bytes of an image file into the pool, once, and return its name. suffix: ".jpg", ".png" ..."""
        name = f"pool/files/{hashlib.sha256(data).hexdigest()}{suffix.lower()}"
        path = self.path / name
        if not path.exists():
            files.make_folder(path.parent, below=self.path)
            files.write_bytes(path, data)
        return name

    @property
    def queries(self) -> list[Query]:
        return tables.read(self.table("queries"), Query)

    @property
    def kept_queries(self) -> list[Query]:
        return [query for query in self.queries if query.state == KEPT]

    @property
    def pool(self) -> list[Candidate]:
        return tables.read(self.table("pool"), Candidate)

    @property
    def cleaned(self) -> list[Cleaned]:
        return tables.read(self.table("clean"), Cleaned)

    @property
    def selected(self) -> list[Selected]:
        return tables.read(self.table("selected"), Selected)

    @property
    def rescaled(self) -> list[Rescaled]:
        return tables.read(self.table("rescaled"), Rescaled)

    @property
    def selection_log(self) -> Path:
        return self.path / "selection.jsonl"

    def status(self) -> list[Stage]:
        """Return the progress of every stage."""
        queries, pool, cleaned = self.queries, self.pool, self.cleaned
        kept = {query.id for query in queries if query.state == KEPT}
        pooled = {row.query for row in pool} & kept
        wanted = {(row.query, row.file) for row in pool if row.query in kept}
        seen = {(row.query, row.file) for row in cleaned} & wanted
        selected = [row for row in self.selected if row.query in kept]
        chosen = {(row.query, row.file) for row in selected if row.file}
        rescaled = {(row.query, row.file) for row in self.rescaled} & chosen
        exported = (self.path / "export" / "pairs.txt").is_file()
        dropped = sum(query.state == DROPPED for query in queries)
        return [
            Stage("queries", len(kept), len(queries), f"{dropped} dropped"),
            Stage("pool", len(pooled), len(kept), f"{len(pool)} candidates"),
            Stage("clean", len(seen), len(wanted), f"{sum(row.kept for row in cleaned)} kept"),
            Stage("select", len(selected), len(kept), f"{len(chosen)} with a reference"),
            Stage("rescale", len(rescaled), len(chosen), f"{len(rescaled)} pairs"),
            Stage("export", int(exported), 1, "export/" if exported else "not yet"),
        ]
