"""``ablation.json`` of ``refsr-bench ablation``, read and checked: one network, one component after the other."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.reading.load import Problem
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, MetricInfo, ProtocolInfo

FILE = "ablation.json"
VERSION = 1
MOST = 1000  # dB


@dataclass(frozen=True)
class Variant:
    """The network with one component more than the one before. scores: by image id, dB."""

    name: str
    title: str
    weights_sha256: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Ablation:
    """One study. path: of its file, relative to the results; subset: ids of its textured images, chosen by ``rule``;
    budget: iterations by stage and the number of photos."""

    path: str
    dataset: DatasetInfo
    protocol: ProtocolInfo
    metric: MetricInfo
    variants: tuple[Variant, ...]
    subset: tuple[str, ...]
    rule: str
    budget: Mapping[str, int | str | None]


def load_ablations(folder: Path) -> tuple[tuple[Ablation, ...], tuple[Problem, ...]]:
    """Every ``ablation.json`` below ``folder`` in the order of paths, and those that cannot be trusted as Problems."""
    found, problems = [], []
    paths = [Path(parent) / FILE for parent, _, names in os.walk(folder) if FILE in names]
    for path in sorted(paths, key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        try:
            found.append(parse(json.loads(path.read_text(encoding="utf-8")), name))
        except OSError as error:
            problems.append(Problem(name, error.strerror or "cannot be read"))
        except (ValueError, RecursionError) as error:
            problems.append(Problem(name, f"not JSON ({error})"))
        except BenchError as error:
            problems.append(Problem(name, str(error)))
    return tuple(found), tuple(problems)


def parse(values: Any, name: str) -> Ablation:
    """An Ablation from its JSON value. Raises BenchError; all variants must have the same images."""
    try:
        if (values["kind"], values["schema_version"]) != ("ablation", VERSION):
            raise BenchError(
                f"kind {values['kind']!r}, schema_version {values['schema_version']!r}; not an ablation here"
            )
        variants = tuple(
            Variant(str(v["name"]), str(v["title"]), str(v["weights_sha256"] or ""),
                    {str(image): float(score) for image, score in v["scores"].items()})
            for v in values["variants"]
        )  # fmt: skip
        dataset = values["dataset"]
        study = Ablation(
            name,
            DatasetInfo(**{**dataset, "notes": tuple(map(str, dataset["notes"])), "n_pairs": int(dataset["n_pairs"])}),
            ProtocolInfo(**values["protocol"]),
            MetricInfo(**values["metric"]),
            variants,
            tuple(map(str, values["texture_subset"])),
            str(values["texture_rule"]),
            dict(values["budget"]),
        )
    except KeyError as error:
        raise BenchError(f"field {error.args[0]!r} is missing") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise BenchError(f"a value has the wrong type ({error})") from None
    texts = (study.dataset.name, study.dataset.title, study.dataset.manifest_sha256, study.protocol.label,
             study.protocol.digest, study.metric.title, study.metric.unit)  # fmt: skip
    if not all(isinstance(text, str) for text in texts):
        raise BenchError("a name, title or digest is not text")
    if len(variants) < 2:
        raise BenchError("fewer than two variants")
    if len({variant.name for variant in variants}) < len(variants):
        raise BenchError("two variants have one name")
    ids = variants[0].scores.keys()
    if not ids or any(variant.scores.keys() != ids for variant in variants):
        raise BenchError("the variants were not measured on the same images")
    if not set(study.subset) <= ids:
        raise BenchError("texture_subset names images that were not measured")
    if not all(abs(score) < MOST for variant in variants for score in variant.scores.values()):
        raise BenchError(f"a score is not a number below {MOST} dB")
    if digest(study.protocol.fields) != study.protocol.digest:
        raise BenchError("protocol.digest is not that of protocol.fields")
    return study
