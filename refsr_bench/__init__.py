"""refsr-bench: data, protocols, metrics and results for reference-based super-resolution.

    import refsr_bench

    result = refsr_bench.evaluate("bicubic", "sample", limit=2)
    result.frame  # a pandas frame

Every public name is in ``__all__``. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leaderboard.frame import load_results as load_results
    from refsr_bench.api.comparing import Comparison as Comparison
    from refsr_bench.api.comparing import compare as compare
    from refsr_bench.api.conventions import protocol as protocol
    from refsr_bench.api.evaluating import evaluate as evaluate
    from refsr_bench.api.pairs import load_dataset as load_dataset
    from refsr_bench.api.pairs import pair as pair
    from refsr_bench.api.pairs import to_hf as to_hf
    from refsr_bench.api.result import Result as Result
    from refsr_bench.api.scoring import measure as measure
    from refsr_bench.api.scoring import score as score
    from refsr_bench.api.sweeping import Sweep as Sweep
    from refsr_bench.api.sweeping import robustness as robustness
    from refsr_bench.api.upscaling import upscale as upscale
    from refsr_bench.core.cards import LoadedMethod as LoadedMethod
    from refsr_bench.core.cards import MethodCard as MethodCard
    from refsr_bench.core.errors import BenchError as BenchError
    from refsr_bench.core.errors import Misuse as Misuse
    from refsr_bench.core.errors import NoWeights as NoWeights
    from refsr_bench.core.types import Dataset as Dataset
    from refsr_bench.core.types import Prediction as Prediction
    from refsr_bench.core.types import RefPair as RefPair
    from refsr_bench.protocols.base import Protocol as Protocol

__version__ = "0.1.0"

_HOMES = {
    "BenchError": "refsr_bench.core.errors",
    "Comparison": "refsr_bench.api.comparing",
    "Dataset": "refsr_bench.core.types",
    "LoadedMethod": "refsr_bench.core.cards",
    "MethodCard": "refsr_bench.core.cards",
    "Misuse": "refsr_bench.core.errors",
    "NoWeights": "refsr_bench.core.errors",
    "Prediction": "refsr_bench.core.types",
    "Protocol": "refsr_bench.protocols.base",
    "RefPair": "refsr_bench.core.types",
    "Result": "refsr_bench.api.result",
    "Sweep": "refsr_bench.api.sweeping",
    "compare": "refsr_bench.api.comparing",
    "evaluate": "refsr_bench.api.evaluating",
    "load_dataset": "refsr_bench.api.pairs",
    "load_results": "leaderboard.frame",
    "measure": "refsr_bench.api.scoring",
    "pair": "refsr_bench.api.pairs",
    "protocol": "refsr_bench.api.conventions",
    "robustness": "refsr_bench.api.sweeping",
    "score": "refsr_bench.api.scoring",
    "to_hf": "refsr_bench.api.pairs",
    "upscale": "refsr_bench.api.upscaling",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'refsr_bench' has no attribute '{name}'")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
