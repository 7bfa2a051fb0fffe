"""Looks over an installation, part by part; nothing is changed, downloaded or measured."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError
from refsr_bench.core.extras import EXTRAS
from refsr_bench.data import opening
from refsr_bench.data.verification import damage
from refsr_bench.doctor.private import SECRET, hidden
from refsr_bench.doctor.report import Finding, Report, Section
from refsr_bench.evaluation.machine import describe_machine, resolve_device
from refsr_bench.learning import weights

DISTRIBUTION = "refsr-bench"
LEAST_FREE = 1 << 30  # bytes; the images of one method on CUFED5 and WR-SR take 0.4 GB
SETTINGS = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "TORCH_HOME", "HF_HOME")
"""Environment variables of others that change what a run does or where it looks."""


def examine(data_root: Path | None = None, results: Path = Path("results")) -> Report:
    """Look over this installation. data_root: as in ``open_dataset``. results: where a run would write.

    Every text of the report is safe to publish: folders, people, machines and secrets are replaced by placeholders.
    """
    folders = {
        "$REFSR_DATA": opening.data_root(data_root),
        "$REFSR_WEIGHTS": weights.folder(),
        "$TMPDIR": Path(tempfile.gettempdir()),
    }
    parts: tuple[tuple[Section, Callable[[], Iterator[Finding]]], ...] = (
        ("packages", packages),
        ("plugins", plugins),
        ("devices", devices),
        ("folders", lambda: space({**folders, "results": results})),
        ("settings", settings),
        ("data sets", lambda: datasets(data_root)),
        ("weights", method_weights),
        ("metrics", metrics),
    )
    findings: list[Finding] = []
    for section, look in parts:
        try:
            findings += look()
        except BenchError as error:  # two cards of one name, for example
            findings.append(Finding(section, "catalogue", "broken", str(error)))
    return hidden(Report(describe_machine(resolve_device("auto")), tuple(findings)), folders)


def packages() -> Iterator[Finding]:
    """Compare the installed distributions with those that this one asks for."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or ()]
    except metadata.PackageNotFoundError:
        yield Finding("packages", DISTRIBUTION, "doubtful", "runs from its source, not installed", "pip install .")
        return
    for need in wanted:
        extra = next((name for name in EXTRAS if need.marker and need.marker.evaluate({"extra": name})), "")
        if need.marker and not extra and not need.marker.evaluate({"extra": ""}):
            continue
        mend = f"pip install '{need.name}{need.specifier}'"
        try:
            found = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            purpose = f", which {EXTRAS[extra][0].lower()} needs" if extra else ""
            yield Finding("packages", need.name, "missing" if extra else "broken", f"not installed{purpose}", mend)
            continue
        if need.specifier.contains(found, prereleases=True):
            yield Finding("packages", need.name, "good", found)
        else:
            yield Finding("packages", need.name, "broken", f"{found}, needed is {need.specifier}", mend)


def plugins() -> Iterator[Finding]:
    """Report the packages of other distributions that take part in the catalogue."""
    for plugin in catalogue.plugins():
        what = f"{plugin.distribution} {plugin.version}".strip() or plugin.value
        for module, error in plugin.errors:
            mend = f"mend {module}, or pip uninstall {plugin.distribution}" if plugin.distribution else f"mend {module}"
            yield Finding("plugins", plugin.name, "broken", f"{what}: {module} cannot be imported: {error}", mend)
        if not plugin.errors:
            yield Finding("plugins", plugin.name, "good", what)


