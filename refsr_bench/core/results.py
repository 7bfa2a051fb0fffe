"""Reads, seals and writes run files, the source of every number on a page.

One run (one method, one data set, one protocol) is a folder ``<protocol>/<dataset>/<method>/`` with

* ``run.json``: what is being measured, written first; a later run with another fingerprint is refused;
* ``images.jsonl``: one line per image, appended and flushed as it is made (the last line for an id counts);
* ``result.json``: rebuilt from the two, the same bytes every time for the same records.

A result is *sealed* when every pair has a record, and *complete* when all of them were measured and no pair of the data
set was left out. Numbers that JSON cannot write (the PSNR of identical images) are the string "inf".
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from refsr_bench.core import files, migrations, reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.journals import Journal
from refsr_bench.core.schema import ImageRecord, Result, Run, SetValue

NO_SETS: Mapping[str, SetValue] = {}


def means(images: Iterable[ImageRecord], metrics: Iterable[str]) -> dict[str, float]:
    """Return the plain mean of each metric over the images that have it (the field averages dB values)."""
    measured = [image for image in images if image.error is None]
    columns = {name: [float(image.metrics[name]) for image in measured if name in image.metrics] for name in metrics}
    return {name: math.fsum(v) / len(v) if all(map(math.isfinite, v)) else math.inf for name, v in columns.items() if v}


def seal(
    run: Run, records: Mapping[str, ImageRecord], finished: str = "", sets: Mapping[str, SetValue] = NO_SETS
) -> Result:
    """Put records in the order of the run's pairs and compute the means. sets: the values of metrics of all images."""
    images = tuple(records[pair_id] for pair_id in run.pair_ids if pair_id in records)
    found = means(images, [metric.name for metric in run.metrics])
    return Result(run, images, found | {name: each.value for name, each in sets.items()}, finished, dict(sets))


def digest_of_images(images: Iterable[ImageRecord]) -> str:
    """Return SHA-256 (hex) over the digests of the SR images that were measured, in their order."""
    digests = [image.sr_sha256 or "" for image in images if image.error is None]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


# -- files ---------------------------------------------------------------------------------------------------------


def read_run(path: Path) -> Run:
    """Read ``run.json`` of any version. Raises BenchError naming the file and the field."""
    return parse_run(reader.parse_json(files.read_text(path), str(path)), str(path))


def parse_run(values: Any, where: str) -> Run:
    """Read a Run from its JSON value, of any version. Raises BenchError naming ``where`` and the field."""
    return reader.convert(migrations.current_run(values, where), Run, where)


def read_result(path: Path) -> Result:
    """Read ``result.json`` of any version. Raises BenchError naming the file and what is wrong in it."""
    return parse_result(reader.parse_json(files.read_text(path), str(path)), str(path))


def parse_result(values: Any, where: str) -> Result:
    """Read a Result from its JSON value, of any version, and check it for contradictions. Raises BenchError."""
    result = reader.convert(migrations.current(values, where), Result, where)
    if wrong := contradiction(result):
        raise BenchError(f"{where}: {wrong}.")
    return result


def write_result(path: Path, result: Result) -> None:
    """Write ``result.json``, whole or not at all. Raises BenchError when the disk refuses."""
    files.write_text(path, reader.dumps(result))


def journal(path: Path) -> Journal[ImageRecord]:
    """Open ``images.jsonl``: the records of a run, of any version, in the order in which they were made."""

    def decode(line: bytes, where: str) -> ImageRecord:
        return reader.convert(migrations.current_image(reader.parse_json(line, where)), ImageRecord, where)

    return Journal(path, decode, reader.dump_line)


def latest(records: Iterable[ImageRecord]) -> dict[str, ImageRecord]:
    """Return records by id; the last one for an id counts."""
    return {record.id: record for record in records}


# -- consistency ---------------------------------------------------------------------------------------------------


def contradiction(result: Result) -> str | None:
    """Return the first statement of a run file that contradicts the rest, in words; None for a sound file.

    Means must follow from the images, the protocol's digest from its fields, and records must belong to the run's
    pairs.
    """
    run = result.run
    names = [metric.name for metric in run.metrics]
    ids = [image.id for image in result.images]
    known = set(ids)
    if len(set(names)) != len(names):
        return "run.metrics names a metric twice"
    if len(set(run.pair_ids)) != len(run.pair_ids):
        return "run.pair_ids names a pair twice"
    if ids != [pair for pair in run.pair_ids if pair in known]:
        return "images are not those of run.pair_ids, each once and in their order"
    if len(run.pair_ids) > run.dataset.n_pairs:
        return f"run.pair_ids has {len(run.pair_ids)} pairs, the data set {run.dataset.n_pairs}"
    headline = (run.protocol.psnr, run.protocol.ssim) if run.kind == "benchmark" else ()
    if absent := [name for name in headline if name not in names]:
        return f"the protocol's metric {absent[0]!r} is not in run.metrics"
    if reader.digest(run.protocol.fields) != run.protocol.digest:
        return "run.protocol.digest is not that of run.protocol.fields"
    if wrong := _wrong_set(result):
        return wrong
    expected = means(result.images, names) | {name: each.value for name, each in result.sets.items()}
    for name in sorted(expected.keys() | result.means.keys()):
        stated, measured = result.means.get(name), expected.get(name)
        if stated is None or measured is None or not math.isclose(float(stated), measured, rel_tol=1e-9, abs_tol=1e-12):
            return f"the mean of {name} is given as {stated}, its images make {measured}"
    return None


def _wrong_set(result: Result) -> str | None:
    """Return what is wrong with a value of all images together, in words; None if nothing is."""
    whole = {metric.name for metric in result.run.metrics if metric.level == "set"}
    for name, each in result.sets.items():
        if name not in whole:
            return f"sets has {name!r}, which is no metric of the whole set in run.metrics"
        if each.images != len(result.measured) or each.of != digest_of_images(result.images):
            return f"the value of {name} was computed from other images"
    if stray := sorted(whole & {name for image in result.images for name in image.metrics}):
        return f"an image has {stray[0]!r}, which is a metric of the whole set"
    return None
