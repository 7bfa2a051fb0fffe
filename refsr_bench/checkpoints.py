"""Weights from anywhere, safely: digests, safetensors, foreign ``.pth`` without running their code, strict loading."""

from __future__ import annotations

import hashlib
import re
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.types import BenchError, Misuse

if TYPE_CHECKING:
    from torch import Tensor, nn

NETWORK_TIMEOUT_S = 20.0
WRAPPERS = ("params_ema", "params", "state_dict", "model")  # keys under which trainers keep the state dict


def sha256(*paths: Path) -> str:
    """SHA-256 (hex) of one file, or of several files one after the other."""
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a ``.safetensors`` or PyTorch file, on the CPU; a wrapper key and ``module.`` are taken off.

    Raises Misuse when there is no such file, BenchError when it is damaged, holds code, or is no state dict.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise Misuse(f"There is no weights file at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the format, a line before the error that says it better
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes the unpickler raise nearly anything
        raise _unreadable(path, error) from None
    return _state_dict(content, path)


def _unreadable(path: Path, error: Exception) -> BenchError:
    code = re.search(r"\bGLOBAL (\w+(?:\.\w+)*) (?:was|whose)\b", str(error))
    if code and path.read_bytes()[:2] in (b"PK", b"\x80\x02"):  # PyTorch's archives and older files; text is neither
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


def fetch(url: str) -> Path:
    """A weights file from torch hub's cache or, when it is not there, from ``url``, checked against its hash.

    The hash is the one in the file's name, as torch hub has it. Raises BenchError when it cannot be had or is damaged.
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
    """torch hub opens its connection without a time limit, so the default of the process is set meanwhile."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def load_strict(module: nn.Module, state: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Load a state dict that must fit exactly. Raises BenchError saying which tensors do not."""
    own = module.state_dict()
    missing = sorted(set(own) - set(state))
    extra = sorted(set(state) - set(own))
    wrong = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or extra or wrong:
        faults = []
        for label, names in (("lacks", missing), ("has unknown", extra), ("has another shape for", wrong)):
            if names:
                faults.append(f"{label} {names[0]}" + (f" and {len(names) - 1} more" if len(names) > 1 else ""))
        raise BenchError(f"{path} does not hold the weights of {what}: it {', '.join(faults)}.")
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})
