"""Golden vectors of other systems: arrays made by the code they name, on weights made by formula from their names."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


def golden(shared: Path, name: str) -> tuple[dict[str, Tensor], dict]:
    """Arrays by name as tensors, and the facts about them; its ``fill`` makes values from keys."""
    folder = shared / "baselines"
    meta = json.loads((folder / f"{name}.keys.json").read_text())
    spec = importlib.util.spec_from_file_location("golden_fill", folder / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    meta["fill"] = module.fill
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        return {key: torch.from_numpy(file[key]) for key in file.files if file[key].dtype.kind in "fiu"}, meta


def official(meta: dict) -> dict[str, Tensor]:
    """The state dict of the code that made the vectors, under its own keys, without entries that it keeps fixed."""
    state = {}
    for key, shape in meta["keys"]:
        if meta["kinds"].get(key) != "fixed":
            kind, alias = meta["kinds"].get(key), meta.get("alias", ())
            state[key] = torch.from_numpy(np.array(meta["fill"](key, shape, kind, meta["gain"], meta["salt"], alias)))
    return state


def fill(module: nn.Module, meta: dict, rename: Callable[[str], str] | None = None) -> nn.Module:
    """Give a module the vectors' weights. rename: from its own keys to those of the code that made them.

    Buffers that the other code does not have, or keeps fixed, stay what they are.
    """
    there, own = official(meta), module.state_dict()
    names = {key: rename(key) if rename else key for key in own}
    parameters = {key for key, _ in module.named_parameters()}
    assert not [key for key in parameters if names[key] not in there], "a parameter that the other code lacks"
    assert not set(there) - set(names.values()), "a parameter that the other code has and we lack"
    module.load_state_dict({key: there.get(names[key], value) for key, value in own.items()})
    return module.eval()


def closeness(actual: Tensor, expected: Tensor) -> float:
    """Largest absolute difference over the largest absolute value; shapes must be equal."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return float((actual.detach().double() - expected.double()).abs().max() / expected.double().abs().max())
