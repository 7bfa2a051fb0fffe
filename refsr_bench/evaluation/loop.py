"""The evaluation loop: prepare, predict, score, record; resumable per image, one writer per run.

    plan ─► measure_pair (for each pair still to do) ─► Outcome ─► pictures, record ─► result.json

``measure_pair`` is the middle. It touches no file of the run, so that another engine may run it elsewhere.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import some
from refsr_bench.core.schema import ImageRecord, Result
from refsr_bench.core.types import Image, Prediction, RefPair, Sample
from refsr_bench.evaluation.checks import lr_psnr, tell_unlike
from refsr_bench.evaluation.cost import measured
from refsr_bench.evaluation.metrics import score
from refsr_bench.evaluation.pictures import save_pictures
from refsr_bench.evaluation.plan import Plan, now
from refsr_bench.evaluation.run_folder import Reuse, RunFolder, opened
from refsr_bench.evaluation.sets import measure_sets, must_keep_images, of_sets
from refsr_bench.pixels.saved import pixels_digest
from refsr_bench.views.records import records

log = logging.getLogger(__name__)

WARM_UP_SIDE = 40  # pixels of LR; every method takes so small an image, and the slowest takes two seconds for it

Track = Callable[[Iterable[RefPair], int, int], Iterable[RefPair]]
"""Wraps the pairs still to do, for a progress bar; it is given how many are done and how many there are."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of one pair. sample, prediction: None when it failed; SR is cut to the scored size."""

    record: ImageRecord
    sample: Sample | None = None
    prediction: Prediction | None = None


def evaluate(
    plan: Plan,
    out: Path,
    *,
    reuse: Reuse = "missing",
    track: Track = lambda pairs, done, total: pairs,
    standing: bool = False,
) -> tuple[Result, Path]:
    """Carry out a plan; return the sealed result and its folder below ``out``.

    Pairs that already have a record are not predicted again; pairs that failed are. The log says how many were reused.
    reuse: see ``run_folder.Reuse``. standing: ``out`` must be there already; one plan of several gives it, so that a
    folder that vanished during the others does not come back with a part of the results. Raises Misuse when the folder
    holds a run of other weights, data or options, BenchError when nothing can be written, or "only" finds a pair
    without a record.
    """
    must_keep_images(plan)
    run = plan.describe()
    with opened(plan.folder(out), run, reuse, out if standing else None) as folder:
        todo = [] if reuse == "only" else [pair for pair in plan.chosen if not folder.done(pair.id)]
        if reuse == "only":
            _all_recorded(plan, folder)
        if plan.pictures != "none":
            for pair in plan.chosen:
                if folder.done(pair.id):  # an earlier run did not keep its SR image, but its inputs can still be saved
                    save_pictures(plan, folder.path, plan.protocol.prepare(pair, plan.dataset.name))
        if todo:
            folder.goes_on_here(run.machine)
            warm_up(plan, todo[0])
        for pair in track(todo, len(plan.chosen) - len(todo), len(plan.chosen)):
            outcome = measure_pair(plan, pair)
            if plan.pictures != "none" and outcome.sample:
                # Pictures are written before the record, so a kill in between repeats the pair.
                save_pictures(plan, folder.path, outcome.sample, outcome.prediction)
            folder.append(outcome.record)
        total = len(plan.chosen)
        if reused := total - len(todo):
            what = f"{run.method.name} on {run.dataset.name}"
            log.info("%s: reused %d of %d, measured %d.", what, reused, total, len(todo))
        tell_unlike(run.method.title, *(r.lr_psnr for r in folder.records.values() if r.lr_psnr is not None))
        unchanged = not todo and (folder.path / "result.json").exists()
        earlier = folder.before() if of_sets(plan.metrics) else None
        sets = measure_sets(plan, folder, earlier.sets if earlier else {})
        return folder.seal(None if unchanged else now(), sets), folder.path


def _all_recorded(plan: Plan, folder: RunFolder) -> None:
    if missing := [pair.id for pair in plan.chosen if pair.id not in folder.records]:
        raise BenchError(
            f"{folder.path}: {len(missing)} of {len(plan.chosen)} pairs have no record: {some(missing)}. "
            "Leave out --reuse only to measure them."
        )


