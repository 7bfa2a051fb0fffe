"""The commands that train methods."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli.common import as_one, path_type, with_options
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.core.cards import MethodCard


UNSTAGED = {"stage": "restoration", "gan": False, "teacher": None, "vgg16": None}
"""The values of STAGED and the stage for a system without stages of its own, whose command lacks these options."""


def configurations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from refsr_bench.learning.training.config import named

    return [name for name in named() if name.startswith(incomplete)]


class Methods(click.Group):
    """A subcommand for every method that can be trained, made from its card."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from refsr_bench.core import catalogue

        return [card.name for card in catalogue.collect("METHODS").values() if card.system]

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        from refsr_bench.core import catalogue

        card = catalogue.get("METHODS", name)
        if card.system is None:
            raise Misuse(f"{name} cannot be trained here.")
        return command_of(card)


@click.group(cls=Methods)
def train() -> None:
    """Train a method on photos of your own."""


HELP = """The configuration is printed first. Ctrl-C or SIGTERM saves and exits; the same command with --resume
continues to the very weights that an uninterrupted training gives. Several GPUs or machines: torchrun (or
accelerate launch) --nproc-per-node N -m refsr_bench.cli train ..."""

COMMON = [
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
        help="Differences from the paper's configuration: paper, as-executed, light, small-cpu, robust, or a TOML "
        "file. May be given again; later ones win.",
    ),
    click.option("--set", "settings", multiple=True, metavar="[TABLE.]FIELD=VALUE", help="Override one value."),
    click.option("--student", type=path_type(), help="C2-Matching's student, for networks that match or read with it."),
    click.option("--weights", "start", type=path_type(), help="Start from these weights of the network itself."),
    click.option("--vgg19", type=path_type(), help="ImageNet VGG19 from torchvision, when offline."),
    click.option("--resume", is_flag=True, help="Continue the training in --out."),
    click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True),
    click.option("--budget", type=click.IntRange(1), help="Iterations, instead of the configuration's."),
    click.option("--small", is_flag=True, help="The method's small network, which the fixed-budget track compares."),
    click.option("--name", help="What results call these weights; default: the folder's name."),
]
STAGED = [
    click.option("--gan", is_flag=True, help="Restoration with perceptual and adversarial losses."),
    click.option("--teacher", type=path_type(), help="The teacher's weights, for the student."),
    click.option("--vgg16", type=path_type(), help="ImageNet VGG16 from torchvision, when offline."),
]


def command_of(card: MethodCard) -> click.Command:
    """Return the command that trains one method, as a whole or one stage of it."""
    stages = card.system.stages
    if stages:
        options = [click.argument("stage", type=click.Choice(stages.names)), *COMMON, *STAGED]
        text = f"Train one stage of {card.title}: {', then '.join(stages.names)}."
    else:
        options = COMMON
        text = f"Train {card.title} from photos of your own, with the losses of its row; [restoration] configures it."
    call = partial(as_one(partial(run, card)), **({} if stages else UNSTAGED))
    return click.command(card.name, help=f"{text}\n\n{HELP}")(with_options(options)(call))


def run(card: MethodCard, asked: Any) -> None:
    """Train to the end or until asked to stop, and say where the weights are."""
    from refsr_bench.core.files import locked, make_folder
    from refsr_bench.learning.training import config, prepare, trainer
    from refsr_bench.learning.training.parallel import parallel_of
    from refsr_bench.learning.training.photos import find_photos

    if asked.small and not card.system.small:
        raise Misuse(f"--small: {card.name} has one size.")
    budget = [f"iterations={asked.budget}"] if asked.budget else []
    training = config.load(prepare.configuration(card), asked.configs, [*asked.settings, *budget], asked.stage)
    photos = find_photos(asked.folders)
    trainer.check_folder(asked.out, asked.resume)
    parallel = parallel_of(training.run.precision, asked.device)
    say = partial(click.echo, err=True) if parallel.process == 0 else lambda text: None
    say(config.as_toml(training))
    gan = asked.gan or (card.gan and asked.stage == "restoration")
    files = ("start", "teacher", "student", "vgg16", "vgg19")
    sources = prepare.Sources(**{name: getattr(asked, name) for name in files})
    small = card.system.small if asked.small else {}
    plan = prepare.TrainingPlan(card, training, sources, parallel, gan, small)
    stage = prepare.make_stage(asked.stage, plan)
    about = {"name": asked.name or asked.out.name, "stage": asked.stage, "data": list(map(str, asked.folders))}
    writer = trainer.weights_writer(stage, card, training, about)
    try:
        with locked(make_folder(asked.out), "Another training") if parallel.process == 0 else nullcontext():
            trainer.check_folder(asked.out, asked.resume)  # again, as another training may have ended meanwhile
            state = trainer.Trainer(stage, training, asked.out, writer, say).run(photos, asked.resume)
    except trainer.Stopped as stopped:
        say(f"Stopped and saved after iteration {stopped.iteration}; run the same command with --resume to continue.")
        raise SystemExit(128 + stopped.signal_number) from None
    last, best = asked.out / trainer.LAST, asked.out / trainer.BEST
    what = asked.stage if card.system.stages else card.name
    say(f"{what}: {state.iteration} iterations done. Weights: {last}, and the best by validation, {best}.")
