"""Measures a method or a matcher over the levels of a change of its reference.

The references show the ground truth, a leak by construction, so such runs are records of the kind ``robustness``, which
never enter a ranking. Methods give PSNR, SSIM and, if they have correspondences, end-point errors; matchers give only
these errors. ``leaderboard.statistics`` makes rows, intervals and figures from these run files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Result
from refsr_bench.core.types import Prediction, RefPair, Sample, Truth
from refsr_bench.evaluation.loop import Track, evaluate
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.evaluation.plan import Extra, Plan, Predictor
from refsr_bench.evaluation.run_folder import Reuse
from refsr_bench.geometry import correspondences
from refsr_bench.protocols.base import Protocol
from refsr_bench.sweeps.levels import Level


@dataclass(frozen=True)
class RobustnessPlan:
    """The settings that every predictor is measured with. metrics: of SR images; folder: for the run folders."""

    levels: tuple[Level, ...]
    protocol: Protocol
    metrics: tuple[Metric, ...]
    folder: Path
    command: str = ""


def protocol_for(protocol: Protocol) -> Protocol:
    """Return a protocol that leaves the pixels of references unmoved: one reference, in its own size.

    Padding to a common size would reveal the reference's scale by its black border, and an unrelated reference larger
    than the input would change LR.
    """
    return protocol.changed({"refs": "first", "ref_size": "native"})


def matching_measures(truth: Callable[[str], Truth]) -> Extra:
    """Return end-point errors as measures beside those of SR images. truth(pair id): the true correspondence."""

    def measure(pair: RefPair, sample: Sample, prediction: Prediction) -> dict[str, float]:
        if prediction.correspondence is None:
            raise BenchError(f"Pair '{pair.id}' has no reference to match.")
        top, left, height, width = sample.crop
        points = np.asarray(prediction.correspondence.points) - np.array([left, top], np.float32)
        inside = dataclasses.replace(prediction.correspondence, points=points)
        return correspondences.measure(inside, truth(pair.id), (height, width))

    return Extra(correspondences.MEASURES, measure)


def measure(
    plan: RobustnessPlan,
    predictor: Predictor,
    reuse: Reuse = "missing",
    track: Callable[[str], Track] = lambda level: lambda pairs, done, total: pairs,
) -> dict[str, tuple[Result, Path]]:
    """Run one predictor over all levels; return sealed results and their folders, by level. Any run can be resumed.

    A matcher's SR images are not measured. track: makes a progress bar for the level that it is given.
    """
    metrics = () if predictor.always_matches else plan.metrics
    done = {}
    for level in plan.levels:
        extra = matching_measures(level.truth) if predictor.shows_matches and level.truth else None
        if extra is None and not metrics:
            continue
        one = Plan(
            predictor=predictor,
            dataset=level.dataset,
            protocol=plan.protocol,
            metrics=metrics,
            pairs=level.pairs,
            kind="robustness",
            extra=extra,
            command=plan.command,
        )
        done[level.name] = evaluate(one, plan.folder, reuse=reuse, standing=True, track=track(level.name))
    return done