def warm_up(plan: Plan, pair: RefPair) -> None:
    """Predict a small part of a pair and forget it, so that no recorded time holds compiling and first allocations.

    A program that is started for each image, and images that are read from a folder, have nothing to warm up.
    """
    if plan.predictor.origin in ("folder", "command"):
        return
    with suppress(Exception):  # the pair itself will fail with its reason
        sample = plan.protocol.prepare(pair, plan.dataset.name)
        side, scaled = WARM_UP_SIDE, WARM_UP_SIDE * sample.scale
        lr = np.ascontiguousarray(sample.lr[:side, :side])
        height, width = lr.shape[0] * sample.scale, lr.shape[1] * sample.scale
        part = replace(
            sample,
            lr=lr,
            hr=np.ascontiguousarray(sample.hr[:scaled, :scaled]),
            refs=tuple(np.ascontiguousarray(ref[:scaled, :scaled]) for ref in sample.refs),
            crop=(0, 0, height, width),
        )
        plan.predictor.predict(pair, part)


def measure_pair(plan: Plan, pair: RefPair) -> Outcome:
    """Predict and score one pair. A pair that fails becomes a record with its reason; nothing is raised."""
    try:
        sample = plan.protocol.prepare(pair, plan.dataset.name)
        prediction, cost, likeness = _predict(plan, pair, sample)
        views = records(prediction, sample)
        values = score(prediction.sr, sample, plan.protocol, plan.metrics)
        if plan.extra:
            values |= plan.extra.measure(pair, sample, prediction)
        if undefined := [name for name, value in values.items() if math.isnan(value)]:
            raise BenchError(f"{undefined[0]} of pair '{pair.id}' is not a number.")
    except Exception as error:  # whatever a method raises is its pair's failure, not the run's
        reason = str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
        return Outcome(ImageRecord(id=pair.id, error=reason, leak=plan.leak(pair)))
    height, width = prediction.sr.shape[:2]
    record = ImageRecord(
        id=pair.id,
        metrics=values,
        refs=sample.ref_names,
        hr_size=(width, height),
        sr_sha256=pixels_digest(prediction.sr),
        cost=cost,
        leak=plan.leak(pair),
        views=views,
        tile=prediction.tile,
        lr_psnr=likeness,
    )
    return Outcome(record, sample, prediction)


def _predict(plan: Plan, pair: RefPair, sample: Sample) -> tuple[Prediction, dict[str, float], float | None]:
    """Return the prediction with SR cut to the scored size, its cost, and its likeness to LR where that is checked.

    The cost is empty if the time says nothing.
    """
    predictor = plan.predictor
    with measured(predictor.device) as cost:
        prediction = predictor.predict(pair, sample)
    if not isinstance(prediction, Prediction):
        raise BenchError(f"{predictor.info.name} returned {type(prediction).__name__}, not a Prediction.")
    _check_size(prediction.sr, sample, predictor.info.name)
    likeness = lr_psnr(prediction.sr, sample.lr) if predictor.guessed else None
    prediction = replace(prediction, sr=_scored_area(prediction.sr, sample))
    wanted = plan.extra is not None or plan.pictures == "matches"
    if wanted and prediction.correspondence is None and predictor.match and sample.refs:
        prediction = replace(prediction, correspondence=predictor.match(sample, prediction))
    return prediction, {} if predictor.origin == "folder" else cost, likeness


def _check_size(output: Image, sample: Sample, what: str) -> None:
    """Raise BenchError when a method's output is no image of LR's size x scale."""
    height, width = (side * sample.scale for side in sample.lr.shape[:2])
    found = f"{output.dtype} {output.shape}" if isinstance(output, np.ndarray) else type(output).__name__
    if found != f"uint8 {(height, width, 3)}":
        raise BenchError(f"{what} returned {found} for pair '{sample.id}' instead of uint8 {(height, width, 3)}.")


def _scored_area(output: Image, sample: Sample) -> Image:
    """Cut a method's output to the scored area."""
    top, left, h, w = sample.crop
    return output[top : top + h, left : left + w]
