"""Measures images: two arrays, or a folder of somebody's SR images."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refsr_bench.api.conventions import with_refs
from refsr_bench.api.inputs import Picture, image_of
from refsr_bench.api.measures import compute_of, metrics_of
from refsr_bench.api.pairs import DatasetLike, load_dataset
from refsr_bench.api.result import Result, place_of
from refsr_bench.core.errors import Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.terminal import tracked
from refsr_bench.core.types import Dataset
from refsr_bench.evaluation.checks import refuse_leaks
from refsr_bench.evaluation.loop import evaluate
from refsr_bench.evaluation.machine import resolve_device
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.evaluation.plan import Plan
from refsr_bench.evaluation.predictors import find_predictions, folder_predictor
from refsr_bench.evaluation.run_folder import Reuse
from refsr_bench.protocols.base import Protocol


def measure(
    sr: Picture,
    hr: Picture,
    metrics: str | Iterable[str] = ("psnr_y", "ssim_y"),
    border: int = 4,
    *,
    device: str = "cpu",
    y_rounded: bool = False,
) -> dict[str, float]:
    """Measure one SR image against its HR image; return unrounded values by metric.

        refsr_bench.measure(sr, hr)["psnr_y"]

    sr, hr: arrays ``uint8 H x W x 3 RGB`` of equal size; paths and Pillow images are read. metrics: names of the
    catalogue ("psnr_y", "psnr_rgb", "ssim_y", "lpips" ...). border: pixels left out on each side. device: for metrics
    with a network. y_rounded: round luma to whole numbers first, as some published code does.

    PSNR is in dB and infinite for identical images. The values are those that a protocol with this border reports.
    Raises Misuse for an unknown metric, a negative border, and an array of another type or shape; BenchError when the
    sizes differ, the image is too small, or weights of a metric are missing.
    """
    if border < 0:
        raise Misuse(f"border={border}: give a number of pixels, 0 or more.")
    first, second = image_of(sr, "sr"), image_of(hr, "hr")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    return {name: compute_of(name, resolve_device(device))(first, second, border, y_rounded) for name in names}


@dataclass(frozen=True)
class Outside:
    """SR images that other code produced, and what a person says about it.

    folder: one image for each pair. name: the method's in tables. group: "SISR" or "Ref-SR". gan: trained with an
    adversarial loss. partial: images may be missing.
    """

    folder: Path
    name: str
    group: str = "Ref-SR"
    gan: bool = False
    partial: bool = False


def plan_of(
    images: Outside,
    dataset: Dataset,
    protocol: Protocol,
    *,
    metrics: Sequence[Metric],
    allow_leaks: bool = False,
    save_images: bool = False,
    command: str = "",
) -> Plan:
    """Return the plan that measures SR images from outside. Raises like ``score``."""
    found = find_predictions(images.folder, protocol, dataset)
    missing = [pair.id for pair in dataset if pair.id not in found]
    if missing and not (images.partial and found):
        raise Misuse(
            f"{images.folder} has no SR image for {len(missing)} of {len(dataset)} pairs: {some(missing)}. "
            "Add them, or measure the others: --partial, partial=True."
        )
    pairs = tuple(pair for pair in dataset if pair.id in found)
    return Plan(
        predictor=folder_predictor(found, images.name, images.group, images.gan),
        dataset=dataset,
        protocol=protocol,
        metrics=tuple(metrics),
        pairs=pairs,
        leaks=refuse_leaks(dataset, protocol, pairs, allow_leaks),
        pictures="images" if save_images else "none",
        command=command,
    )


def score(
    folder: str | Path,
    dataset: DatasetLike,
    protocol: str | Protocol = "c2",
    *,
    name: str,
    refs: str | None = None,
    metrics: Sequence[str] = (),
    group: Literal["SISR", "Ref-SR"] = "Ref-SR",
    gan: bool = False,
    partial: bool = False,
    out: str | Path | None = None,
    reuse: Reuse = "missing",
    save_images: bool = False,
    allow_leaks: bool = False,
) -> Result:
    """Measure SR images that any other code produced.

        result = refsr_bench.score("outputs", "wrsr", name="My method")

    folder: SR images, one for each pair. A file belongs to a pair when it is called like the pair's id, its HR file or
    its reference file, with or without something after "_", "-" or ".". dataset, protocol, refs, metrics, out, reuse,
    allow_leaks: as of ``evaluate``. name: the method's in tables. group, gan: statements about the method; rows trained
    with an adversarial loss are shaded. partial: measure the others when images are missing; such runs are never
    ranked. save_images: keep SR, HR, LR and references for pages and notebooks.

    Raises Misuse for a missing folder or missing images, BenchError when two files fit one pair.
    """
    convention = with_refs(protocol, refs)
    images = Outside(Path(folder), name, group, gan, partial)
    plan = plan_of(
        *(images, load_dataset(dataset), convention),
        metrics=metrics_of((*convention.metrics, *metrics), "cpu"),
        allow_leaks=allow_leaks,
        save_images=save_images,
    )
    place, temporary = place_of(out)
    return Result(*evaluate(plan, place, reuse=reuse, track=functools.partial(tracked, what=name)), temporary)
