"""Translation of state dicts from one naming scheme to another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# Keys under which trainers keep the state dict of the network that is of use, those averaged over the training first:
# BasicSR (params_ema, params), neosr and traiNNer (params-ema), PyTorch's tutorials (model_state_dict),
# Lightning and MMagic (state_dict), Swift-SRGAN (model), KAIR and DITN (net), GAN trainers (generator, netG, net_g, g).
WRAPPERS = (
    *("params_ema", "params-ema", "ema_state_dict", "model_ema", "ema", "params"),
    *("model_state_dict", "state_dict", "generator", "netG", "net_g", "G", "g", "model", "net"),
)
# What wrappers of modules put before every name: DDP and DataParallel, torch.compile, FSDP.
MODULES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.")
# What a trainer puts before the names of the network, where the state dict also holds its critics and losses: MMagic
# (generator_ema, generator), Lightning (the attribute's name), KAIR.
NETWORKS = ("generator_ema.", "ema_model.", "net_g_ema.", "generator.", "net_g.", "netG.", "model.", "net.", "network.")


def renamed(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Rename every key by the first rule whose pattern matches the whole key; other keys stay as they are.

    rules: pairs of a regular expression and the template that ``re.Match.expand`` fills in.
    """

    def name(key: str) -> str:
        for pattern, replacement in rules:
            if match := re.fullmatch(pattern, key):
                return match.expand(replacement)
        return key

    return {name(key): value for key, value in state.items()}


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Count the distinct values of the one group of ``pattern``, over all keys that begin with a match of it."""
    return len({match[1] for key in state if (match := re.match(pattern, key))})


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the entries whose keys begin with ``prefix``, with the prefix removed."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def unwrapped(content: Any) -> Any:
    """Return the state dict inside the tables that trainers wrap around it; anything else as it is.

    A table is a wrapper where it holds a table under a known key (``WRAPPERS``), or one table alone.
    """
    for _ in range(4):  # Lightning's file within a trainer's has two levels
        if not isinstance(content, Mapping):
            break
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)]
        if not inner and len(content) == 1:
            inner = [value for value in content.values() if isinstance(value, Mapping)]
        if not inner:
            break
        content = inner[0]
    return content


def bare(key: str) -> str:
    """Return a tensor's name without what wrappers of modules put before it (``MODULES``)."""
    while prefix := next((prefix for prefix in MODULES if key.startswith(prefix)), ""):
        key = key.removeprefix(prefix)
    return key


def readings(state: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """Yield the state dicts that a file of a trainer may mean: all tensors, then those of each network in it.

    Names lose what wrappers of modules put before them.
    """
    yield {bare(key): value for key, value in state.items()}
    for prefix in NETWORKS:
        if inner := without_prefix(state, prefix):
            yield {bare(key): value for key, value in inner.items()}
