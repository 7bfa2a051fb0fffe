"""One file of weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from c2matching.restoration import RestorationConfig


def write_bundle(
    path: Path,
    parts: Mapping[str, Mapping[str, Tensor]],
    network: RestorationConfig | None,
    metadata: Mapping[str, str] = {},
    half: bool = False,
) -> None:
    from safetensors.torch import save_file

    state = {f"{part}.{key}": value.contiguous() for part, tensors in parts.items() for key, value in tensors.items()}
    if half:
        state = {key: value.half() for key, value in state.items()}
    extra = {"network": json.dumps(asdict(network))} if network else {}
    save_file(state, path, {**metadata, **extra})
