"""Computes metrics of all SR images of a run together, from the pictures that the run has saved."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import stem
from refsr_bench.core.results import digest_of_images
from refsr_bench.core.schema import ImageRecord, SetValue
from refsr_bench.core.types import Image
from refsr_bench.evaluation.metrics import Metric
from refsr_bench.evaluation.plan import Plan
from refsr_bench.evaluation.run_folder import RunFolder
from refsr_bench.metrics._planes import inside
from refsr_bench.pixels import images
from refsr_bench.pixels.saved import pixels_digest

log = logging.getLogger(__name__)


def of_sets(metrics: Sequence[Metric]) -> list[Metric]:
    """Return the metrics of whole sets that can be computed here."""
    return [metric for metric in metrics if metric.gather is not None]


def must_keep_images(plan: Plan) -> None:
    """Raise Misuse for a plan with metrics of whole sets whose pictures are not kept."""
    if plan.pictures == "none" and (wanted := of_sets(plan.metrics)):
        titles = " and ".join(metric.card.title for metric in wanted)
        raise Misuse(f"{titles} read the SR images after all are made, so these must be kept. Give --save-images.")


def measure_sets(plan: Plan, folder: RunFolder, before: Mapping[str, SetValue]) -> dict[str, SetValue]:
    """Return the value of each metric of the whole set. before: those of an earlier result, kept for the same images.

    A metric that these images do not allow, or whose pictures are missing, has none; the log says why.
    """
    records = [folder.records[pair.id] for pair in plan.chosen if folder.done(pair.id)]
    digest, found = digest_of_images(records), {}
    for metric in of_sets(plan.metrics):
        name = metric.card.name
        if name in before and before[name].of == digest:
            found[name] = before[name]
            continue
        try:
            gathered = metric.gather(_sizes(plan, records), _pairs(plan, folder, records))
        except BenchError as error:
            log.warning("%s on %s: %s", plan.predictor.info.name, plan.dataset.name, error)
            continue
        found[name] = SetValue(gathered.value, len(records), gathered.parts, digest)
    return found


def _sizes(plan: Plan, records: Sequence[ImageRecord]) -> list[tuple[int, int]]:
    """Return (height, width) of each image without its border, as its record states it."""
    twice = 2 * plan.protocol.border
    return [(height - twice, width - twice) for width, height in (record.hr_size for record in records)]


def _pairs(plan: Plan, folder: RunFolder, records: Sequence[ImageRecord]) -> Iterator[tuple[Image, Image]]:
    """Return SR and HR of each record without borders. Raises BenchError for a picture that is not the record's."""
    pairs = {pair.id: pair for pair in plan.chosen}
    for record in records:
        path = folder.path / "images" / f"{stem(record.id)}.png"
        sr = images.read_image(path) if path.is_file() else None
        if sr is None or pixels_digest(sr) != record.sr_sha256:
            raise BenchError(
                f"the picture of {record.id!r} is not in {path.parent}, because an earlier run did not keep it. "
                "--reuse never measures and saves all again."
            )
        yield inside(sr, plan.protocol.prepare(pairs[record.id], plan.dataset.name).hr, plan.protocol.border)
