"""Safe reading of weights from anywhere: digests, safetensors, foreign ``.pth`` files and strict loading.

No code that a file carries is ever run.
"""

from __future__ import annotations

import hashlib
import math
import re
import socket
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORK_TIMEOUT_S = 20.0
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # keys under which trainers keep the state dict


def sha256(*paths: Path) -> str:
    """Return the SHA-256 (hex) of one file, or of several files concatenated."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a state dict, on the CPU, from a ``.safetensors``, PyTorch, TensorFlow V1 or ``.npz`` file.

    A PyTorch file loses its wrapper keys (``WRAPPERS``) and the prefix ``module.``. TensorFlow V1 checkpoints and
    ``.npz`` files, TensorLayer's among them, keep the names of their arrays. Raises Misuse when there is no such file,
    BenchError when it is damaged, holds code, or is no state dict.
    """
    import torch
    from safetensors.torch import load_file

    from refsr_bench.learning import tensorflow_v1, tensorlayer_npz

    if not path.is_file():
        raise Misuse(f"There is no weights file at {path}.")
    if path.suffix == ".npz":
        return {key: torch.from_numpy(array) for key, array in tensorlayer_npz.read(path).items()}
    if tensorflow_v1.is_checkpoint(path):
        return {key: torch.from_numpy(array) for key, array in tensorflow_v1.read(path).items()}
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns about the format; the error after it says the same better
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise nearly anything
        raise _unreadable(path, error) from None
    return _state_dict(content, path)


def _unreadable(path: Path, error: Exception) -> BenchError:
    code = re.search(r"\bGLOBAL (\w+(?:\.\w+)*) (?:was|whose)\b", str(error))
    with path.open("rb") as file:
        start = file.read(2)
    if code and start in (b"PK", b"\x80\x02"):  # PyTorch's archives and older files; text is neither
        return BenchError(
            f"The weights file {path} asks for {code[1]} while it is read: code, which a file of weights has no need "
            "for. It was not run. Get the file from its authors again; if it is yours, save the state dict alone."
        )
    line = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    told = isinstance(error, OSError | RuntimeError) or path.suffix == ".safetensors"
    reason = line if told and line and "weights_only" not in line else "it is not what PyTorch saves"
    return BenchError(
        f"The weights file {path} cannot be read: {reason}. It may be half downloaded or not a weights file: compare "
        "its size with the source and fetch it again."
    )


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    is_table = isinstance(content, Mapping) and len(content) > 0
    if not is_table or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items()):
        raise BenchError(f"The weights file {path} holds no state dict (a table of named tensors).")
    return {key.removeprefix("module."): value for key, value in content.items()}


def read_metadata(path: Path) -> dict[str, str]:
    """Read the metadata of a ``.safetensors`` file; other files give an empty table.

    Raises Misuse when there is no such file, BenchError when it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if path.suffix != ".safetensors":
        return {}
    if not path.is_file():
        raise Misuse(f"There is no weights file at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BenchError(f"The weights file {path} cannot be read: {error}.") from None


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise BenchError naming the first tensor that holds NaN or infinity."""
    for key, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise BenchError(f"{path}: {key} holds NaN or infinite values; the training that wrote it had diverged.")


def fetch(url: str) -> Path:
    """Return a weights file from torch hub's cache, downloading it from ``url`` first if necessary.

    Its SHA-256 must begin with the eight digits in the file's name, torch hub's convention. Raises BenchError when the
    file cannot be downloaded or is damaged.
    """
    import torch

    name = url.rsplit("/", 1)[1]
    prefix = re.search(r"-([0-9a-f]{8})\.", name)[1]  # type: ignore[index]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not cached.is_file():
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with _network_timeout(NETWORK_TIMEOUT_S):
                torch.hub.download_url_to_file(url, str(cached), hash_prefix=prefix, progress=False)
        except (OSError, RuntimeError) as error:  # URLError and time-outs are OSErrors, a wrong hash a RuntimeError
            raise BenchError(f"{name} could not be downloaded from {url} ({error}).") from None
    if not sha256(cached).startswith(prefix):
        raise BenchError(f"{cached} is damaged: its SHA-256 does not begin with {prefix}. Delete it.")
    return cached


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    """Set the process-wide socket timeout for a while, because torch hub opens its connection without one."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


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
