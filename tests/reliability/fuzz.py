"""Fuzzing of the parsers that read weights byte by byte: ``python tests/reliability/fuzz.py --seconds 30 [TARGET]``.

Each target runs in a process of its own under atheris, which follows the branches that an input reaches. It starts from
small sound files. An exception other than the one for a person, an input of more than ten seconds, or more than a
gigabyte fails the command, which prints the input as hexadecimal digits.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import pickle
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SECONDS_PER_INPUT, MEGABYTES = 10, 1024
LOADED = 1024  # megabytes that the program may take before it reads anything, PyTorch above all
LARGEST = 1 << 16  # bytes of an input: sound files of one tensor have less than two thousand


@dataclass(frozen=True)
class Target:
    """A parser. suffix: of its files. seeds: makes sound files."""

    suffix: str
    seeds: Callable[[], Sequence[bytes]]

    def __call__(self, path: Path) -> None:
        """Read a file. Raises nothing: what a person is told is no finding."""
        from refsr_bench.core.errors import BenchError
        from refsr_bench.formats.checkpoints import check_finite, read_metadata, read_weights

        with contextlib.suppress(BenchError):
            read_metadata(path)
            check_finite(read_weights(path), path)


# -- seeds ---------------------------------------------------------------------------------------------------------


def _state() -> dict:
    import torch

    return {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2, dtype=torch.bfloat16)}


def _pytorch(zipped: bool) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save({"params": _state(), "epoch": 3}, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def _safetensors() -> Sequence[bytes]:
    from safetensors.torch import save

    return (save(_state(), {"method": "edsr", "options": "{}"}),)


def _npz() -> Sequence[bytes]:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(2)]
    listed = np.empty(2, dtype=object)
    listed[:] = arrays
    found = []
    for protocol in (0, 2, 4):
        npy = io.BytesIO()
        np.lib.format.write_array_header_1_0(npy, {"descr": "|O", "fortran_order": False, "shape": (2,)})
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("params.npy", npy.getvalue() + pickle.dumps(listed, protocol))
        found.append(file.getvalue())
    file = io.BytesIO()
    np.savez_compressed(file, w=arrays[0], b=arrays[1])
    return (*found, file.getvalue())


def _tensorflow() -> Sequence[bytes]:
    from hostile.weights import checkpoint, saved

    with tempfile.TemporaryDirectory() as folder:
        makers = [checkpoint(saved((2,), data=bytes(8))), checkpoint(saved((2, 1), 2, bytes(16)))]
        return [make(Path(folder)).read_bytes() for make in makers]


def _tables() -> Sequence[bytes]:
    """The tables of checkpoints alone, without the checksums, which no mutation would get right."""
    from hostile.weights import saved

    return [b"".join(value for _, value in saved((2,), data=bytes(8)))]


class Messages(Target):
    """The protocol buffers of a TensorFlow checkpoint, behind the checksums."""

    def __call__(self, path: Path) -> None:
        from refsr_bench.formats import tensorflow_v1

        data = path.read_bytes()
        cut = data[0] if data else 0
        expected = (tensorflow_v1._Damaged, tensorflow_v1._Unsupported, *tensorflow_v1._MISSING)
        for parse in (
            lambda: tensorflow_v1._tensors({b"": data[1 : 1 + cut], b"\0a": data[1 + cut :]}),
            lambda: dict(tensorflow_v1._entries(data)),
        ):
            with contextlib.suppress(*expected):
                parse()


TARGETS: dict[str, Target] = {
    "pytorch": Target(".pth", lambda: (_pytorch(True),)),
    "pytorch-legacy": Target(".pth", lambda: (_pytorch(False),)),
    "safetensors": Target(".safetensors", _safetensors),
    "tensorlayer": Target(".npz", _npz),
    "tensorflow": Target(".ckpt", _tensorflow),
    "tensorflow-messages": Messages(".ckpt", lambda: [bytes([len(data) // 2]) + data for data in _tables()]),
}


class Finding(Exception):
    """A target failed. The message holds the input and what happened."""


# -- without atheris -----------------------------------------------------------------------------------------------


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change a sound file as files get damaged: bytes, numbers of every width, cuts, repetitions."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out)) if out else 0
        kind = rng.randrange(5)
        if kind == 0 and out:
            out[at] = rng.randrange(256)
        elif kind == 1:
            width = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 127, 255, (1 << (8 * width - 1)) - 1, (1 << 8 * width) - 1))
            out[at : at + width] = (number & ((1 << 8 * width) - 1)).to_bytes(width, "little")
        elif kind == 2:
            del out[at : at + rng.randint(1, 16)]
        elif kind == 3:
            out[at:at] = out[at : at + rng.randint(1, 64)]
        elif rng.random() < 0.2:
            del out[at:]
    return bytes(out)


# -- under atheris -------------------------------------------------------------------------------------------------


def run(seconds: int, names: Sequence[str] = ()) -> dict[str, int]:
    """Fuzz the targets one after the other; return the number of executions by target. Raises Finding."""
    return {name: _fuzzed(name, seconds) for name in names or TARGETS}


def _fuzzed(name: str, seconds: int) -> int:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as text:
        folder = Path(text)
        (folder / "seeds").mkdir()
        for number, seed in enumerate(TARGETS[name].seeds()):
            (folder / "seeds" / str(number)).write_bytes(seed)
        limits = (f"-max_total_time={seconds}", f"-timeout={SECONDS_PER_INPUT}", f"-rss_limit_mb={MEGABYTES + LOADED}")
        options = (*limits, f"-max_len={LARGEST}", f"-artifact_prefix={folder}/", "-print_final_stats=1")
        # libFuzzer reads its peak of memory from the kernel, which counts that of the process that started it; the
        # shell in between is small.
        shell = ["sh", "-c", '"$@"; exit $?', "sh"]
        command = [*shell, sys.executable, __file__, "--inside", name, *options, str(folder / "seeds")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        inputs = [path for path in folder.iterdir() if path.is_file() and path.name.split("-")[0] != "input"]
        if done.returncode or inputs:
            found = inputs[0].read_bytes().hex() if inputs else "unknown"
            raise Finding(f"{name}: input {found}\n{done.stderr[-6000:]}")
        executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
        return int(executed[1]) if executed else 0


def _inside(name: str, options: Sequence[str]) -> None:
    import atheris

    target, folder = TARGETS[name], Path(tempfile.mkdtemp(prefix="fuzz-"))
    with atheris.instrument_imports(include=["refsr_bench", "zipfile", "pickle"]):
        from refsr_bench.formats import checkpoints, pytorch, tensorflow_v1, tensorlayer_npz  # noqa: F401
    path = folder / f"input{target.suffix}"

    def once(data: bytes) -> None:
        path.write_bytes(data)
        target(path)

    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("target", nargs="*", help=", ".join(TARGETS))
    asked = parser.parse_args()
    if unknown := set(asked.target) - set(TARGETS):
        parser.error(f"no target {', '.join(unknown)}; known: {', '.join(TARGETS)}")
    try:
        import atheris  # noqa: F401
    except ImportError:
        sys.exit("Fuzzing needs atheris (Linux, CPython): pip install '.[fuzz]'")
    for name in asked.target or TARGETS:
        try:
            print(f"{name}: {run(asked.seconds, [name])[name]:,} executions", flush=True)
        except Finding as finding:
            sys.exit(f"{finding}")


if __name__ == "__main__":
    main()
