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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from refsr_bench.builder import engine
from refsr_bench.builder.similarity import embed
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.pixels.images import EXTENSIONS, read_image

SHARD = 256  # images
BATCH = 16
EXACT = 20_000  # images up to which every embedding is compared; above, a part of them
PROBED = 32  # cells of an inverted file that a query looks into
TRAINED_ON = 64  # images per cell
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Hit:
    """One answer: the file and the inner product of the unit vectors."""

    path: Path
    score: float


@dataclass(frozen=True)
class Task:
    """One shard to make: what a worker needs to know."""

    folder: str
    name: str
    files: tuple[tuple[str, int, int], ...]  # path, bytes, mtime_ns
    embedding: str
    weights: str


def list_images(folders: Sequence[Path]) -> list[tuple[str, int, int]]:
    """(path, bytes, mtime_ns) of every image file below the folders, sorted; hidden ones are left out.

    Raises Misuse for a folder that does not exist.
    """
    found = {}
    for folder in folders:
        if not Path(folder).is_dir():
            raise Misuse(f"{folder}: no such folder.")
        for base, names, files in os.walk(Path(folder).resolve()):
            names[:] = [name for name in names if not name.startswith(".")]
            for name in files:
                if os.path.splitext(name)[1].lower() in EXTENSIONS and not name.startswith("."):
                    path = os.path.join(base, name)
                    facts = os.stat(path)
                    found[path] = (path, facts.st_size, facts.st_mtime_ns)
    return [found[path] for path in sorted(found)]


def build(
    folder: Path,
    sources: Sequence[Path],
    embedding: str = "descriptor",
    weights: str = "",
    engine_name: str = "local",
    workers: int = 1,
    progress: Progress | None = None,
) -> Index:
    """Embed every image below ``sources`` that the index has not seen, and open the index on them.

    Raises Misuse for bad options, BenchError when no image can be used or the index was made with another embedding.
    """
    files = list_images(sources)
    if not files:
        raise Misuse(f"{', '.join(map(str, sources))}: no images.")
    try:
        (folder / "shards").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(f"{folder}: cannot be made ({error.strerror or error}). Choose another folder.") from None
    _settle(folder, files, embedding, weights)
    known = {entry for shard in _shards(folder) for entry in _entries(shard)}
    new = [entry for entry in files if entry not in known]
    tasks = [_task(folder, new[at : at + SHARD], embedding, weights) for at in range(0, len(new), SHARD)]
    done = len(files) - len(new)
    if progress:
        progress(done, len(files))
    for count in engine.run(make_shard, tasks, engine_name, workers):
        done += count
        if progress:
            progress(done, len(files))
    return Index.open(folder, files)


def _task(folder: Path, files: Sequence[tuple[str, int, int]], embedding: str, weights: str) -> Task:
    name = hashlib.sha256(repr(list(files)).encode()).hexdigest()[:16]
    return Task(str(folder), name, tuple(files), embedding, weights)


