"""The limits of a pool: memory and time of the index, and how many photographs a second are embedded.

    python benchmarks/pool.py --images 100000                 synthetic embeddings: build, save, open, 200 queries
    python benchmarks/pool.py --photos DIR [DIR ...]          real photographs: embedding, matching

Synthetic embeddings are points around 2,000 centres, about as near to each other as photographs of one kind. Memory is
the peak resident set of the process that builds the index from shards on the disk, and of the one that searches it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

DIMENSIONS = 704  # the descriptor's: whitened VLAD 384, colours 192, layout 128
CENTRES = 2000


def write_shards(folder: Path, images: int, seed: int = 0) -> None:
    """Write Parquet shards as the index has them, with made-up files."""
    import pyarrow as pa

    from refsr_bench.builder.similarity import index

    (folder / "shards").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((CENTRES, DIMENSIONS), np.float32)
    for at in range(0, images, index.SHARD):
        count = min(index.SHARD, images - at)
        vectors = centres[rng.integers(0, CENTRES, count)] + rng.standard_normal((count, DIMENSIONS), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        offsets = pa.array(np.arange(count + 1) * DIMENSIONS, pa.int32())
        table = pa.table(
            {
                "path": [f"/pool/{n:07d}.jpg" for n in range(at, at + count)],
                "bytes": pa.array([1] * count, pa.int64()),
                "mtime_ns": pa.array([1] * count, pa.int64()),
                "width": pa.array([640] * count, pa.int32()),
                "height": pa.array([480] * count, pa.int32()),
                "error": [""] * count,
                "embedding": pa.ListArray.from_arrays(offsets, pa.array(vectors.astype(np.float16).ravel())),
            }
        )
        index.write_shard(folder / "shards" / f"{at:09d}.parquet", table)


def peak() -> float:
    """The peak resident set of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def opened(folder: Path, images: int):
    from refsr_bench.builder.similarity.index import Index

    return Index.open(folder, [(f"/pool/{n:07d}.jpg", 1, 1) for n in range(images)])


def build(folder: Path, images: int) -> None:
    start, before = time.perf_counter(), time.process_time()
    opened(folder, images)
    size = sum(path.stat().st_size for path in folder.glob("faiss-*")) / 2**20
    spent = f"{time.perf_counter() - start:.1f} s (CPU {time.process_time() - before:.1f} s)"
    print(f"build: {spent}, peak memory {peak():.2f} GiB, index file {size:.0f} MiB", flush=True)


def search(folder: Path, images: int) -> None:
    from refsr_bench.builder.similarity import index

    found = opened(folder, images)
    shards = sorted((folder / "shards").iterdir())
    queries = next(index._vectors([(shards[len(shards) // 2], np.arange(200))]))
    rng = np.random.default_rng(1)
    queries += 0.5 * rng.standard_normal(queries.shape, np.float32) / np.sqrt(DIMENSIONS)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    found.search(queries[0], 50)
    times, cpu, answers = [], time.process_time(), []
    for query in queries:
        start = time.perf_counter()
        answers.append([hit.path.name for hit in found.search(query, 50)])
        times.append(1000 * (time.perf_counter() - start))
    cpu = 1000 * (time.process_time() - cpu) / len(queries)
    median, worst = np.median(times), np.percentile(times, 99)
    print(f"search: {median:.1f} ms median, {worst:.1f} ms 99 %, CPU {cpu:.1f} ms, peak memory {peak():.2f} GiB")
    print(f"recall of the exact 50 nearest: {recall(folder, queries, answers):.3f}")


def recall(folder: Path, queries: np.ndarray, answers: list[list[str]]) -> float:
    """Against comparing with every embedding, block by block."""
    from refsr_bench.builder.similarity import index

    best, names = np.full((len(queries), 50), -9.0, np.float32), np.zeros((len(queries), 50), np.int64)
    at = 0
    for shard in sorted((folder / "shards").iterdir()):
        (block,) = index._vectors([(shard, np.arange(index._columns(shard, ("bytes",)).num_rows))])
        scores = np.concatenate([best, queries @ block.T], axis=1)
        rows = np.concatenate([names, np.broadcast_to(np.arange(at, at + len(block)), (len(queries), len(block)))], 1)
        order = np.argsort(-scores, axis=1)[:, :50]
        best, names = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
        at += len(block)
    wanted = [{f"{n:07d}.jpg" for n in row} for row in names]
    return float(np.mean([len(set(a) & w) / 50 for a, w in zip(answers, wanted, strict=True)]))


def photographs(folders: list[Path], limit: int) -> None:
    from refsr_bench.builder.similarity import embed, index, matching
    from refsr_bench.pixels.images import read_image

    files = [path for path, _, _ in index.list_images(folders)]
    files = files[:: max(1, len(files) // limit)][:limit]
    images = [read_image(path) for path in files]
    size = np.median([image.shape[0] * image.shape[1] for image in images]) / 1e6
    print(f"{len(images)} photographs, median {size:.2f} megapixels")
    timed("learning the codebook", len(images), partial(embed.learn, images))
    describe = embed.learn(images)
    timed("decoding", len(files), lambda: [read_image(path) for path in files])
    timed("embedding", len(images), lambda: describe(images))
    found = timed("features for cleaning", len(images), lambda: [matching.features(image) for image in images])
    pairs = list(pairwise(found))
    timed("matching a pair", len(pairs), lambda: [matching.relate(a, b) for a, b in pairs])


def timed(what: str, count: int, work):
    start, before = time.perf_counter(), time.process_time()
    made = work()
    wall, cpu = time.perf_counter() - start, time.process_time() - before
    print(f"{what}: {1000 * wall / count:.1f} ms each, CPU {1000 * cpu / count:.1f} ms", flush=True)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--photos", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--step", choices=["build", "search"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.photos:
        photographs(options.photos, options.limit)
    elif options.step:
        {"build": build, "search": search}[options.step](options.folder, options.images)
    else:
        with tempfile.TemporaryDirectory() as base:
            folder = Path(base) / "index"
            write_shards(folder, options.images)
            print(f"{options.images} synthetic embeddings of {DIMENSIONS} numbers")
            for step in ("build", "search"):
                arguments = ["--step", step, "--folder", str(folder), "--images", str(options.images)]
                subprocess.run([sys.executable, __file__, *arguments], check=True, env=os.environ)


if __name__ == "__main__":
    main()
