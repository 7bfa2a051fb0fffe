"""The corpus of hostile inputs: all cases of the modules of ``hostile``."""

from __future__ import annotations

import importlib
import pkgutil

import hostile
from hostile.case import Case


def all_cases() -> list[Case]:
    """Return every case, module by module. Raises ValueError when two have one name."""
    found: dict[str, Case] = {}
    for info in pkgutil.iter_modules(hostile.__path__):
        module = importlib.import_module(f"hostile.{info.name}")
        for case in [*getattr(module, "CASES", ()), *(module.cases() if hasattr(module, "cases") else ())]:
            if case.name in found:
                raise ValueError(f"{module.__file__}: there is a case called {case.name!r} already")
            found[case.name] = case
    return list(found.values())