def devices() -> Iterator[Finding]:
    """Let every device of torch multiply and convolve."""
    import torch

    names = ["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
    names += ["mps"] if torch.backends.mps.is_available() else []
    for name in names:
        try:
            image, kernel = torch.ones(1, 1, 8, 8, device=name), torch.ones(1, 1, 3, 3, device=name)
            if float(torch.nn.functional.conv2d(image, kernel).sum()) != 324:
                raise RuntimeError("a convolution gives wrong numbers")
        except Exception as error:  # drivers raise nearly anything
            what = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            yield Finding("devices", name, "broken", what, "leave it out with --device cpu")
            continue
        if name.startswith("cuda"):
            about = torch.cuda.get_device_properties(name)
            words = f"{about.name}, {about.total_memory / 2**30:.1f} GiB, CUDA {torch.version.cuda}"
        else:
            words = f"{torch.get_num_threads()} threads" if name == "cpu" else "computes"
        yield Finding("devices", name, "good", words)


def space(folders: dict[str, Path]) -> Iterator[Finding]:
    """Report the room in each folder, or where it would be made, and whether files can be written there."""
    for name, folder in folders.items():
        there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
        free = shutil.disk_usage(there).free
        words = f"{free / 2**30:.1f} GiB free" + ("" if there == folder else ", not made yet")
        if not os.access(there, os.W_OK):
            words += f"; nothing can be written to {there}"
            yield Finding("folders", name, "doubtful", words, "change its rights")
        elif free < LEAST_FREE:
            yield Finding("folders", name, "doubtful", words, "make room, or choose another folder")
        else:
            yield Finding("folders", name, "good", words)


def settings() -> Iterator[Finding]:
    """Report the environment variables that change what commands do; values that may be secret are left out."""
    for name in sorted(os.environ):
        if name.startswith("REFSR_") or name in SETTINGS:
            yield Finding("settings", name, "good", "set" if SECRET.search(name) else os.environ[name] or "empty")


def datasets(root: Path | None) -> Iterator[Finding]:
    """Open every data set, and compare its files with its manifest and with what was published."""
    for card in catalogue.collect("DATASETS").values():
        state = opening.state_of(card, root)
        fault = state.fault
        if not fault and state.words != opening.ABSENT and not card.embedded:
            fault = damage(opening.dataset_folder(card, root))
        if fault:
            place = ("--data-root", "DATA_ROOT") if root else ()
            mend = command("data", "prepare", card.name, "--from", "ZIP_OR_DIR", *place)
            yield Finding("data sets", card.name, "broken", fault, mend)
        elif state.words == opening.ABSENT:
            mend = command("data", "info", card.name)
            yield Finding("data sets", card.name, "missing", state.words, f"{mend} says where to get it")
        else:
            yield Finding("data sets", card.name, "good", state.words)


def method_weights() -> Iterator[Finding]:
    """Read the weights that each method would run with, as far as there are any."""
    for card in catalogue.collect("METHODS").values():
        state = weights.state_of(card)
        if state == "none":
            mend = command("methods", "info", card.name)
            yield Finding("weights", card.name, "missing", "no weights", f"{mend} says where they are published")
        elif card.system is not None:
            try:
                path = weights.find(card.name, card.bundled, card.files)
                digest = weights.whole(card, path)
            except BenchError as error:
                again = command("weights", "import", "--method", card.name, "FILE")
                mend = again if state == "imported" else "install refsr-bench again"
                yield Finding("weights", card.name, "broken", str(error), mend)
            else:
                yield Finding("weights", card.name, "good", f"{state}, sha256 {digest[:12]}")


def metrics() -> Iterator[Finding]:
    """Look for the files and packages that metrics need."""
    from refsr_bench.evaluation.metrics import lacking

    for card in catalogue.collect("METRICS").values():
        if card.file is None and not card.package:
            continue
        try:
            lacks = lacking(card)
        except BenchError as error:
            yield Finding("metrics", card.name, "broken", str(error), card.get)
            continue
        if lacks == "nothing":
            yield Finding("metrics", card.name, "good", f"has {card.file.file if card.file else card.package}")
        else:
            mend = card.get if lacks == "weights" else f"pip install {card.package}"
            yield Finding("metrics", card.name, "missing", f"{lacks} missing", mend)
