"""Saves the pictures that a run keeps beside its numbers; ``pixels.saved`` says where and how."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from refsr_bench.core.names import stem
from refsr_bench.core.schema import Result
from refsr_bench.core.types import Dataset, Prediction, Sample
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.evaluation.plan import Pictures, Plan
from refsr_bench.pixels import images, saved
from refsr_bench.views.records import scored

# On the sample, PNGs take 4 bytes per HR pixel with one method (HR, LR, reference, SR) and 1 more for each further one.
# So many pairs of 2 megapixels take 160 MB, and 40 MB more for each further method.
SMALL = 20


def pictures_of(datasets: Iterable[Dataset], limit: int | None, metrics: Iterable[Metric] = ()) -> Pictures:
    """Return what a run keeps that was asked for nothing: images where every data set has at most SMALL pairs.

    metrics: those of the run; one of all images together reads the images when they are made.
    """
    small = all(len(dataset.pairs[:limit]) <= SMALL for dataset in datasets)
    return "images" if small or any(metric.gather for metric in metrics) else "none"


def save_pictures(plan: Plan, folder: Path, sample: Sample, prediction: Prediction | None = None) -> None:
    """Write the pictures of one pair: HR as scored, LR and references as given; SR, views and matches of a prediction.

    folder: the run's. Raises BenchError and OSError when the disk refuses.
    """
    about = {
        "dataset": plan.dataset.name,
        "manifest_sha256": plan.dataset.manifest_sha256,
        "protocol": plan.protocol.label,
        "protocol_digest": plan.protocol.digest,
    }
    saved.save_inputs(folder.parent / "inputs", sample, about)
    if prediction is None:
        return
    images.write_png(folder / "images" / f"{stem(sample.id)}.png", prediction.sr, folder)
    if prediction.views:
        views = [scored(view, sample.crop) for view in prediction.views]
        saved.save_views(folder / "views", sample, views, prediction.sr)
    if plan.pictures == "matches" and prediction.correspondence is not None:
        saved.save_matches(folder / "matches", sample, prediction.correspondence, prediction.sr)


def picture_folders(runs: Iterable[Path]) -> set[Path]:
    """Return the folders in which these runs keep pictures. runs: their folders."""
    own = {folder / name for folder in runs for name in ("images", "matches", "views")}
    return own | {folder.parent.parent / "inputs" for folder in own}


def missing_pictures(folder: Path, result: Result) -> list[str]:
    """Return the ids of a run's measured images whose SR image is missing from its folder."""
    return [
        record.id for record in result.measured if not (folder / "images" / f"{stem(record.id)}.png").is_file()
    ]
