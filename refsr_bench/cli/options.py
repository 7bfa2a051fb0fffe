"""The options that several commands share. One name means one thing; ``listing`` shows them all, and a test compares.

The first sentence of an option's help is its meaning, the same for every command. What follows is particular to one.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import complete
from refsr_bench.cli.grammar import renamed
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse

AGAIN = "May be given again."


def path_type(**checks: Any) -> click.Path:
    return click.Path(path_type=Path, **checks)


def with_options(options: Sequence[Callable]) -> Callable:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def as_one(function: Callable) -> Callable:
    """Hand a command all of its options as one frozen object: ``asked.limit`` is what ``--limit`` was given."""

    @functools.wraps(function)
    def call(**options: Any) -> None:
        function(dataclasses.make_dataclass("Options", options, frozen=True)(**options))

    return call


def shared(name: str, meaning: str, **usual: Any) -> Callable[..., Callable]:
    """Return the maker of an option that several commands share.

    ``maker(more, dest, **attrs)`` returns the decorator. more: what is particular to the command, after the meaning.
    dest: the name of its parameter. attrs: of ``click.option``, instead of ``usual``.
    """

    def make(more: str = "", dest: str | None = None, **attrs: Any) -> Callable:
        chosen = {**usual, **attrs}
        again = AGAIN if chosen.get("multiple") else ""
        text = " ".join(filter(None, (meaning, more, again)))
        return click.option(name, *filter(None, [dest]), help=text, **chosen)

    return make


# -- what is written -----------------------------------------------------------------------------------------------

out = shared("--out", "Where to write.", type=path_type())
overwrite = shared("--overwrite", "Replace a file that exists.", is_flag=True)
results_out = out("The folder of results.", default=Path("results"), show_default=True)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on standard output, instead of text."
)


def file_format(choices: Sequence[str], more: str = "", **attrs: Any) -> Callable:
    """Return the option --format of a command that writes one of these formats."""
    return shared("--format", "The format of what is written.", type=click.Choice(choices), show_default=True)(
        more, "form", **attrs
    )


def refuse_existing(path: Path, overwrite: bool, option: str = "--out") -> None:
    """Raise Misuse for a file that exists, unless it may be replaced. option: that which named it."""
    if path.exists() and not overwrite:
        raise Misuse(f"{path} exists. Choose another {option}, or give --overwrite to replace it.")


# -- what is read --------------------------------------------------------------------------------------------------


def _there(context: click.Context, option: click.Parameter, folder: Path) -> Path:
    if folder is not None and not folder.is_dir() and not context.resilient_parsing:
        run = command("run", "--method", "bicubic", "--dataset", "sample", "--out", folder)
        raise Misuse(f"There is no results folder {folder}. To make one: {run}")
    return folder


data_root_option = click.option(
    "--data-root",
    type=path_type(),
    help="Folder that holds the data sets, or one data set itself. Default: $REFSR_DATA.",
)
dataset = shared("--dataset", "A data set, by name.", metavar="NAME", shell_complete=complete.names("DATASETS"))
method = shared("--method", "A method, by name.", metavar="NAME", shell_complete=complete.names("METHODS"))
matcher = shared("--matcher", "A matcher, by name.", metavar="NAME", shell_complete=complete.names("MATCHERS"))
metric = shared("--metric", "A metric, by name.", metavar="NAME", shell_complete=complete.names("METRICS"))
protocol = shared("--protocol", "A protocol, by name.", metavar="NAME", shell_complete=complete.names("PROTOCOLS"))
results = shared(
    "--results", "A folder of results.", type=path_type(), default=Path("results"), show_default=True, callback=_there
)
source = shared("--from", "What to bring in.", type=path_type())
lr = shared("--lr", "The LR image.", type=path_type())
ref = shared("--ref", "A reference: an HR photo of something similar, of any size.", type=path_type(), multiple=True)
images = shared("--images", "A folder of SR images.")
weights = shared("--weights", "Weights instead of the method's own.", shell_complete=complete.weights)
metric_weights_option = click.option(
    "--metric-weights",
    multiple=True,
    metavar="METRIC=FILE",
    help="A file that a metric needs, when it is not found or offline. May be given again.",
)
lpips_option = renamed(
    "--lpips-weights", to="metric_weights", now="--metric-weights lpips=FILE", type=path_type(),
    change=lambda path: (f"lpips={path}",),
)  # fmt: skip
metric_options = [
    metric("Measured beside those of the protocol.", "more_metrics", multiple=True),
    metric_weights_option,
    lpips_option,
]
licence = shared("--license", "The licence.", metavar="TEXT")
vgg16_option = click.option("--vgg16", type=path_type(), help="ImageNet VGG16 from torchvision, when offline.")
vgg19_option = click.option("--vgg19", type=path_type(), help="ImageNet VGG19 from torchvision, when offline.")

# -- how it is done ------------------------------------------------------------------------------------------------

device = shared("--device", "What computes: auto, cpu, cuda, cuda:N or mps.", default="auto", show_default=True,
                shell_complete=complete.words("auto", "cpu", "cuda", "mps"))  # fmt: skip
device_option = device()
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="The number format that a network computes with; matches stay in float32.",
)
TILE = {"run": "off", "sr": "auto"}
"""The tiles of commands that are not told. ``run`` measures methods as they were published; ``sr`` keeps the memory."""


def tile_option(name: str) -> Callable:
    """Return the option --tile of a command."""
    return click.option(
        "--tile",
        default=TILE[name],
        show_default=True,
        metavar="auto|off|N",
        shell_complete=complete.words("auto", "off"),
        help="Make large images in tiles of N LR pixels a side, each with the part of the references that shows the "
        "same. auto: tiles where the whole would take more than 3 GB, and smaller ones when memory runs out.",
    )


gan = shared("--gan", "With an adversarial loss.", is_flag=True)
teacher = shared("--teacher", "The teacher's weights.", type=path_type())
limit = shared("--limit", "Take at most N.", type=click.IntRange(1), metavar="N")
name = shared("--name", "The name in results.")
setting = shared("--set", "Override one value.", multiple=True)
transform = shared("--transform", "A change of the reference.", shell_complete=complete.transformations)
levels = shared("--levels", "Levels of the change: groups, numbers of your own (0,15,30; 45x1.5 of rotation+scale), or "
                "'wide', the kind's grid.", shell_complete=complete.levels)  # fmt: skip
subset_option = click.option(
    "--subset", type=click.Choice(["texture"]), help="Only the more textured half, as in the ablation."
)
matching = shared("--matching", "How C2-Matching matches: exact (as published), sub-cell (to parts of a pixel), half "
                  "(16 bits) or coarse (faster).", shell_complete=complete.matchings)  # fmt: skip

save_images = shared(
    "--save-images/--no-save-images", "Keep SR, HR, LR and references as PNG, which the pages show."
)
title = shared("--title", "The heading of the page.")
refs_option = click.option(
    "--refs",
    help="Which references: standard, all, L1, level:K, first, random:SEED, list, lr, none.",
    shell_complete=complete.words("standard", "all", "L1", "level:", "first", "random:", "list", "lr", "none"),
)
protocol_options = [
    protocol(f"`{command('protocols')}` lists them.", "protocol_name", default="c2", show_default=True),
    setting("A choice of the protocol.", "settings", metavar="FIELD=VALUE", shell_complete=complete.fields),
    refs_option,
]
leaks_option = click.option("--allow-leaks", is_flag=True, help="Measure pairs whose reference is the ground truth.")
reuse_option = click.option(
    "--reuse",
    type=click.Choice(["missing", "never", "only"]),
    default="missing",
    show_default=True,
    help="Records of an earlier run: measure the pairs that are missing, set the old run aside and measure every pair, "
    "or measure nothing.",
)
VIEWS = {"run": "none", "robustness": "none", "sr": "auto", "match": "none"}
"""The views of commands that are not told. ``run`` and ``robustness`` measure methods as they were published; ``sr``
gives the best image (``api.upscaling``)."""


def views_option(name: str, more: str = "", multiple: bool = False) -> Callable:
    """Return the option --views of a command. more: what else it takes; multiple: it may be given again."""
    return click.option(
        "--views",
        default=(VIEWS[name],) if multiple else None if name == "sr" else VIEWS[name],
        show_default=VIEWS[name],
        multiple=multiple,
        metavar="auto|none|N[:KEYPOINTS]",
        shell_complete=complete.views,
        help="Views of the references that the method is given: warped into the frame of the image by the motions that "
        f"are found, at most N. {more}".strip() + (f" {AGAIN}" if multiple else ""),
    )


# -- pages on this machine -----------------------------------------------------------------------------------------

port_option = click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
browser = shared("--browser/--no-browser", "Open the page in a browser.", default=True)
