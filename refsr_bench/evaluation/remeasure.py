"""Compares somebody's run file with this installation: protocol, data set, and images measured again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import stem
from refsr_bench.core.schema import ImageRecord, Result
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.evaluation.metrics import Metric, score
from refsr_bench.pixels import images
from refsr_bench.pixels.saved import pixels_digest
from refsr_bench.protocols.base import Protocol, parse_label


@dataclass(frozen=True)
class Disagreement:
    """One disagreement. where: a field or a pair. text: what the file says and what was found instead."""

    where: str
    text: str


@dataclass(frozen=True)
class Remeasurement:
    """The requirements for measuring a run's SR images again.

    folder: the images as ``run --save-images`` names them.
    """

    result: Result
    folder: Path
    dataset: Dataset
    protocol: Protocol
    metrics: tuple[Metric, ...]


def known_protocol(result: Result, get: Callable[[str], Protocol]) -> tuple[Protocol | None, list[Disagreement]]:
    """Return this installation's version of the protocol that a run names; None when it is unknown or not the same.

    get: finds a protocol by name, raising Misuse.
    """
    stated = result.run.protocol
    try:
        known = parse_label(stated.label, get)
    except Misuse as error:
        return None, [Disagreement("run.protocol.label", f"{stated.label!r}: {error}")]
    if known.digest == stated.digest:
        return known, []
    mine = known.fields()
    changed = [name for name in sorted(mine.keys() | stated.fields.keys()) if mine.get(name) != stated.fields.get(name)]
    told = ", ".join(f"{name} is {stated.fields.get(name)!r}, here {mine.get(name)!r}" for name in changed[:4])
    return None, [Disagreement("run.protocol", f"is not {stated.label} as it is here: {told}")]


def card_disagreements(result: Result, card: DatasetCard | None) -> Iterator[Disagreement]:
    """Compare a run's data set with its card, without files. card: the one of that name; None if there is none."""
    stated = result.run.dataset
    if card and card.n_pairs and stated.official and stated.n_pairs != card.n_pairs:
        yield Disagreement("run.dataset.n_pairs", f"is {stated.n_pairs}; the official {card.name} has {card.n_pairs}")


def dataset_disagreements(result: Result, dataset: Dataset) -> Iterator[Disagreement]:
    """Return the facts in which a run's data set differs from the installed one."""
    stated = result.run.dataset
    if stated.n_pairs != dataset.n_pairs:
        yield Disagreement("run.dataset.n_pairs", f"is {stated.n_pairs}; there are {dataset.n_pairs} pairs here")
    if stated.manifest_sha256 != dataset.manifest_sha256:
        yield Disagreement(
            "run.dataset.manifest_sha256", f"is {stated.manifest_sha256[:12]}; here {dataset.manifest_sha256[:12]}"
        )
    if stated.official and not dataset.official:
        yield Disagreement("run.dataset.official", "is true; the files here are not the official ones")
    known = {pair.id for pair in dataset.pairs}
    if strange := [pair for pair in result.run.pair_ids if pair not in known]:
        yield Disagreement("run.pair_ids", f"{len(strange)} are unknown here: {', '.join(map(repr, strange[:3]))}")


def draw_records(result: Result, count: int | None) -> list[ImageRecord]:
    """Return the records to measure again: ``count`` of those measured, drawn by the file's content; None means all."""
    measured = list(result.measured)
    if count is None or count >= len(measured):
        return measured
    seed = "".join(record.sr_sha256 or record.id for record in measured)
    chosen = set(random.Random(seed).sample(range(len(measured)), count))
    return [record for n, record in enumerate(measured) if n in chosen]


def remeasure(
    what: Remeasurement, records: Iterable[ImageRecord]
) -> Iterator[tuple[ImageRecord, list[Disagreement]]]:
    """Measure SR images again, one after the other.

    Values agree when they differ by at most half of the last printed digit. A file that cannot be read, or that has
    another size or other pixels than the record's digest, is a disagreement.
    """
    pairs = {pair.id: pair for pair in what.dataset.pairs}
    for record in records:
        where = f"image {record.id!r}"
        try:
            found = list(_compare(what, record, pairs[record.id]))
        except BenchError as error:
            found = [str(error)]
        yield record, [Disagreement(where, text) for text in found]


def _compare(what: Remeasurement, record: ImageRecord, pair: RefPair) -> Iterator[str]:
    path = what.folder / f"{stem(record.id)}.png"
    if path.is_symlink() or not path.is_file():
        yield f"there is no file {path.name} in {what.folder}"
        return
    sr = images.read_image(path)
    if record.sr_sha256 is not None and pixels_digest(sr) != record.sr_sha256:
        yield f"{path.name} has other pixels than those measured (sr_sha256)"
    sample = what.protocol.prepare(pair, what.dataset.name)
    if sr.shape != sample.hr.shape:
        yield f"{path.name} is {sr.shape[1]}x{sr.shape[0]}; expected {sample.hr.shape[1]}x{sample.hr.shape[0]}"
        return
    if tuple(record.refs) != tuple(sample.ref_names):
        yield f"used references {', '.join(record.refs) or 'none'}; the protocol chooses {', '.join(sample.ref_names)}"
    digits = {metric.name: metric.digits for metric in what.result.run.metrics}
    for metric, value in score(sr, sample, what.protocol, what.metrics).items():
        stated = record.metrics.get(metric)
        if stated is not None and stated != value and not abs(stated - value) <= 0.5 * 10 ** -digits.get(metric, 4):
            yield f"{metric} is given as {stated:.6g}, measured here {value:.6g}"
