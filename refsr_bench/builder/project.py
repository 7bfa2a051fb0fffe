"""A project folder: where its parts lie, its settings, who is at work in it, and how far it is.

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

import dataclasses
import difflib
import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from refsr_bench.builder import tables
from refsr_bench.builder.rows import DROPPED, KEPT, Candidate, Cleaned, Query, Rescaled, Selected
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import write_text

Row = TypeVar("Row")
SETTINGS = "build.toml"
LICENSES = ("cc0", "pdm", "by", "by-sa")


@dataclass(frozen=True)
class Settings:
    """What may be set for a project, in ``build.toml``; the defaults are the paper's where it says something.

    name, title: of the data set. contact: an address that web servers are told, who asks. scale: of super-resolution.
    top: candidates per query. providers: in the order they are asked. licenses: what is accepted from the web.

    Filters, for queries and candidates: min_long_side in pixels and ref_min_share (of the input's long side), sharpness
    (variance of the Laplacian at native size), jpeg_quality. hash_distance, pool_distance: pHash bits of 64 up to which
    a candidate duplicates the query, or a better candidate. leak_share, leak_psnr: see ``similar``. min_inliers:
    matches that count as verified, for ranks, for a scale estimate and for --auto to accept a candidate.

    max_ratio: a reference is reduced when it shows more than this many pixels per pixel of the input, or, where matches
    allow no estimate, when its long side is more than this times the input's. max_long_ratio: bounds its long side
    anyway. embedding: "descriptor" (no weights), or "torchvision:NAME" or "timm:NAME" with ``weights``, a local file.
    """

    name: str = "wrsr-new"
    title: str = "WR-SR, rebuilt"
    contact: str = ""
    scale: int = 4
    top: int = 50
    providers: tuple[str, ...] = ("local",)
    licenses: tuple[str, ...] = LICENSES
    query_min_long_side: int = 320
    query_max_long_side: int = 0
    query_sharpness: float = 50.0
    query_jpeg_quality: int = 50
    ref_min_long_side: int = 320
    ref_min_share: float = 0.66
    ref_sharpness: float = 50.0
    ref_jpeg_quality: int = 50
    hash_distance: int = 6
    pool_distance: int = 10
    leak_share: float = 0.1
    leak_psnr: float = 27.0
    min_inliers: int = 12
    max_ratio: float = 1.2
    max_long_ratio: float = 2.0
    embedding: str = "descriptor"
    weights: str = ""


@dataclass(frozen=True)
class Stage:
    """One stage's progress. done, total: items it has a row for, and items there are. detail: in words."""

    name: str
    done: int
    total: int
    detail: str


@dataclass(frozen=True)
class Project:
    """An open project. Tables are read anew at each call: other processes may be adding rows."""

    path: Path
    settings: Settings

    @classmethod
    def create(cls, path: str | Path, **settings: Any) -> Project:
        """Make a project folder; raises Misuse when there is one already."""
        path = Path(path)
        if (path / SETTINGS).exists():
            raise Misuse(f"{path}: is a project already. 'refsr-bench build wrsr status {path}' shows how far it is.")
        chosen = changed(Settings(), settings, "settings")
        try:
            for folder in ("queries", "pool/files"):
                (path / folder).mkdir(parents=True, exist_ok=True)
            write_text(path / SETTINGS, as_toml(chosen))
        except OSError as error:
            raise BenchError(f"{path}: cannot be made ({error.strerror or error}). Choose another folder.") from None
        return cls(path, chosen)

    @classmethod
    def open(cls, path: str | Path) -> Project:
        """Open a project folder. Raises Misuse when it is none, or when a setting does not fit."""
        path = Path(path)
        try:
            values = tomllib.loads((path / SETTINGS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise Misuse(f"{path}: is no project ({SETTINGS} is missing). Make one: build wrsr init {path}") from None
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Misuse(f"{path / SETTINGS}: cannot be read as TOML ({error}).") from None
        return cls(path, changed(Settings(), values, str(path / SETTINGS)))

    @contextmanager
    def lock(self, stage: str) -> Iterator[None]:
        """Held while a stage writes its table; raises Misuse at once when another process is at this stage."""
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path / f".{stage}.lock", timeout=0):
                yield
        except Timeout:
            raise Misuse(f"{self.path}: another process is at work on '{stage}'. Wait for it, or stop it.") from None

    def table(self, name: str) -> Path:
        return self.path / f"{name}.csv"

    def file(self, name: str) -> Path:
        """The file behind a ``file`` cell. Raises BenchError for a name that leaves the project."""
        pure = PurePosixPath(name)
        if not name or pure.is_absolute() or ".." in pure.parts or "\\" in name:
            raise BenchError(f"{self.path}: {name!r} leads out of the project; its tables were changed by hand.")
        return self.path / name

    def pool_file(self, data: bytes, suffix: str) -> str:
        """Put the bytes of an image file into the pool, once, and return its name. suffix: ".jpg", ".png" ..."""
        name = f"pool/files/{hashlib.sha256(data).hexdigest()}{suffix.lower()}"
        path = self.path / name
        if not path.exists():
            partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    partial.write_bytes(data)
                    partial.replace(path)
                finally:
                    partial.unlink(missing_ok=True)
            except OSError as error:
                raise BenchError(f"{path}: cannot be written ({error.strerror or error}). Make room.") from None
        return name

    def relative(self, path: Path) -> str:
        """A path inside the project as the tables write it."""
        return path.relative_to(self.path).as_posix()

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

    def candidates(self, query: str) -> list[Cleaned]:
        """The kept candidates of one query, most similar first."""
        return sorted((row for row in self.cleaned if row.query == query and row.kept), key=lambda row: row.rank)

    def status(self) -> list[Stage]:
        """How far every stage is."""
        queries = self.queries
        kept = {query.id for query in queries if query.state == KEPT}
        pool, cleaned = self.pool, self.cleaned
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


def changed(settings: Settings, values: Mapping[str, Any], source: str) -> Settings:
    """``settings`` with ``values``; raises Misuse naming ``source`` for unknown names and values of another type."""
    known = {f.name: f for f in dataclasses.fields(settings)}
    given = {}
    for name, value in values.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise Misuse(f"{source}: there is no setting called {name}. {hint}")
        given[name] = _checked(name, value, known[name].default, source)
    return dataclasses.replace(settings, **given)


def _checked(name: str, value: Any, default: Any, source: str) -> Any:
    if isinstance(default, tuple) and isinstance(value, (list, tuple)) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if isinstance(default, float) and type(value) in (int, float):
        value = float(value)
    if type(value) is not type(default):
        words = {tuple: "a list of words", float: "a number", int: "a whole number", str: "text"}
        raise Misuse(f"{source}: {name} is {value!r}, it must be {words[type(default)]}.")
    if isinstance(value, (int, float)) and value < (1 if name in ("scale", "top") else 0):
        raise Misuse(f"{source}: {name} is {value}, it is too small.")
    return value


def parse(settings: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` of a command line, values as TOML or as plain text."""
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise Misuse(f"--set {setting}: expected NAME=VALUE.")
        try:
            values[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            values[name.strip()] = text
    return values


def as_toml(settings: Settings) -> str:
    """What differs from the defaults, as a TOML file that ``Project.open`` reads back."""
    lines = ["# Settings that differ from the defaults (refsr_bench/builder/project.py, class Settings)."]
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if value != f.default:
            lines.append(f"{f.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted) + '"'
    return repr(value)
