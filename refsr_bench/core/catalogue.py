"""Finds methods, datasets, metrics and protocols by scanning folders.

A package that registers in the entry-point group ``refsr_bench`` takes part. Each of its modules (or the package
itself) may export ``METHODS``, ``DATASETS``, ``METRICS``, ``PROTOCOLS`` or ``MATCHERS``, a tuple of cards with a
``name``. Modules whose name starts with an underscore are not read; neither is the inside of a package that exports a
tuple itself. A module of another distribution that cannot be imported is left out and named (``plugins``).
"""

from __future__ import annotations

import importlib
import logging
import pkgutil
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean

KINDS = {
    "METHODS": "method",
    "DATASETS": "dataset",
    "METRICS": "metric",
    "PROTOCOLS": "protocol",
    "MATCHERS": "matcher",
}


GROUP = "refsr_bench"
OWN = ("refsr_bench", "baselines", "c2matching")
"""Packages of this distribution. An error in one of them is a mistake of ours and is raised."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plugin:
    """A package of another distribution. value: the package. version: of its distribution. errors: by module."""

    name: str
    value: str
    distribution: str
    version: str
    errors: tuple[tuple[str, str], ...] = ()


@cache
def _found() -> tuple[tuple[ModuleType, ...], tuple[Plugin, ...]]:
    """Import every module that may export cards; return them, and the plugins with what went wrong in them."""
    modules: list[ModuleType] = []
    plugins = []
    points = {point.value: point for point in entry_points(group=GROUP)}
    for value, point in sorted(points.items()):
        own = value.partition(".")[0] in OWN
        errors: dict[str, str] = {}
        package = _imported(value, own, errors)
        if package is not None:
            modules.append(package)
            if not any(hasattr(package, kind) for kind in KINDS):
                inside = sorted(info.name for info in pkgutil.iter_modules(getattr(package, "__path__", ())))
                names = [f"{value}.{name}" for name in inside if not name.startswith("_")]
                modules += filter(None, (_imported(name, own, errors) for name in names))
        if not own:
            about = (point.dist.name, point.dist.version) if point.dist else ("", "")
            plugins.append(Plugin(point.name, value, *about, tuple(errors.items())))
    return tuple(modules), tuple(plugins)


def _imported(name: str, own: bool, errors: dict[str, str]) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # code of others may do anything when it is imported
        if own:
            raise
        errors[name] = f"{type(error).__name__}: {error}"
        log.warning("The plugin %s is left out: %s. Mend it, or uninstall it.", name, errors[name])
        return None


def plugins() -> tuple[Plugin, ...]:
    """Return the packages of other distributions that take part, or would if they could be imported."""
    return _found()[1]


def forget() -> None:
    """Forget what was found, so that distributions installed since then are seen."""
    _found.cache_clear()
    collect.cache_clear()


@cache
def collect(kind: str) -> dict[str, Any]:
    """Return all cards of one kind (a key of ``KINDS``) by name, in alphabetical order.

    Raises BenchError when two files export the same name.
    """
    found: dict[str, tuple[Any, str]] = {}
    for module in _found()[0]:
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
    raise Misuse(f"There is no {KINDS[kind]} called '{name}'. {did_you_mean(name, cards)}")
