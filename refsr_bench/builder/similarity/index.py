"""An index over folders of images: embeddings in Parquet shards, searched with faiss.

    index/codebook.npz        the embedding, where it was learnt on the pool
    index/shards/*.parquet    one row per file: path, bytes, mtime_ns, width, height, error, embedding
    index/faiss-*.index       made from the shards when they are many; may be removed at any time

A shard is written whole or not at all and is never redone; files that are new or changed go into new shards. Rows of
files that changed or vanished are left out of searches.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench.builder import engine
from refsr_bench.builder.engine import HERE, Progress, Workers, silent
from refsr_bench.builder.similarity import embed
from refsr_bench.builder.similarity.embed import DESCRIPTOR, WITHOUT_WEIGHTS, Embedding
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.images import EXTENSIONS, read_image

SHARD = 256  # images: under a minute of work, which is all that a kill can lose
BATCH = 16  # images that are decoded at once, for networks
EXACT = 20_000  # images up to which every embedding is compared; above, only a part of them
PROBED = 32  # cells of an inverted file that a query looks into: 98 % of the exact answers among 100,000 images
TRAINED_ON = 64  # images per cell, above the 39 below which faiss warns

Entry = tuple[str, int, int]
"""A file as it was when it was embedded: path, bytes, mtime_ns."""


@dataclass(frozen=True)
class Hit:
    """One answer: the file and the inner product of the unit vectors."""

    path: Path
    score: float


@dataclass(frozen=True)
class Task:
    """One shard to make: what a worker needs to know."""

    folder: Path
    files: tuple[Entry, ...]
    embedding: Embedding

    @property
    def target(self) -> Path:
        """The shard's file, named after the digest of its contents."""
        name = hashlib.sha256(repr(list(self.files)).encode()).hexdigest()[:16]
        return self.folder / "shards" / f"{name}.parquet"


def list_images(folders: Sequence[Path]) -> list[Entry]:
    """List every image file below the folders, sorted; hidden ones are left out.

    Raises Misuse for a folder that does not exist, and for a name that no table could hold.
    """
    found = {}
    for folder in folders:
        if not Path(folder).is_dir():
            raise Misuse(f"{folder}: no such folder.")
        for base, names, there in os.walk(Path(folder).resolve()):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in there:
                if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):
                    path = os.path.join(base, name)
                    if re.search("[\ud800-\udfff]", path):  # how Python shows bytes that are no UTF-8
                        raise Misuse(f"{path!r}: this name is no UTF-8. Rename the file or its folder.")
                    try:
                        facts = os.stat(path)
                    except OSError:
                        facts = os.lstat(path)  # a dangling link; whoever reads it says so
                    found[path] = (path, facts.st_size, facts.st_mtime_ns)
    return [found[path] for path in sorted(found)]


def build(
    folder: Path,
    sources: Sequence[Path],
    embedding: Embedding = WITHOUT_WEIGHTS,
    workers: Workers = HERE,
    progress: Progress = silent,
) -> Index:
    """Embed every image below ``sources`` that the index has not seen, and open the index on them.

    Raises Misuse for bad options, BenchError when no image can be used or the index was made with another embedding.
    """
    images = list_images(sources)
    if not images:
        raise Misuse(f"{', '.join(map(str, sources))}: no images.")
    files.make_folder(folder / "shards")
    _settle(folder, images, embedding)
    known = {entry for shard in _shards(folder) for entry in _entries(shard)}
    new = [entry for entry in images if entry not in known]
    tasks = [Task(folder, tuple(new[at : at + SHARD]), embedding) for at in range(0, len(new), SHARD)]
    done = len(images) - len(new)
    progress(done, len(images))
    for count in engine.run(make_shard, tasks, workers):
        done += count
        progress(done, len(images))
    return Index.open(folder, images)


