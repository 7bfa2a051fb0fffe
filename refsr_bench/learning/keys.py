"""State dicts from one naming to another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def renamed(state: Mapping[str, Tensor], rules: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Every key through the first rule whose pattern matches it whole; a key that none matches stays what it is."""

    def name(key: str) -> str:
        for pattern, replacement in rules:
            if match := re.fullmatch(pattern, key):
                return match.expand(replacement)
        return key

    return {name(key): value for key, value in state.items()}


def count(state: Mapping[str, Tensor], pattern: str) -> int:
    """Count the different numbers where ``pattern`` has its one group, over all keys that begin with it."""
    return len({match[1] for key in state if (match := re.match(pattern, key))})


def without_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries that begin with ``prefix``, which is taken off."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