def _settle(folder: Path, files: Sequence[tuple[str, int, int]], embedding: str, weights: str) -> None:
    """Learn the codebook where it is needed and not there; refuse an index made with something else."""
    from refsr_bench.core.files import write_text

    stated = folder / "embedding.txt"
    wanted = embedding if embedding == "descriptor" else f"{embedding} {_digest(weights)}"
    if stated.is_file():
        if (was := stated.read_text(encoding="utf-8").strip()) != wanted:
            raise BenchError(f"{folder}: holds embeddings made with {was.split()[0]}. Remove it, or keep that setting.")
    elif any(_shards(folder)):
        raise BenchError(f"{folder}: holds shards of unknown make. Remove it.")
    if embedding == "descriptor" and not (folder / "codebook.npz").is_file():
        step = max(1, len(files) // embed.LEARN_IMAGES)
        embed.learn(readable(path for path, _, _ in files[::step])).save(folder / "codebook.npz")
    write_text(stated, wanted + "\n")


def _digest(weights: str) -> str:
    from refsr_bench.learning.checkpoints import sha256

    if not weights or not Path(weights).is_file():
        raise Misuse(f"weights: {weights or 'none given'}; an embedding by a network needs a local file of weights.")
    return sha256(Path(weights))


def readable(paths) -> Iterator[np.ndarray]:
    for path in paths:
        try:
            yield read_image(path)
        except BenchError:
            continue


@lru_cache(maxsize=2)
def embedder(folder: str, embedding: str, weights: str) -> embed.Embedder:
    """The embedding of an index, loaded once per process."""
    if embedding == "descriptor":
        return embed.Descriptor.load(Path(folder) / "codebook.npz")
    return embed.backbone(embedding, Path(weights))


def make_shard(task: Task) -> int:
    """Embed the files of one shard, unless it is there, and write it. Returns how many files it has."""
    import pyarrow as pa

    target = Path(task.folder) / "shards" / f"{task.name}.parquet"
    if target.exists():
        return len(task.files)
    vectors: list[np.ndarray | None] = []
    sizes, errors = [], []
    embedding = embedder(task.folder, task.embedding, task.weights)
    for at in range(0, len(task.files), BATCH):
        images = []
        for path, _, _ in task.files[at : at + BATCH]:
            try:
                images.append(read_image(path))
                errors.append("")
            except BenchError as error:
                images.append(None)
                errors.append(str(error))
        sizes += [(0, 0) if image is None else (image.shape[1], image.shape[0]) for image in images]
        usable = [image for image in images if image is not None]
        made = iter(embedding(usable) if usable else ())
        vectors += [None if image is None else next(made).astype(np.float16) for image in images]
    table = pa.table(
        {
            "path": [path for path, _, _ in task.files],
            "bytes": pa.array([size for _, size, _ in task.files], pa.int64()),
            "mtime_ns": pa.array([time for _, _, time in task.files], pa.int64()),
            "width": pa.array([width for width, _ in sizes], pa.int32()),
            "height": pa.array([height for _, height in sizes], pa.int32()),
            "error": errors,
            "embedding": pa.array(vectors, pa.list_(pa.float16())),
        }
    )
    write_shard(target, table)
    return len(task.files)


def write_shard(target: Path, table) -> None:
    """Whole or not at all. Raises BenchError when the disk refuses."""
    import pyarrow.parquet as pq

    partial_path = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        try:
            pq.write_table(table, partial_path, compression="zstd")
            partial_path.replace(target)
        finally:
            partial_path.unlink(missing_ok=True)
    except OSError as error:
        raise BenchError(f"{target}: cannot be written ({error.strerror or error}). Make room.") from None


def _shards(folder: Path) -> list[Path]:
    return sorted((folder / "shards").glob("[!.]*.parquet"))


def _columns(shard: Path, names: Sequence[str]):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(shard, columns=list(names))
    except (OSError, pa.ArrowException) as error:
        raise BenchError(f"{shard}: damaged ({error}). Remove it; it will be made again.") from None


def _entries(shard: Path) -> list[tuple[str, int, int]]:
    table = _columns(shard, ("path", "bytes", "mtime_ns"))
    return list(zip(*(table[name].to_pylist() for name in ("path", "bytes", "mtime_ns")), strict=True))


@dataclass(frozen=True)
class Index:
    """Searchable embeddings. paths: row by row; errors: files that could not be used, and why."""

    paths: tuple[str, ...]
    errors: tuple[str, ...]
    searcher: object

    @classmethod
    def open(cls, folder: Path, files: Sequence[tuple[str, int, int]]) -> Index:
        """The index on these files (as ``list_images`` gives them), from shards that are there."""
        import faiss

        present, paths, errors = set(files), [], []
        keep: list[tuple[Path, np.ndarray]] = []
        for shard in _shards(folder):
            rows = []
            said = _columns(shard, ("error",))["error"].to_pylist()
            for row, (entry, error) in enumerate(zip(_entries(shard), said, strict=True)):
                if entry not in present:
                    continue
                present.discard(entry)  # once, should two shards know it
                if error:
                    errors.append(error)
                else:
                    rows.append(row)
                    paths.append(entry[0])
            if rows:
                keep.append((shard, np.array(rows)))
        if not paths:
            raise BenchError(f"{folder}: none of the images can be used. {' '.join(errors[:2])}")
        stored = folder / f"faiss-{_state(keep)}.index"
        if stored.is_file():
            return cls(tuple(paths), tuple(errors), faiss.read_index(str(stored), faiss.IO_FLAG_MMAP))
        searcher = searcher_of(partial(_vectors, keep), len(paths))
        if len(paths) > EXACT:
            for old in folder.glob("faiss-*.index"):
                old.unlink(missing_ok=True)
            partial_path = stored.with_suffix(f".{os.getpid()}.partial")
            faiss.write_index(searcher, str(partial_path))
            partial_path.replace(stored)
        return cls(tuple(paths), tuple(errors), searcher)

    def search(self, vector: np.ndarray, top: int) -> list[Hit]:
        """The ``top`` most similar files to a unit vector (d,), best first."""
        scores, rows = self.searcher.search(np.ascontiguousarray(vector[None], np.float32), min(top, len(self.paths)))
        return [Hit(Path(self.paths[r]), float(s)) for s, r in zip(scores[0], rows[0], strict=True) if r >= 0]


def _state(keep: Sequence[tuple[Path, np.ndarray]]) -> str:
    total = hashlib.sha256()
    for shard, rows in keep:
        total.update(shard.name.encode())
        total.update(rows.astype(np.int64))
    return total.hexdigest()[:16]


def _vectors(keep: Sequence[tuple[Path, np.ndarray]], every: int = 1) -> Iterator[np.ndarray]:
    """Embeddings (n, d) float32, shard by shard; every: only each n-th shard."""
    for shard, rows in keep[::every]:
        column = _columns(shard, ("embedding",))["embedding"].combine_chunks()
        usable = np.asarray(column.is_valid())
        values = np.asarray(column.drop_null().flatten()).reshape(int(usable.sum()), -1)
        at = np.cumsum(usable) - 1
        yield values[at[rows]].astype(np.float32)


def searcher_of(vectors: Callable[..., Iterator[np.ndarray]], count: int):
    """A faiss index over ``count`` unit vectors given in blocks by ``vectors(every)``, which may be called twice.

    Few are compared one by one. Many go into an inverted file in half precision: memory is 2 bytes a number, and never
    more than one block in single precision, beside the sample that the cells are learnt on.
    """
    import faiss

    first = next(vectors())
    dimensions = first.shape[1]
    if count <= EXACT:
        searcher = faiss.IndexFlatIP(dimensions)
    else:
        cells = max(1, min(int(4 * np.sqrt(count)), count // 4))
        wanted = cells * TRAINED_ON
        every = max(1, count // wanted)
        sample = np.concatenate([block for block in vectors(every)])[:wanted]
        coarse = faiss.IndexFlatIP(dimensions)
        searcher = faiss.IndexIVFScalarQuantizer(
            coarse, dimensions, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        searcher.train(np.ascontiguousarray(sample))
        searcher.nprobe = PROBED
    for block in vectors():
        searcher.add(np.ascontiguousarray(block))
    return searcher
