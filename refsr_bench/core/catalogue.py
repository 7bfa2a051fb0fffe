"""Finds methods, datasets, metrics and protocols by scanning folders.

A package that registers in the entry-point group ``refsr_bench`` takes part. Each of its modules (or the package
itself) may export ``METHODS``, ``DATASETS``, ``METRICS``, ``PROTOCOLS`` or ``MATCHERS``, a tuple of cards with a
``name``. Modules whose name starts with an underscore are not read; neither is the inside of a package that exports a
tuple itself.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from refsr_bench.core.errors import BenchError, Misuse

KINDS = {
    "METHODS": "method",
    "DATASETS": "dataset",
    "METRICS": "metric",
    "PROTOCOLS": "protocol",
    "MATCHERS": "matcher",
}


def _modules() -> Iterator[ModuleType]:
    for package_name in sorted({point.value for point in entry_points(group="refsr_bench")}):
        package = importlib.import_module(package_name)
        yield package
        if not any(hasattr(package, kind) for kind in KINDS):
            for info in pkgutil.iter_modules(package.__path__):
                if not info.name.startswith("_"):
                    yield importlib.import_module(f"{package_name}.{info.name}")


@cache
def collect(kind: str) -> dict[str, Any]:
    """Return all cards of one kind (a key of ``KINDS``) by name, in alphabetical order.

    Raises BenchError when two files export the same name.
    """
    found: dict[str, tuple[Any, str]] = {}
    for module in _modules():
        for card in getattr(module, kind, ()):
            if card.name in found:
                raise BenchError(
                    f"Two files export the {KINDS[kind]} '{card.name}': {found[card.name][1]} and {module.__file__}. "
                    "Rename one of them."
                )
            found[card.name] = (card, str(module.__file__))
    return {name: found[name][0] for name in sorted(found)}


def get(kind: str, name: str) -> Any:
    """Return the card called ``name``. Raises Misuse with the nearest known names if there is none."""
    cards = collect(kind)
    if name in cards:
        return cards[name]
    near = difflib.get_close_matches(name.lower(), cards, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(cards)}."
    raise Misuse(f"There is no {KINDS[kind]} called '{name}'. {hint}")
