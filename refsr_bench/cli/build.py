"""Makes data sets from other sets, from albums, or from any photos."""

from __future__ import annotations

from typing import Any

import click

from refsr_bench.cli import build_wrsr
from refsr_bench.cli.common import as_one, data_root_option, names, path_type
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.core.terminal import progress_bar


@click.group()
def build() -> None:
    """Make a data set: with references from the web or your folders, from albums, or from another data set."""


build.add_command(build_wrsr.wrsr)
build.add_command(build_wrsr.levels)


@build.command("transform")
@click.option("--from", "source", required=True, shell_complete=names("DATASETS"), help="The data set of the inputs.")
@click.option(
    "--transform",
    "kind",
    required=True,
    help="rotation, scale, rotation+scale, shear, shift, perspective (or homography), blur, noise, jpeg, illumination, "
    "occlusion.",
)
@click.option(
    "--levels",
    default="identity,small,medium,large,unrelated",
    show_default=True,
    help="Groups, numbers of your own (0,15,30; 45x1.5 of rotation+scale), or 'wide', the kind's grid.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N pairs.")
@click.option("--subset", type=click.Choice(["texture"]), help="Only the more textured half, as in the ablation.")
@click.option("--out", type=path_type(), required=True, help="The folder to make.")
@data_root_option
@as_one
def transform(asked: Any) -> None:
    """References made from the inputs themselves, so that every pixel's place is known (the paper's Fig. 6).

    The same command continues after an interruption. The folder opens with datasets.load_dataset, and in refsr-bench
    with --dataset transform --data-root FOLDER.
    """
    from refsr_bench.data.leaks import BY_CONSTRUCTION
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.data.split.writing import build
    from refsr_bench.data.texture import texture_subset

    kind = "perspective" if asked.kind == "homography" else asked.kind
    wanted = [level.strip() for level in asked.levels.split(",") if level.strip()]
    if not wanted:
        raise Misuse(f"--levels {asked.levels!r} names none.")
    opened = open_dataset(asked.source, asked.data_root)
    only = texture_subset(opened) if asked.subset else [pair.id for pair in opened.pairs]
    only = only[: asked.limit]
    with progress_bar(f"{kind} of {asked.source}") as progress:
        folder = build(opened, kind, wanted, asked.out, only, progress)
    click.echo(f"{folder}: {len(only)} inputs, {', '.join(wanted)}; {BY_CONSTRUCTION}")
    verify = command("data", "verify", "transform", "--data-root", folder.absolute())
    click.echo(f"Check it at any time: {verify}")
