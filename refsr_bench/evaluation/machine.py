"""Describes the machine that a run is measured on: its device, processor, threads and library versions."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Machine

PACKAGES = ("refsr-bench", "torch", "torchvision", "numpy", "pillow", "scikit-image", "opencv-python", "lpips", "numba")


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


def describe_machine(device: str) -> Machine:
    """Return the facts that accompany every time measured on this machine. device: torch's name for it."""
    return Machine(
        device=device,
        versions={"python": platform.python_version(), **_versions()},
        processor=_processor(),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    )


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
