"""Describes the machine that a run is measured on: its device, processor, threads and library versions."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import LIBRARIES, Machine, NumberType
from refsr_bench.learning.hardware import NUMBERS

PACKAGES = ("refsr-bench", *LIBRARIES, "scipy", "torchmetrics", "spandrel")
_CONTAINER = Path("/sys/fs/cgroup/memory.max")  # see cgroups(7), version 2


def resolve_device(text: str) -> str:
    """Turn "auto", "cpu", "cuda", "cuda:N" or "mps" into an existing device. Raises Misuse otherwise.

    "auto" is a CUDA device if there is one, and else the CPU: "mps" gives slightly other images, so it is asked for.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]{1,4})?", text):
        raise Misuse(f"--device takes auto, cpu, cuda, cuda:N or mps, not '{text:.40}'.")
    if text == "cpu":
        return text
    import torch

    if text == "mps":
        if not torch.backends.mps.is_available():
            raise Misuse("--device mps: torch sees no Apple GPU on this machine. Use --device cpu or auto.")
        return text

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return "cuda" if count else "cpu"
    number = int(text.partition(":")[2] or 0)
    if number >= count:
        raise Misuse(f"--device {text}: torch sees {count} CUDA devices on this machine. Use --device cpu or auto.")
    return text


def number_format(text: str) -> NumberType:
    """Return the number format of a network. Raises Misuse for one that is not offered."""
    for known in NUMBERS:
        if text == known:
            return known
    raise Misuse(f"dtype {text:.40}: known are {', '.join(NUMBERS)}.")


def describe_machine(device: str) -> Machine:
    """Return the facts that accompany every time measured on this machine. device: torch's name for it."""
    return Machine(
        device=device,
        versions={"python": platform.python_version(), **_versions()},
        processor=_processor(),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}".strip() or None,
        memory_mb=_memory_mb(),
        accelerator=accelerator(device),
    )


def accelerator(device: str) -> str | None:
    """Return the name of the GPU behind a device of torch; None for the processor."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.get_device_name(device)


@cache
def _memory_mb() -> int | None:
    """Return the memory of the machine, or of the container that the process runs in, in MiB."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    with suppress(OSError, ValueError):  # "max" for a container without a limit
        total = min(total, int(_CONTAINER.read_text()))
    return total >> 20


@cache
def _processor() -> str | None:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or None


@cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
