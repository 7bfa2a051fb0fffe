"""Training."""

from __future__ import annotations

from pathlib import Path

import click

from refsr_bench.cli.common import path_type
from refsr_bench.types import Misuse

STAGES = ("teacher", "student", "restoration")


def configurations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from c2matching.config import named

    return [name for name in named() if name.startswith(incomplete)]


@click.group()
def train() -> None:
    """Train a method on photos of your own."""


@train.command("c2matching")
@click.argument("stage", type=click.Choice(STAGES))
@click.option(
    "--data",
    "folders",
    type=path_type(),
    multiple=True,
    required=True,
    help="Photos, a folder of photos per scene, or pairs (input/ or hr/, with ref/). May be given again.",
)
@click.option("--out", type=path_type(), required=True, help="Folder of this training: weights, checkpoint, log.")
@click.option(
    "--config",
    "configs",
    multiple=True,
    shell_complete=configurations,
    help="What differs from the paper's configuration: paper, as-executed, light, small-cpu, robust, or a TOML file. "
    "May be given again; later ones win.",
)
@click.option("--set", "settings", multiple=True, metavar="[TABLE.]FIELD=VALUE", help="Override one value.")
@click.option("--gan", is_flag=True, help="Restoration with perceptual and adversarial losses.")
@click.option("--teacher", type=path_type(), help="The teacher's weights, for the student.")
@click.option("--student", type=path_type(), help="The student's weights, for restoration.")
@click.option("--weights", "start", type=path_type(), help="Go on from these weights of the stage itself.")
@click.option("--vgg16", type=path_type(), help="ImageNet VGG16 from torchvision, when offline.")
@click.option("--vgg19", type=path_type(), help="ImageNet VGG19 from torchvision, when offline.")
@click.option("--resume", is_flag=True, help="Continue the training in --out.")
@click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True)
def c2matching(
    stage: str,
    folders: tuple[Path, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    gan: bool,
    teacher: Path | None,
    student: Path | None,
    start: Path | None,
    vgg16: Path | None,
    vgg19: Path | None,
    resume: bool,
    device: str,
) -> None:
    """Train one stage of C2-Matching: the teacher, then the student, then restoration.

    The configuration is printed first. Ctrl-C or SIGTERM saves and exits; the same command with --resume goes on, to
    the very weights that an uninterrupted training gives. Several GPUs or machines: torchrun (or accelerate launch)
    --nproc-per-node N -m refsr_bench.cli train c2matching ...
    """
    if gan and stage != "restoration":
        raise Misuse("--gan is for restoration.")
    from c2matching import config, prepare
    from c2matching import train as training_loop
    from c2matching.data import find_photos

    training = config.load(configs, settings, stage)
    photos = find_photos(folders)
    there = (out / training_loop.CHECKPOINT).is_file()
    if there and not resume:
        raise Misuse(f"{out} already holds a training. Continue it with --resume, or choose another --out.")
    if resume and not there:
        raise Misuse(f"--resume: there is no {training_loop.CHECKPOINT} in {out}.")
    accelerator = training_loop.accelerator_of(training.run.precision, device)
    parallel = training_loop.parallel_of(accelerator)
    first = accelerator.is_main_process

    def say(text: str) -> None:
        click.echo(text, err=True)

    if first:
        say(config.as_toml(training))
    sources = prepare.Sources(teacher=teacher, student=student, start=start, vgg16=vgg16, vgg19=vgg19)
    if stage == "restoration":
        made = prepare.restoration_stage(training, sources, gan, parallel)
    else:
        made = prepare.matching_stage(stage, training, sources, parallel)
    writer = prepare.weights_writer(made, stage, training, [str(folder) for folder in folders])
    try:
        state = training_loop.train(made, photos, training, out, writer, resume=resume, say=say)
    except training_loop.Stopped as stopped:
        if first:
            say(f"Stopped and saved after iteration {stopped.iteration}; the same command with --resume goes on.")
        raise SystemExit(128 + stopped.signal_number) from None
    if first:
        say(f"{stage}: {state.iteration} iterations done. Weights: {out / 'last.safetensors'}, and the best by "
            f"validation, {out / 'best.safetensors'}.")
