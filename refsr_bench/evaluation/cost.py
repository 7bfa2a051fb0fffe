"""Measures what one prediction costs: seconds of wall time, peak memory, and how busy the machine was otherwise."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STAT = Path("/proc/stat")  # see proc(5); the first line is the sum over all processors
LEAST_S = 0.2  # of a block whose load is stated; the system counts processor time in steps of 0.01 s


@contextmanager
def measured(device: str) -> Iterator[dict[str, float]]:
    """Fill the yielded dict with ``seconds``, ``peak_memory_mb`` (MiB) and ``load`` of the block when it ends.

    The memory is that of the GPU on CUDA and of the whole process otherwise. load: the cores that other processes kept
    busy meanwhile, on average; stated for blocks of ``LEAST_S`` and more. What the system does not report is left out.
    """
    cost: dict[str, float] = {}
    cuda = device.startswith("cuda")
    if cuda:
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        torch.cuda.synchronize(device)  # kernels run on after their call returns
    else:
        _reset_peak()
    others = _others_seconds()
    start = time.perf_counter()
    yield cost
    if cuda:
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - start
    cost["seconds"] = round(seconds, 4)
    if others is not None and seconds >= LEAST_S:
        cost["load"] = round(max(_others_seconds() - others, 0) / seconds, 2)
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else _peak_mb()
    if peak is not None:
        cost["peak_memory_mb"] = round(peak, 1)


def _others_seconds() -> float | None:
    """Return the processor time that all other processes have used since the machine started; None if unknown."""
    try:
        user, nice, system, _, _, irq, softirq, *_ = map(int, _STAT.read_text().split(maxsplit=8)[1:8])
    except (OSError, ValueError):
        return None
    own = os.times()  # children count once they have ended, as the programs of --command have
    busy = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return busy - (own.user + own.system + own.children_user + own.children_system)


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