def _settle(folder: Path, images: Sequence[Entry], embedding: Embedding) -> None:
    """Learn the codebook if it is needed and missing; refuse an index made with another embedding."""
    stated = folder / "embedding.txt"
    learnt = embedding.name == DESCRIPTOR
    wanted = DESCRIPTOR if learnt else f"{embedding.name} {_digest(embedding.weights)}"
    if stated.is_file():
        if (was := files.read_text(stated).strip()) != wanted:
            made_with = was.partition(" ")[0] or "nothing known"
            raise BenchError(f"{folder}: holds embeddings made with {made_with}. Remove it, or keep that setting.")
    elif _shards(folder):
        raise BenchError(f"{folder}: holds shards of unknown make. Remove it.")
    if learnt and not (folder / "codebook.npz").is_file():
        step = max(1, len(images) // embed.LEARN_IMAGES)
        embed.learn(readable(path for path, _, _ in images[::step])).save(folder / "codebook.npz")
    files.write_text(stated, wanted + "\n")


def _digest(weights: str) -> str:
    from refsr_bench.formats.checkpoints import sha256

    if not weights or not Path(weights).is_file():
        raise Misuse(f"weights: {weights or 'none given'}; an embedding by a network needs a local file of weights.")
    return sha256(Path(weights))


def readable(paths: Iterable[str | Path]) -> Iterator[Image]:
    """Return the images among these files that can be used."""
    for path in paths:
        try:
            yield read_image(path)
        except BenchError:
            continue


@lru_cache(maxsize=2)
def embedder(folder: Path | None, embedding: Embedding) -> embed.Embedder:
    """Return the embedding of an index, loaded once per process.

    folder: the index's, whose codebook DESCRIPTOR needs.
    """
    if embedding.name == DESCRIPTOR:
        return embed.Descriptor.load(Path(folder or ".") / "codebook.npz")
    return embed.backbone(embedding)


# -- shards --------------------------------------------------------------------------------------------------------


def make_shard(task: Task) -> int:
    """Embed the files of one shard, unless it exists, and write it. Returns the number of its files."""
    import pyarrow as pa

    if task.target.exists():
        return len(task.files)
    embedding = embedder(task.folder, task.embedding)
    rows = []
    for at in range(0, len(task.files), BATCH):
        entries = task.files[at : at + BATCH]
        images = [_image_or_fault(path) for path, _, _ in entries]
        usable = [image for image in images if not isinstance(image, str)]
        vectors = iter(embedding(usable) if usable else ())
        for (path, size, time), image in zip(entries, images, strict=True):
            row = {"path": path, "bytes": size, "mtime_ns": time}
            if isinstance(image, str):
                rows.append({**row, "width": 0, "height": 0, "error": image, "embedding": None})
            else:
                shape, vector = {"width": image.shape[1], "height": image.shape[0]}, next(vectors).astype(np.float16)
                rows.append({**row, **shape, "error": "", "embedding": vector})
    names = ("path", "bytes", "mtime_ns", "width", "height", "error", "embedding")
    kinds = (pa.string(), pa.int64(), pa.int64(), pa.int32(), pa.int32(), pa.string(), pa.list_(pa.float16()))
    write_shard(task.target, pa.Table.from_pylist(rows, pa.schema(zip(names, kinds, strict=True))))
    return len(task.files)


def _image_or_fault(path: str) -> Image | str:
    try:
        return read_image(path)
    except BenchError as error:
        return str(error)


def write_shard(target: Path, table: Any) -> None:
    """Write a pyarrow table, whole or not at all. Raises BenchError when the disk refuses."""
    import pyarrow.parquet as pq

    with files.saving(target) as partial_path:
        pq.write_table(table, partial_path, compression="zstd")


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("[!.]*.parquet"))


