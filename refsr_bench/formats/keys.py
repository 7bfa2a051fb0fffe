"""Translation of state dicts from one naming scheme to another."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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
