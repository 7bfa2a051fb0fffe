"""Training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli.common import path_type, with_options
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from accelerate import Accelerator

    from c2matching.training.config import Training
    from c2matching.training.data import Photo
    from c2matching.training.stages import ImageStage, MatchingStage, Parallel

STAGES = ("teacher", "student", "restoration")


def configurations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from c2matching.training.config import named

    return [name for name in named() if name.startswith(incomplete)]


class Methods(click.Group):
    """A subcommand for C2-Matching's stages, and one for every other method that can be trained."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from refsr_bench.core import catalogue

        return [*super().list_commands(ctx), *(c.name for c in catalogue.collect("METHODS").values() if c.system)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if found := super().get_command(ctx, name):
            return found
        from refsr_bench.core import catalogue

        card = catalogue.get("METHODS", name)
        if card.system is None:
            raise Misuse(f"{name} cannot be trained here.")
        text = f"Train {card.title} from photos of your own, with the losses of its row.\n\n{HELP}"
        return click.Command(name, callback=partial(system, name), params=list(PARAMETERS), help=text)


HELP = """The trainer, the photos and the references are those of C2-Matching's restoration stage, [restoration] in the
configuration. It is printed first. Ctrl-C or SIGTERM saves and exits; the same command with --resume goes on."""


@click.group(cls=Methods)
def train() -> None:
    """Train a method on photos of your own."""


_common = [
    click.option(
        "--data",
        "folders",
        type=path_type(),
        multiple=True,
        required=True,
        help="Photos, a folder of photos per scene, or pairs (input/ or hr/, with ref/). May be given again.",
    ),
    click.option("--out", type=path_type(), required=True, help="Folder of this training: weights, checkpoint, log."),
    click.option(
        "--config",
        "configs",
        multiple=True,
        shell_complete=configurations,
        help="What differs from the paper's configuration: paper, as-executed, light, small-cpu, robust, or a TOML "
        "file. May be given again; later ones win.",
    ),
    click.option("--set", "settings", multiple=True, metavar="[TABLE.]FIELD=VALUE", help="Override one value."),
    click.option("--student", type=path_type(), help="C2-Matching's student, for what matches or reads with it."),
    click.option("--weights", "start", type=path_type(), help="Go on from these weights of the network itself."),
    click.option("--vgg19", type=path_type(), help="ImageNet VGG19 from torchvision, when offline."),
    click.option("--resume", is_flag=True, help="Continue the training in --out."),
    click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True),
]


@click.command()
@with_options(_common)
@click.option("--budget", type=click.IntRange(1), help="Iterations, instead of the configuration's.")
@click.option("--small", is_flag=True, help="The method's small network, which the fixed-budget track compares.")
@click.option("--name", help="What results call these weights; default: the folder's name.")
def _parameters() -> None: ...


PARAMETERS = _parameters.params


def system(
    method: str,
    folders: tuple[Path, ...],
    out: Path,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    student: Path | None,
    start: Path | None,
    vgg19: Path | None,
    resume: bool,
    device: str,
    budget: int | None,
    small: bool,
    name: str | None,
) -> None:
    from baselines import _training
    from c2matching.training import prepare
    from refsr_bench.core import catalogue

    card = catalogue.get("METHODS", method)
    if small and not card.system.small:
        raise Misuse(f"--small: {method} has one size.")
    settings = (*settings, f"iterations={budget}") if budget else settings
    training, photos, accelerator, parallel = _opened(folders, out, configs, settings, "restoration", resume, device)
    sources = prepare.Sources(student=student, start=start, vgg19=vgg19)
    made = _training.image_stage(card, card.system.small if small else {}, training, sources, parallel)
    writer = _training.weights_writer(made, card, training, [str(folder) for folder in folders], name or out.name)
    _run(method, made, writer, photos, training, out, resume, accelerator.is_main_process)


@train.command("c2matching")
@click.argument("stage", type=click.Choice(STAGES))
@with_options(_common)
@click.option("--gan", is_flag=True, help="Restoration with perceptual and adversarial losses.")
@click.option("--teacher", type=path_type(), help="The teacher's weights, for the student.")
@click.option("--vgg16", type=path_type(), help="ImageNet VGG16 from torchvision, when offline.")
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
    from c2matching.training import prepare

    training, photos, accelerator, parallel = _opened(folders, out, configs, settings, stage, resume, device)
    sources = prepare.Sources(teacher=teacher, student=student, start=start, vgg16=vgg16, vgg19=vgg19)
    if stage == "restoration":
        made = prepare.restoration_stage(training, sources, gan, parallel)
    else:
        made = prepare.matching_stage(stage, training, sources, parallel)
    writer = prepare.weights_writer(made, stage, training, [str(folder) for folder in folders])
    _run(stage, made, writer, photos, training, out, resume, accelerator.is_main_process)


def _opened(
    folders: Sequence[Path],
    out: Path,
    configs: Sequence[str],
    settings: Sequence[str],
    stage: str,
    resume: bool,
    device: str,
) -> tuple[Training, list[Photo], Accelerator, Parallel]:
    """Configuration, photos and processes of a training in ``out``; the configuration is printed."""
    from c2matching.training import config
    from c2matching.training import train as training_loop
    from c2matching.training.data import find_photos

    training = config.load(configs, settings, stage)
    photos = find_photos(folders)
    there = (out / training_loop.CHECKPOINT).is_file()
    if there and not resume:
        raise Misuse(f"{out} already holds a training. Continue it with --resume, or choose another --out.")
    if resume and not there:
        raise Misuse(f"--resume: there is no {training_loop.CHECKPOINT} in {out}.")
    accelerator = training_loop.accelerator_of(training.run.precision, device)
    if accelerator.is_main_process:
        click.echo(config.as_toml(training), err=True)
    return training, photos, accelerator, training_loop.parallel_of(accelerator)


def _run(
    what: str,
    made: MatchingStage | ImageStage,
    writer: Callable[[Path], None],
    photos: Sequence[Photo],
    training: Training,
    out: Path,
    resume: bool,
    first: bool,
) -> None:
    """Train to the end or until asked to stop, and say where the weights are. first: this process speaks."""
    from c2matching.training import train as training_loop

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        state = training_loop.train(made, photos, training, out, writer, resume=resume, say=say)
    except training_loop.Stopped as stopped:
        if first:
            say(f"Stopped and saved after iteration {stopped.iteration}; the same command with --resume goes on.")
        raise SystemExit(128 + stopped.signal_number) from None
    if first:
        say(f"{what}: {state.iteration} iterations done. Weights: {out / 'last.safetensors'}, and the best by "
            f"validation, {out / 'best.safetensors'}.")
