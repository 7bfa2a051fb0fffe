"""Runs one function over many items: in this process, in several processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from refsr_bench.core.errors import BenchError, Misuse

Item, Answer = TypeVar("Item"), TypeVar("Answer")
ENGINES = ("local", "ray")

Progress = Callable[[int, int], None]
"""Called with (items done, items in all)."""


@dataclass(frozen=True)
class Workers:
    """The workers. engine: one of ENGINES. count: processes; for ``ray``, tasks under way at once (0: one per CPU)."""

    engine: str = "local"
    count: int = 1


HERE = Workers()


def silent(done: int, total: int) -> None:
    """A Progress that shows nothing."""


def run(function: Callable[[Item], Answer], items: Sequence[Item], workers: Workers = HERE) -> Iterator[Answer]:
    """Yield answers in the order in which they finish.

    Function and items must be picklable unless everything runs here.
    """
    if workers.engine not in ENGINES:
        raise Misuse(f"--engine {workers.engine}: choose from {', '.join(ENGINES)}.")
    if workers.engine == "ray":
        return _ray(function, items, workers.count)
    if workers.count > 1 and len(items) > 1:
        return _processes(function, items, workers.count)
    return map(function, items)


def _processes(function: Callable, items: Iterable, workers: int) -> Iterator:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    # OpenCV and faiss have threads of their own, which would not survive a fork.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_alone) as pool:
        pending = [pool.submit(function, item) for item in items]
        try:
            for done in as_completed(pending):
                yield done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone() -> None:
    import cv2

    cv2.setNumThreads(1)


def _ray(function: Callable, items: Sequence, workers: int) -> Iterator:
    try:
        import ray
    except ModuleNotFoundError:
        raise Misuse("--engine ray needs Ray: pip install ray.") from None
    if not ray.is_initialized():
        # RAY_ADDRESS names a cluster; without it, Ray starts a small one on this machine.
        ray.init(address=os.environ.get("RAY_ADDRESS"), logging_level="ERROR", include_dashboard=False)
    remote = ray.remote(max_retries=2)(function)
    limit = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting, pending = list(reversed(items)), {}
    try:
        while waiting or pending:
            while waiting and len(pending) < limit:
                item = waiting.pop()
                pending[remote.remote(item)] = item
            done, _ = ray.wait(list(pending))
            for reference in done:
                del pending[reference]
                yield _answer(ray, reference)
    finally:
        for reference in pending:
            ray.cancel(reference, force=True)


def _answer(ray: Any, reference: Any) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, BenchError):
            raise error.cause from None
        raise
