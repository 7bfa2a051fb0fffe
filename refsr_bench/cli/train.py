"""The commands that train methods."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Group, renamed
from refsr_bench.cli.options import as_one, path_type, with_options
from refsr_bench.cli.training import Training, device_of, photos_option, recipe_option
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.core.cards import MethodCard


UNSTAGED = {"stage": "restoration", "gan": False, "teacher": None, "vgg16": None}
"""The values of STAGED and the stage for a system without stages of its own, whose command lacks these options."""


class Methods(Group):
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


HELP = """The recipe is printed first. Ctrl-C or SIGTERM saves and exits; the same command with --resume
continues to the very weights that an uninterrupted training gives. Several GPUs or machines: torchrun (or
accelerate launch) --nproc-per-node N -m refsr_bench train ..."""

COMMON = [
    photos_option,
    options.out("The folder of this training: weights, checkpoint, log.", required=True),
    recipe_option,
    options.setting("A value of the recipe.", "settings", metavar="[TABLE.]FIELD=VALUE"),
    click.option("--student", type=path_type(), help="C2-Matching's student, for networks that match or read with it."),
    click.option("--from-weights", "start", type=path_type(), help="Start from these weights of the network itself."),
    renamed("--weights", "start", "--from-weights", type=path_type()),
    options.vgg19_option,
    click.option("--resume", is_flag=True, help="Continue the training in --out."),
    options.device_option,
    click.option("--budget", type=click.IntRange(1), help="Iterations, instead of the recipe's."),
    click.option("--small", is_flag=True, help="The method's small network, which the fixed-budget track compares."),
    options.name("Of these weights; default: the folder's."),
    options.json_option,
]
STAGED = [
    options.gan("And with a perceptual one, for the restoration."),
    options.teacher("For the student."),
    options.vgg16_option,
]


def command_of(card: MethodCard) -> click.Command:
    """Return the command that trains one method, as a whole or one stage of it."""
    stages = card.system.stages
    if stages:
        taken = [click.argument("stage", type=click.Choice(stages.names)), *COMMON, *STAGED]
        text = f"Train one stage of {card.title}: {', then '.join(stages.names)}."
    else:
        taken = COMMON
        text = f"Train {card.title} from your photos, with the losses of its row and [restoration] of the recipe."
    call = partial(as_one(partial(run, card)), **({} if stages else UNSTAGED))
    return click.command(card.name, cls=Training, help=f"{text}\n\n{HELP}")(with_options(taken)(call))


def run(card: MethodCard, asked: Any) -> None:
    """Train to the end or until asked to stop, and say where the weights are."""
    from refsr_bench.learning.training import config, prepare, trainer
    from refsr_bench.learning.training.parallel import parallel_of
    from refsr_bench.learning.training.photos import find_photos

    if asked.small and not card.system.small:
        raise Misuse(f"--small: {card.name} has one size.")
    budget = [f"iterations={asked.budget}"] if asked.budget else []
    training = config.load(prepare.configuration(card), asked.recipes, [*asked.settings, *budget], asked.stage)
    photos = find_photos(asked.folders)
    trainer.check_folder(asked.out, asked.resume)
    parallel = parallel_of(training.run.precision, device_of(asked.device))
    say = partial(click.echo, err=True) if parallel.process == 0 else lambda text: None
    say(config.as_toml(training))
    gan = asked.gan or (card.gan and asked.stage == "restoration")
    files = ("start", "teacher", "student", "vgg16", "vgg19")
    sources = prepare.Sources(**{name: getattr(asked, name) for name in files})
    small = card.system.small if asked.small else {}
    plan = prepare.TrainingPlan(card, training, sources, parallel, gan, small)
    stage = prepare.make_stage(asked.stage, plan)
    # weights are published, so they name the folders of photos, not the places of these
    data = [folder.resolve().name for folder in asked.folders]
    about = {"name": asked.name or asked.out.resolve().name, "stage": asked.stage, "data": data}
    writer = trainer.weights_writer(stage, card, training, about)
    try:
        state = trainer.Trainer(stage, training, asked.out, writer, say).run(photos, asked.resume)
    except trainer.Stopped as stopped:
        say(f"Stopped and saved after iteration {stopped.iteration}; run the same command with --resume to continue.")
        raise SystemExit(128 + stopped.signal_number) from None
    last, best = asked.out / trainer.LAST, asked.out / trainer.BEST
    what = asked.stage if card.system.stages else card.name
    text = f"{what}: {state.iteration} iterations done. Weights: {last}, and the best by validation, {best}."
    if parallel.process == 0:
        made = {"iterations": state.iteration, "last": last, "best": best}
        output.answer(asked.as_json, {"method": card.name, "stage": asked.stage, **made}, text)
