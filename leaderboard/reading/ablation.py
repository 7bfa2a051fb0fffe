"""Reads and checks ``ablation.json`` of ``refsr-bench ablation``: one network, one component after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import Format, Name, Sha256, Text
from refsr_bench.core.schema import DatasetInfo, MetricInfo, ProtocolInfo

FILE = "ablation.json"
VERSION = 1

Decibels = Annotated[float, Meta(gt=-1000, lt=1000)]  # no PSNR of 8-bit images lies outside, and neither does infinity


class Variant(Format):
    """The network with one component more than the one before. result: its run file. scores: by image id, in dB."""

    name: Name
    title: Text
    weights_sha256: Sha256 | None
    result: Text
    scores: Annotated[Mapping[str, Decibels], Meta(min_length=1)]


class Ablation(Format):
    """One study.

    texture_subset: ids of its textured images, chosen by ``texture_rule``. budget: iterations by stage (None for a
    stage that was given) and the number of photos. config: the whole configuration of the training.
    """

    kind: Literal["ablation"]
    schema_version: Literal[1]
    dataset: DatasetInfo
    protocol: ProtocolInfo
    metric: MetricInfo
    variants: Annotated[tuple[Variant, ...], Meta(min_length=2)]
    texture_subset: tuple[Name, ...]
    texture_rule: Text
    budget: Mapping[str, int | Text | None]
    config: Mapping[str, Any]
    device: Text
    command: Text
    versions: Mapping[str, Text]


def read_ablation(path: Path) -> Ablation:
    """Read an ``ablation.json`` that does not contradict itself. Raises BenchError naming the file and the field."""
    study = reader.read_json(path, Ablation)
    if wrong := contradiction(study):
        raise BenchError(f"{path}: {wrong}.")
    return study


def contradiction(study: Ablation) -> str | None:
    """Return the first statement that the rest of the study contradicts, in words; None for a sound one."""
    ids = study.variants[0].scores.keys()
    if len({variant.name for variant in study.variants}) < len(study.variants):
        return "two variants have one name"
    if any(variant.scores.keys() != ids for variant in study.variants):
        return "the variants were not measured on the same images"
    if not set(study.texture_subset) <= ids:
        return "texture_subset names images that were not measured"
    if reader.digest(study.protocol.fields) != study.protocol.digest:
        return "protocol.digest is not that of protocol.fields"
    return None
