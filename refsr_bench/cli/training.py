"""The options that commands share which train: photos, recipes, and what --config once meant for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import complete
from refsr_bench.cli.grammar import Command, warn_of_old
from refsr_bench.cli.options import path_type

OLD_RECIPES = f"{__name__}.recipes"  # a key of a context's ``meta``

photos_option = click.option(
    "--data",
    "folders",
    type=path_type(),
    multiple=True,
    required=True,
    help="Photos, a folder of photos per scene, or pairs (input/ or hr/, with ref/). May be given again.",
)
recipe_option = click.option(
    "--recipe",
    "recipes",
    multiple=True,
    shell_complete=complete.recipes,
    help="Differences from the paper's training: paper, as-executed, light, small-cpu, robust, or a TOML file; later "
    "ones win. May be given again.",
)


class Training(Command):
    """A command that trains. Its --config was once what --recipe is; a recipe given so works with a warning."""

    def configure(self, ctx: click.Context, paths: Sequence[Path]) -> None:
        old = [path for path in paths if _is_recipe(path)]
        ctx.meta[OLD_RECIPES] = tuple(map(str, old))
        super().configure(ctx, [path for path in paths if path not in old])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        if old := ctx.meta.get(OLD_RECIPES):
            warn_of_old(f"--config {old[0]}", f"--recipe {old[0]}")
            ctx.params["recipes"] = (*old, *ctx.params["recipes"])
        return rest


def device_of(text: str) -> str:
    """Return the device of a training, "cpu" or "auto". Raises Misuse for an absent one, and for one of many."""
    from refsr_bench.core.errors import Misuse
    from refsr_bench.evaluation.machine import resolve_device

    if ":" in text:
        chosen = f"CUDA_VISIBLE_DEVICES={text.partition(':')[2]}"
        raise Misuse(f"--device {text}: training takes the GPUs that it sees. Set {chosen} instead.")
    return "cpu" if resolve_device(text) == "cpu" else "auto"


def _is_recipe(path: Path) -> bool:
    """Tell whether a file holds tables of a recipe alone, or its name is that of one."""
    from refsr_bench.core.errors import BenchError
    from refsr_bench.core.reader import read_toml
    from refsr_bench.learning.training.config import Training, named

    if str(path) in named():
        return True
    try:
        tables: dict[str, Any] = read_toml(path)
    except (BenchError, OSError):
        return False
    return bool(tables) and set(tables) <= {*Training.__struct_fields__, *Training.elsewhere}
