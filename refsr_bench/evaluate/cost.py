"""Measures what one prediction costs: seconds of wall time and peak memory."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def measured(device: str) -> Iterator[dict[str, float]]:
    """Fill the yielded dict with ``seconds`` and ``peak_memory_mb`` (MiB) of the block when it ends.

    The memory is that of the GPU on CUDA and of the whole process otherwise; it is left out if the system does not
    report it.
    """
    cost: dict[str, float] = {}
    cuda = device.startswith("cuda")
    if cuda:
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)  # kernels run on after their call returns
    else:
        _reset_peak()
    start = time.perf_counter()
    yield cost
    if cuda:
        torch.cuda.synchronize(device)
    cost["seconds"] = round(time.perf_counter() - start, 4)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else _peak_mb()
    if peak is not None:
        cost["peak_memory_mb"] = round(peak, 1)


def _reset_peak() -> None:
    """Reset the process's memory peak on Linux; other systems report the peak of the process so far."""
    with suppress(OSError):
        handle = os.open("/proc/self/clear_refs", os.O_WRONLY)
        try:
            os.write(handle, b"5")  # proc(5): 5 resets the peak to the present size
        finally:
            os.close(handle)


def _peak_mb() -> float | None:
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) / 2**10 if found else None
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10  # bytes on macOS, KiB on Linux
