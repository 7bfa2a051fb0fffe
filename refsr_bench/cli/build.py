"""Making data sets: out of others, out of albums, out of photos from anywhere."""

from __future__ import annotations

from pathlib import Path

import click

from refsr_bench.cli import builder
from refsr_bench.cli.common import Bar, data_root_option, names, path_type
from refsr_bench.core.errors import Misuse


@click.group()
def build() -> None:
    """Make a data set: with references from the web or your folders, from albums, or from another data set."""


build.add_command(builder.wrsr)
build.add_command(builder.levels)


@build.command("transform")
@click.option("--from", "source", required=True, shell_complete=names("DATASETS"), help="The data set of the inputs.")
@click.option(
    "--transform",
    "kind",
    required=True,
    help="rotation, scale, rotation+scale, perspective (or homography), blur, noise, jpeg, illumination, occlusion.",
)
@click.option(
    "--levels",
    default="identity,small,medium,large,unrelated",
    show_default=True,
    help="Groups, or numbers of your own: 0,15,30.",
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N pairs.")
@click.option("--subset", type=click.Choice(["texture"]), help="Only the more textured half, as in the ablation.")
@click.option("--out", type=path_type(), required=True, help="The folder to make.")
@data_root_option
def transform(
    source: str, kind: str, levels: str, limit: int | None, subset: str | None, out: Path, data_root: Path | None
) -> None:
    """References made from the inputs themselves, so that every pixel's place is known (the paper's Fig. 6).

    The same command goes on after an interruption. The folder opens with datasets.load_dataset, and here with
    --dataset transform --data-root FOLDER.
    """
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.data.texture import texture_subset
    from refsr_bench.datasets.transform import LEAK, build

    kind = "perspective" if kind == "homography" else kind
    wanted = [level.strip() for level in levels.split(",") if level.strip()]
    if not wanted:
        raise Misuse(f"--levels {levels!r} names none.")
    opened = open_dataset(source, data_root)
    only = texture_subset(opened) if subset else [pair.id for pair in opened.pairs]
    only = only[:limit]
    with Bar(f"{kind} of {source}") as progress:
        folder = build(opened, kind, wanted, out, only, progress)
    click.echo(f"{folder}: {len(only)} inputs, {', '.join(wanted)}; {LEAK}")
    click.echo(f"Check it at any time: refsr-bench data verify transform --data-root {folder}")