def _columns(shard: Path, names: Sequence[str]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(shard, columns=list(names))
    except (OSError, pa.ArrowException) as error:
        raise BenchError(f"{shard}: damaged ({error}). Remove it; it will be made again.") from None


def _entries(shard: Path) -> list[Entry]:
    table = _columns(shard, ("path", "bytes", "mtime_ns"))
    return list(zip(*(table[name].to_pylist() for name in ("path", "bytes", "mtime_ns")), strict=True))


# -- searching -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Index:
    """Searchable embeddings. paths: row by row. errors: files that could not be used, and why."""

    paths: tuple[str, ...]
    errors: tuple[str, ...]
    searcher: Any

    @classmethod
    def open(cls, folder: Path, images: Sequence[Entry]) -> Index:
        """Open the index on these files (as ``list_images`` gives them), from existing shards."""
        present, paths, errors = set(images), [], []
        keep: list[tuple[Path, np.ndarray]] = []
        for shard in _shards(folder):
            rows = []
            said = _columns(shard, ("error",))["error"].to_pylist()
            for row, (entry, error) in enumerate(zip(_entries(shard), said, strict=True)):
                if entry not in present:
                    continue
                present.discard(entry)  # count it once, even if two shards know it
                if error:
                    errors.append(error)
                else:
                    rows.append(row)
                    paths.append(entry[0])
            if rows:
                keep.append((shard, np.array(rows)))
        if not paths:
            raise BenchError(f"{folder}: none of the images can be used. {' '.join(errors[:2])}")
        return cls(tuple(paths), tuple(errors), _searcher(folder, keep, len(paths)))

    def search(self, vector: np.ndarray, top: int) -> list[Hit]:
        """Return the ``top`` most similar files to a unit vector (d,), best first."""
        scores, rows = self.searcher.search(np.ascontiguousarray(vector[None], np.float32), min(top, len(self.paths)))
        # -1 stands for no answer: the searched cells held fewer
        return [Hit(Path(self.paths[r]), float(s)) for s, r in zip(scores[0], rows[0], strict=True) if r >= 0]


def _searcher(folder: Path, keep: Sequence[tuple[Path, np.ndarray]], count: int) -> Any:
    """A faiss index over the kept rows: the stored one if it covers exactly these, else a new one, stored if large."""
    import faiss

    stored = folder / f"faiss-{_state(keep)}.index"
    if stored.is_file() and not stored.is_symlink():
        try:
            searcher = faiss.read_index(str(stored), faiss.IO_FLAG_MMAP)
        except RuntimeError:  # damaged: faiss's own check of sizes
            searcher = None
        if searcher is not None and (searcher.ntotal, searcher.d) == (count, next(_vectors(keep)).shape[1]):
            return searcher
    searcher = searcher_of(partial(_vectors, keep), count)
    if count > EXACT:
        for old in folder.glob("faiss-*.index"):
            old.unlink(missing_ok=True)
        with files.saving(stored) as partial_path:
            faiss.write_index(searcher, str(partial_path))
    return searcher


def _state(keep: Sequence[tuple[Path, np.ndarray]]) -> str:
    total = hashlib.sha256()
    for shard, rows in keep:
        total.update(shard.name.encode())
        total.update(rows.astype(np.int64))
    return total.hexdigest()[:16]


def _vectors(keep: Sequence[tuple[Path, np.ndarray]], every: int = 1) -> Iterator[np.ndarray]:
    """Yield embeddings (n, d) float32, shard by shard. every: take only each n-th shard."""
    for shard, rows in keep[::every]:
        column = _columns(shard, ("embedding",))["embedding"].combine_chunks()
        usable = np.asarray(column.is_valid())
        values = np.asarray(column.drop_null().flatten()).reshape(int(usable.sum()), -1)
        at = np.cumsum(usable) - 1  # position among the valid rows, for each row of the shard
        yield values[at[rows]].astype(np.float32)


def searcher_of(vectors: Callable[..., Iterator[np.ndarray]], count: int) -> Any:
    """Return a faiss index over ``count`` unit vectors in blocks from ``vectors(every)``, which may be called twice.

    Few vectors are compared one by one. Many go into an inverted file in half precision, which takes 2 bytes a number.
    Only one block at a time is in single precision, besides the sample that the cells are learnt on.
    """
    import faiss

    first = next(vectors())
    dimensions = first.shape[1]
    searcher = faiss.IndexFlatIP(dimensions)
    if count > EXACT:
        cells = max(1, min(int(4 * np.sqrt(count)), count // 4))  # faiss's guidelines: 4 sqrt(n) up to a million
        wanted = cells * TRAINED_ON
        sample = np.concatenate(list(vectors(max(1, count // wanted))))[:wanted]
        searcher = faiss.IndexIVFScalarQuantizer(
            searcher, dimensions, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        searcher.train(np.ascontiguousarray(sample))
        searcher.nprobe = PROBED
    for block in vectors():
        searcher.add(np.ascontiguousarray(block))
    return searcher
