"""The paper's ablation (Fig. 5)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.common import command_line, pair_progress
from refsr_bench.cli.options import as_one
from refsr_bench.cli.training import Training, device_of, photos_option, recipe_option
from refsr_bench.core.errors import BenchError

if TYPE_CHECKING:
    from c2matching.training.ablation import Ablation
    from refsr_bench.core.schema import Result
    from refsr_bench.core.types import Dataset


@click.command(cls=Training)
@photos_option
@options.out("The folder of the training runs; finished ones are kept.", required=True)
@options.dataset("To measure on.", default="sample", show_default=True)
@recipe_option
@options.setting("A value of the recipe.", "settings", metavar="TABLE.FIELD=VALUE")
@options.teacher("So that none is trained.")
@options.vgg16_option
@options.vgg19_option
@options.device_option
@options.data_root_option
@options.json_option
@as_one
def ablation(asked: Any) -> None:
    """Train and measure C2-Matching with one component after the other, beside the paper's Fig. 5.

    Writes ablation.json, which the leaderboard draws. If the command is stopped, run it again to continue.
    """
    from c2matching.training import ablation as study
    from refsr_bench.core.files import write_text
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.data.texture import texture_subset
    from refsr_bench.learning.training.trainer import Stopped

    say = partial(click.echo, err=True)
    opened, made = open_dataset(asked.dataset, asked.data_root), _ablation(asked, say)
    try:
        weights = made.train()
    except Stopped as stopped:
        say("Stopped and saved; run the same command again to continue.")
        raise SystemExit(128 + stopped.signal_number) from None
    measured, subset = _measured(weights, opened, made), texture_subset(opened)
    write_text(asked.out / study.FILE, study.document(measured, subset, made))
    scores = {name: {i.id: i.metrics["psnr_y"] for i in result.images} for name, (result, _) in measured.items()}
    head = f"PSNR-Y in dB, {opened.name}, {len(opened.pairs)} images; texture subset: {len(subset)} images"
    document = {"file": asked.out / study.FILE, "dataset": opened.name, "texture_subset": subset, "psnr_y": scores}
    output.answer(asked.as_json, document, f"{head}\n{study.table(scores, subset)}\n\n{study.budget_line(made)}")


def _ablation(asked: Any, say: partial) -> Ablation:
    from c2matching.method import METHODS
    from c2matching.training.ablation import Ablation
    from c2matching.training.config import C2Training
    from refsr_bench.learning.training import config
    from refsr_bench.learning.training.parallel import parallel_of
    from refsr_bench.learning.training.photos import find_photos
    from refsr_bench.learning.training.prepare import Sources, TrainingPlan

    training = config.load(C2Training, asked.recipes, asked.settings)
    photos = find_photos(asked.folders)
    sources = Sources(teacher=asked.teacher, vgg16=asked.vgg16, vgg19=asked.vgg19)
    plan = TrainingPlan(METHODS[0], training, sources, parallel_of(training.run.precision, device_of(asked.device)))
    return Ablation(plan, photos, asked.out, [folder.resolve().name for folder in asked.folders], say)


def _measured(weights: Mapping[str, Path], opened: Dataset, made: Ablation) -> dict[str, tuple[Result, Path]]:
    """Return the sealed result and its folder by variant."""
    from refsr_bench.core import catalogue
    from refsr_bench.evaluation.loop import evaluate
    from refsr_bench.evaluation.metrics import load_metrics
    from refsr_bench.evaluation.plan import Plan
    from refsr_bench.evaluation.predictors import method_predictor

    card, device = made.plan.card, str(made.plan.parallel.device)
    metrics = load_metrics(["psnr_y"], device)
    measured = {}
    for name, path in weights.items():
        plan = Plan(
            predictor=method_predictor(card, card.load(path, device), device, name),
            dataset=opened,
            protocol=catalogue.get("PROTOCOLS", "c2"),
            metrics=metrics,
            kind="ablation",
            command=command_line(),
        )
        result, folder = evaluate(plan, made.out / "runs", track=pair_progress(f"{name} on {opened.name}"))
        if result.failed:
            raise BenchError(f"{name}: {result.failed[0].error}")
        measured[name] = (result, folder)
    return measured
