"""Safe reading of weights from anywhere: digests, safetensors, foreign ``.pth`` files and strict loading.

No code that a file carries is ever run.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import parse_json
from refsr_bench.formats.foreign import MOST_BYTES, Refused
from refsr_bench.formats.keys import bare, unwrapped

if TYPE_CHECKING:
    from torch import Tensor, nn

    from refsr_bench.formats import pytorch

MOST_HEADER = 8 << 20  # bytes of a .safetensors header; RCAN's, with the most tensors, has 0.2 MB
DTYPES = ("F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL")  # safetensors' names of those read


def sha256(*paths: Path) -> str:
    """Return the SHA-256 (hex) of one file, or of several files concatenated."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def check_file(path: Path) -> Path:
    """Return the path of a regular file that is small enough to be weights.

    Raises Misuse when there is no such file, BenchError when it is too large.
    """
    try:
        there = path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        there = False
    if not there:
        raise Misuse(f"There is no weights file at {path}.")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise BenchError(f"The weights file {path} has {size:,} bytes; at most {MOST_BYTES:,} are read.")
    return path


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, on the CPU, from a ``.safetensors``, PyTorch, TensorFlow V1 or ``.npz`` file.

    A PyTorch file loses what trainers and wrappers of modules put around it (``keys.unwrapped``, ``keys.bare``).
    TensorFlow V1 checkpoints and ``.npz`` files, TensorLayer's among them, keep the names of their arrays. Raises
    Misuse when there is no such file, BenchError when it is damaged, holds code, is no state dict, or holds more than
    ``MOST_BYTES`` or anything but plain tensors of numbers, which it names.
    """
    import torch

    from refsr_bench.formats import tensorflow_v1, tensorlayer_npz

    check_file(path)
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path)
        if path.suffix == ".npz":
            return {key: torch.from_numpy(array) for key, array in tensorlayer_npz.read(path).items()}
        if tensorflow_v1.is_checkpoint(path):
            return {key: torch.from_numpy(array) for key, array in tensorflow_v1.read(path).items()}
    except OSError as error:
        raise BenchError(f"The weights file {path} cannot be read: {error.strerror}.") from None
    return _pytorch(path)


def _pytorch(path: Path) -> dict[str, Tensor]:
    from refsr_bench.formats import pytorch

    try:
        with pytorch.opened(path) as (content, load):
            described = _state_dict(content, path)
            total = sum(value.bytes for value in described.values())
            if total > MOST_BYTES:
                raise Refused(f"its tensors would take {total:,} bytes; at most {MOST_BYTES:,} are read")
            return {key: load(value) for key, value in described.items()}
    except BenchError:
        raise
    except Exception as error:  # a damaged archive or pickle raises nearly anything
        raise pytorch.unreadable(path, error) from None


def _state_dict(content: Any, path: Path) -> dict[str, pytorch.Stored]:
    """Find the state dict in the content of a PyTorch file, as descriptions of its tensors."""
    from refsr_bench.formats.pytorch import Odd, Stored

    content = unwrapped(content)
    if not isinstance(content, Mapping) or not content:
        raise BenchError(f"The weights file {path} holds no state dict (a table of named tensors).")
    for key, value in content.items():
        if isinstance(value, Odd):
            raise BenchError(f"The weights file {path} cannot be read: {shown(key)} is {value.what}.")
        if not isinstance(key, str) or not isinstance(value, Stored):
            what = "a table" if isinstance(value, Mapping) else f"of type {type(value).__name__}"
            what = what if isinstance(key, str) else "no name"
            raise BenchError(
                f"The weights file {path} holds no state dict (a table of named tensors): {shown(key)} is {what}."
            )
    return {bare(key): value for key, value in content.items()}


def shown(key: Any) -> str:
    """Return a name from somebody else's file for a message: short, without control characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(key)[:120])
    return text or "''"


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Read the header of a ``.safetensors`` file and the size of all before its tensors. Raises BenchError."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > min(MOST_HEADER, path.stat().st_size - 8):
            reason = "its header is longer than the file" if size <= MOST_HEADER else "its header is too long"
            raise _damaged(path, reason)
        header = parse_json(file.read(size), f"The weights file {path} cannot be read: its header")
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no table")
    return header, 8 + size


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    for key, about in _header(path)[0].items():
        kind = about.get("dtype") if isinstance(about, dict) else None
        if key != "__metadata__" and kind not in DTYPES:
            raise BenchError(
                f"The weights file {path} cannot be read: {shown(key)} is of type {shown(kind)}; those read are "
                f"{', '.join(DTYPES)}."
            )
    try:
        return load_file(path)
    except Exception as error:  # SafetensorError for nearly everything, ValueError for some shapes
        raise _damaged(path, (str(error).strip().splitlines() or [""])[0].rstrip(".")) from None


def _damaged(path: Path, reason: str) -> BenchError:
    return BenchError(
        f"The weights file {path} cannot be read: {reason}. It may be half downloaded or not a weights file: compare "
        "its size with the source and fetch it again."
    )


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a ``.safetensors`` file; other files give an empty table.

    Raises Misuse when there is no such file, BenchError when it is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    metadata = _header(check_file(path))[0].get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise _damaged(path, "its metadata are no table of texts")
    return metadata


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise BenchError naming the first tensor that holds NaN or infinity."""
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise BenchError(f"{path}: {key} holds NaN or infinite values; the training that wrote it had diverged.")


def check_fit(module: nn.Module, state: Mapping[str, Tensor], path: Path | str, what: str) -> None:
    """Raise BenchError unless the names and shapes of a state dict are exactly those of a module."""
    own = module.state_dict()
    faults = {
        "lacks": sorted(set(own) - set(state)),
        "has unknown": sorted(set(state) - set(own)),
        "has another shape for": sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape),
    }
    told = [
        f"{label} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        for label, names in faults.items()
        if names
    ]
    if told:
        raise BenchError(f"{path} does not hold the weights of {what}: it {', '.join(told)}.")


def load_strict(module: nn.Module, state: Mapping[str, Tensor], path: Path | str, what: str) -> None:
    """Load a state dict, cast to the module's dtypes. Raises BenchError naming the tensors that do not fit."""
    check_fit(module, state, path, what)
    own = module.state_dict()
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})


def synthetic(net: nn.Module) -> nn.Module:
    """Fill a network, in place, with random weights that depend on their names alone, and return it.

    They let a method run before anyone has real weights; its SR images mean nothing. Kernels are normal with variance
    0.5 / fan-in, biases normal with deviation 0.05, and the scales of norms lie near one.
    """
    import numpy as np
    import torch

    norms = {
        f"{name}.weight"
        for name, module in net.named_modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.LayerNorm | torch.nn.PReLU)
    }
    for key, value in net.named_parameters():
        noise = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(value.shape)
        if key in norms:
            noise = 1 + 0.1 * noise
        elif value.ndim > 1:
            noise *= math.sqrt(0.5 / math.prod(value.shape[1:]))
        else:
            noise *= 0.05
        with torch.no_grad():
            value.copy_(torch.from_numpy(noise))
    return net
