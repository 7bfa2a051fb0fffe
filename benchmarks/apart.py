"""Measures a function in its own process: the best of several seconds, and the memory beyond its inputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(f: Callable[[], object], times: int) -> dict[str, float]:
    """Call ``f`` several times. seconds: the best. mib: the most memory beyond that before the first call."""
    before, peak, done = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        f()
        seconds.append(time.perf_counter() - start)
    done.set()
    watcher.join()
    return {"seconds": min(seconds), "mib": max(0, peak - before) / 2**20}


def apart(script: str, *arguments: str) -> dict:
    """Run ``script`` with these arguments in its own process; return the JSON of its last line."""
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
