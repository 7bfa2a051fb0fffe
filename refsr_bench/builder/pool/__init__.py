"""The pool of candidates for each query, from folders on this machine and from providers on the web."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Gathered:
    """The outcome of a run. added: the number of rows by provider. notes: sentences on what was left out and why."""

    added: Mapping[str, int]
    notes: tuple[str, ...]
