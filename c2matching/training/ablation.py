"""The ablation of Fig. 5: components added one by one, each variant trained and measured under the same conditions.

The paper's text (section 5.5) prints PSNR differences alone; ``PAPER`` holds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from c2matching.training.config import C2Training
from refsr_bench.core.files import locked, make_folder, write_text
from refsr_bench.core.reader import dumps, to_json
from refsr_bench.core.schema import Result
from refsr_bench.data.texture import RULE
from refsr_bench.formats.checkpoints import sha256
from refsr_bench.learning.training.photos import Photo
from refsr_bench.learning.training.prepare import TrainingPlan, make_stage
from refsr_bench.learning.training.trainer import CHECKPOINT, LAST, Say, Trainer, weights_writer

DONE = "done"  # an empty file that marks the folder of a finished training
FILE = "ablation.json"
FILE_VERSION = 1


@dataclass(frozen=True)
class Variant:
    """One row of the ablation.

    extractor: ``vgg`` (fixed), ``contrastive`` (trained without a teacher) or ``student`` (distilled).
    aggregation: ``copy`` or ``dynamic``.
    """

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
}  # dB over the row above, on all of CUFED5 and on the texture subset


@dataclass(frozen=True)
class Ablation:
    """The trainings of all variants, in ``out``.

    Finished trainings are not repeated and stopped ones go on. All variants share their reference features and numbers
    of iterations; the first two also share a fixed correspondence network. plan: the common plan; data: the names of
    the folders of photos; say: prints a message.
    """

    plan: TrainingPlan
    photos: Sequence[Photo]
    out: Path
    data: Sequence[str]
    say: Say

    def train(self) -> dict[str, Path]:
        """Train what is missing and return the weights by variant.

        Raises Stopped when asked to stop, Busy when another process works in ``out``.
        """
        if self.plan.parallel.process:
            return self._train()
        with locked(make_folder(self.out), "Another ablation"):
            return self._train()

    def _train(self) -> dict[str, Path]:
        extractors, found = self._extractors(), {}
        for variant in VARIANTS:
            network = replace(self._training.network, aggregation=variant.aggregation)
            training = msgspec.structs.replace(self._training, network=network)
            files = {"student": extractors[variant.extractor], "features": extractors["student"]}
            found[variant.name] = self._stage(variant.name, "restoration", training, **files)
        return found

    @property
    def _training(self) -> C2Training:
        return self.plan.training

    def _extractors(self) -> dict[str, Path]:
        """Train the missing extractors and return the files of all, by their name in ``Variant``."""
        untrained = self.out / "vgg.safetensors"
        if not untrained.is_file():
            stage = make_stage("teacher", self.plan)
            about = {"name": "untrained", "stage": "untrained", "data": self.data}
            weights_writer(stage, self.plan.card, self._training, about)(untrained)
        teacher = self.plan.sources.teacher or self._stage("teacher", "teacher", self._training)
        alone = msgspec.structs.replace(self._training.student, distillation_weight=0.0)
        trainings = {
            "contrastive": msgspec.structs.replace(self._training, student=alone),
            "student": self._training,
        }
        return {"vgg": untrained} | {
            name: self._stage(f"correspondence-{name}", "student", training, teacher=teacher)
            for name, training in trainings.items()
        }

    def _stage(self, folder: str, name: str, training: C2Training, **files: Path) -> Path:
        """Train the stage ``name`` in ``folder`` if necessary; return its weights. files: fields of ``Sources``."""
        path = self.out / folder
        if not (path / DONE).is_file():
            self.say(f"training: {folder}")
            plan = replace(self.plan, training=training, sources=replace(self.plan.sources, **files))
            stage = make_stage(name, plan)
            about = {"name": folder, "stage": name, "data": self.data}
            writer = weights_writer(stage, plan.card, training, about)
            resume = (path / CHECKPOINT).is_file()
            Trainer(stage, training, path, writer, self.say).run(self.photos, resume)
            write_text(path / DONE, "")
        return path / LAST


def table(scores: dict[str, dict[str, float]], subset: Iterable[str]) -> str:
    """Write a Markdown table of PSNR-Y by variant, on all images and on ``subset``, with the steps beside the paper's.

    scores: PSNR-Y in dB, by image id, by variant. subset: image ids.
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


def document(results: Mapping[str, tuple[Result, Path]], subset: Sequence[str], made: Ablation) -> str:
    """Write ``ablation.json``: the numbers of the table per image, and everything needed to draw or check them.

    results: by variant, the sealed result and its folder below that of the ablation. The same results make the same
    bytes. The fields are:

    ``schema_version``; ``kind`` ("ablation"); ``dataset``, ``protocol`` and ``metric`` as in run files;
    ``variants`` in their order, each with ``name``, ``title``, ``weights_sha256``, ``result`` (its run file, relative
    to this one) and ``scores`` (dB by image id);
    ``texture_subset`` (image ids) and ``texture_rule``;
    ``budget``: iterations by stage and the number of photos; a given teacher is null and adds ``teacher_sha256``;
    ``config``, the whole configuration; ``device``; ``command``; ``versions``.
    """
    runs = {name: result.run for name, (result, _) in results.items()}
    first = runs[VARIANTS[0].name]
    metric = next(metric for metric in first.metrics if metric.name == first.protocol.psnr)
    training, teacher = made.plan.training, made.plan.sources.teacher
    budget = {
        "teacher": None if teacher else training.teacher.iterations,
        "student": training.student.iterations,
        "restoration": training.restoration.iterations,
        "photos": len(made.photos),
    }
    if teacher:
        budget["teacher_sha256"] = sha256(teacher)
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
                    "weights_sha256": runs[variant.name].method.weights.sha256,
                    "result": (results[variant.name][1] / "result.json").relative_to(made.out).as_posix(),
                    "scores": {image.id: image.metrics[metric.name] for image in results[variant.name][0].images},
                }
                for variant in VARIANTS
            ],
            "texture_subset": list(subset),
            "texture_rule": RULE,
            "budget": budget,
            "config": to_json(training),
            "device": first.machine.device,
            "command": first.command,
            "versions": first.machine.versions,
        }
    )


def budget_line(made: Ablation) -> str:
    """Compare the budget of these trainings with the paper's in two sentences."""
    training, teacher = made.plan.training, made.plan.sources.teacher
    first = f"a given teacher, {teacher.name}" if teacher else f"{training.teacher.iterations} iterations as teacher"
    return (
        f"Ours: {first}, {training.student.iterations} as student, {training.restoration.iterations} of restoration, "
        f"{len(made.photos)} photos. The paper's: CUFED5, full training."
    )
