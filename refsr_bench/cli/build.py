"""Makes data sets from other sets, from albums, or from any photos."""

from __future__ import annotations

from typing import Any

import click

from refsr_bench.cli import build_wrsr, options, output
from refsr_bench.cli.grammar import Group, renamed
from refsr_bench.cli.options import as_one
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse
from refsr_bench.core.terminal import progress_bar


@click.group(cls=Group)
def build() -> None:
    """Make a data set: with references from the web or your folders, from albums, or from another data set."""


build.add_command(build_wrsr.wrsr)
build.add_command(build_wrsr.levels)


@build.command("transform")
@options.dataset("Of the inputs.", default="sample", show_default=True)
@renamed("--from", "dataset", "--dataset")
@options.transform("", "kind", required=True)
@options.levels(default="identity,small,medium,large,unrelated", show_default=True)
@options.limit("The first pairs.")
@options.subset_option
@options.out("The folder to make.", required=True)
@options.data_root_option
@options.json_option
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
    opened = open_dataset(asked.dataset, asked.data_root)
    only = texture_subset(opened) if asked.subset else [pair.id for pair in opened.pairs]
    only = only[: asked.limit]
    with progress_bar(f"{kind} of {asked.dataset}") as progress:
        folder = build(opened, kind, wanted, asked.out, only, progress)
    verify = command("data", "verify", "transform", "--data-root", folder.absolute())
    text = f"{folder}: {len(only)} inputs, {', '.join(wanted)}; {BY_CONSTRUCTION}\nCheck it at any time: {verify}"
    document = {"folder": folder, "transform": kind, "levels": wanted, "inputs": len(only), "next": verify}
    output.answer(asked.as_json, document, text)
