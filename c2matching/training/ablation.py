"""The ablation of Fig. 5: one component after the other, trained and measured under the same conditions.

Only PSNR differences are printed in the paper's text (section 5.5); they are what ``PAPER`` holds.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from c2matching.training.config import Training
from c2matching.training.data import Photo
from c2matching.training.prepare import Sources, matching_stage, restoration_stage, weights_writer
from c2matching.training.stages import MatchingStage, Parallel, RestorationStage
from c2matching.training.train import CHECKPOINT, train, write_atomically
from refsr_bench.core.reader import dumps, to_json
from refsr_bench.core.schema import Result
from refsr_bench.data.texture import RULE

DONE = "last.safetensors"
FILE = "ablation.json"
FILE_VERSION = 1


@dataclass(frozen=True)
class Variant:
    """extractor: ``vgg`` (fixed), ``contrastive`` (trained without a teacher) or ``student`` (distilled)."""

    name: str
    title: str
    extractor: str
    aggregation: str


VARIANTS = (
    Variant("baseline", "baseline: VGG features, patches copied", "vgg", "copy"),
    Variant("dyn-agg", "+ dynamic aggregation", "vgg", "dynamic"),
    Variant("contrastive", "+ contrastive correspondence", "contrastive", "dynamic"),
    Variant("distilled", "+ teacher-student distillation", "student", "dynamic"),
)

PAPER = {
    "dyn-agg": ("+0.08", ""),
    "contrastive": ("about +0.2", ""),
    "distilled": ("+0.09", "+0.16"),
}  # dB over the row above: full CUFED5, texture subset


def train_variants(
    photos: Sequence[Photo], training: Training, sources: Sources, parallel: Parallel, out: Path,
    data: list[str], say: Callable[[str], None],
) -> dict[str, Path]:  # fmt: skip
    """Train what is missing in ``out`` and return the weights by variant. What a stopped training left is continued.

    All variants have the same reference features and iterations; the first two the same fixed correspondence network.
    """

    def stage(
        folder: str, name: str, config: Training, make: Callable[[], MatchingStage | RestorationStage]
    ) -> Path:
        path = out / folder
        if not (path / "done").is_file():
            say(f"training: {folder}")
            made = make()
            writer = weights_writer(made, name, config, data)
            resume = (path / CHECKPOINT).is_file()
            train(made, photos, config, path, writer, resume=resume, say=say)
            write_atomically(path / "done", lambda part: part.write_text(""))
        return path / DONE

    extractors = {"vgg": out / "vgg.safetensors"}
    if not extractors["vgg"].is_file():
        out.mkdir(parents=True, exist_ok=True)
        untrained = matching_stage("teacher", training, sources, parallel)
        write_atomically(extractors["vgg"], weights_writer(untrained, "untrained", training, data))
    teacher = sources.teacher or stage(
        "teacher", "teacher", training, lambda: matching_stage("teacher", training, sources, parallel)
    )
    taught = dataclasses.replace(sources, teacher=teacher)
    alone = dataclasses.replace(training, student=dataclasses.replace(training.student, distillation_weight=0.0))
    for name, config in (("contrastive", alone), ("student", training)):
        folder = f"correspondence-{name}"
        extractors[name] = stage(
            folder, "student", config, lambda config=config: matching_stage("student", config, taught, parallel)
        )
    found = {}
    for variant in VARIANTS:
        network = dataclasses.replace(training.network, aggregation=variant.aggregation)
        config = dataclasses.replace(training, network=network)
        own = dataclasses.replace(sources, student=extractors[variant.extractor], features=extractors["student"])
        found[variant.name] = stage(
            variant.name, "restoration", config,
            lambda config=config, own=own: restoration_stage(config, own, False, parallel),
        )  # fmt: skip
    return found


def table(scores: dict[str, dict[str, float]], subset: Iterable[str]) -> str:
    """Markdown: PSNR-Y by variant on all images and on ``subset``, the steps between, and the paper's steps.

    scores: by variant, by image id, dB.
    """
    subset = list(subset)
    lines = [
        "| | full set | step | paper | texture subset | step | paper |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    before: tuple[float, float] | None = None
    for variant in VARIANTS:
        values = scores[variant.name]
        now = float(np.mean(list(values.values()))), float(np.mean([values[name] for name in subset]))
        steps = ["", ""] if before is None else [f"{new - old:+.2f}" for new, old in zip(now, before, strict=True)]
        paper = PAPER.get(variant.name, ("", ""))
        cells = (f"{now[0]:.2f}", steps[0], paper[0], f"{now[1]:.2f}", steps[1], paper[1])
        lines.append(f"| {variant.title} | {' | '.join(cells)} |")
        before = now
    return "\n".join(lines)


def document(
    results: Mapping[str, tuple[Result, Path]], subset: Sequence[str], training: Training, teacher: Path | None,
    photos: Sequence[Photo], out: Path,
) -> str:  # fmt: skip
    """``ablation.json``: the table's numbers per image with all that stands behind them, to be drawn or checked.

    results: by variant, the sealed result and its folder below ``out``. Fields: ``schema_version``; ``kind``
    ("ablation"); ``dataset``, ``protocol`` and ``metric`` as in run files; ``variants`` in their order, each with
    ``name``, ``title``, ``weights_sha256``, ``result`` (its run file, relative to this one) and ``scores`` (dB by image
    id); ``texture_subset`` (ids) and ``texture_rule``; ``budget``: iterations by stage (teacher null when one was
    given, then ``teacher_sha256``) and the number of photos; ``config``: the whole configuration; ``device``,
    ``command``, ``versions``. The same results make the same bytes.
    """
    runs = {name: result.run for name, (result, _) in results.items()}
    first = runs[VARIANTS[0].name]
    metric = next(metric for metric in first.metrics if metric.name == first.protocol.psnr)
    budget = {
        "teacher": None if teacher else training.teacher.iterations,
        "student": training.student.iterations,
        "restoration": training.restoration.iterations,
        "photos": len(photos),
    }
    if teacher:
        with teacher.open("rb") as file:
            budget["teacher_sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return dumps(
        {
            "schema_version": FILE_VERSION,
            "kind": "ablation",
            "dataset": first.dataset,
            "protocol": first.protocol,
            "metric": metric,
            "variants": [
                {
                    "name": variant.name,
                    "title": variant.title,
                    "weights_sha256": runs[variant.name].method.weights_sha256,
                    "result": (results[variant.name][1] / "result.json").relative_to(out).as_posix(),
                    "scores": {image.id: image.metrics[metric.name] for image in results[variant.name][0].images},
                }
                for variant in VARIANTS
            ],
            "texture_subset": list(subset),
            "texture_rule": RULE,
            "budget": budget,
            "config": to_json(training),
            "device": first.device,
            "command": first.command,
            "versions": first.versions,
        }
    )
