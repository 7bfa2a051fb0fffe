"""The command that draws correspondences."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from refsr_bench.cli import options
from refsr_bench.cli.common import views_of
from refsr_bench.cli.grammar import Command, renamed
from refsr_bench.cli.options import as_one, path_type, views_option
from refsr_bench.core.errors import Misuse

SUFFIXES = (".png", ".pdf", ".svg")


@click.command(cls=Command)
@options.lr("", "lr_path", required=True)
@options.ref("", "ref_paths", required=True)
@options.out("The figure: .png, .pdf or .svg.", required=True)
@options.weights("Of C2-Matching.", type=path_type())
@options.matching(type=click.Choice(["exact", "half", "coarse", "sub-cell"]), default="exact", show_default=True)
@views_option("match")
@click.option("--lines", type=click.IntRange(0, 2000), default=40, show_default=True, help="Correspondences to draw.")
@options.overwrite()
@renamed("--force", "overwrite", "--overwrite", is_flag=True)
@as_one
def match(asked: Any) -> None:
    """Draw which patch of which reference C2-Matching finds for every patch of an LR image."""
    out = asked.out
    if out.suffix.lower() not in SUFFIXES:
        raise Misuse(f"--out {out}: must end in {', '.join(SUFFIXES)}.")
    options.refuse_existing(out, asked.overwrite)
    if not out.parent.is_dir():
        raise Misuse(f"--out {out}: there is no folder {out.parent}.")
    from c2matching import figure
    from refsr_bench.core.terminal import steps
    from refsr_bench.views.proposals import propose

    views = views_of(asked.views)
    viewing = partial(propose, views) if views else None
    with steps("matching", "drawing") as step:
        step()
        made = figure.match_files(asked.lr_path, asked.ref_paths, asked.weights, asked.matching, viewing)
        step()
        figure.draw(made, asked.lines, out)
    # Views are compared by their pixels, and references by descriptors; a mean of both says nothing.
    average = "" if views else f", mean cosine {made.confidence.mean():.3f}"
    click.echo(f"{made.confidence.size} patches{average}")
    for n, name in enumerate((*made.names[1 : 1 + made.views], *asked.ref_paths)):
        won = made.chosen == n
        what = "correlation" if n < made.views else "cosine"
        mean = f", mean {what} {made.confidence[won].mean():.3f}" if won.any() else ""
        click.echo(f"{name}: {won.mean():.1%} of the patches{mean}")
    if (made.chosen < 0).any():
        click.echo(f"nothing nearly the same: {(made.chosen < 0).mean():.1%} of the patches")
    if views and not made.views:
        click.echo("No view of a reference was believed.")
    click.echo(f"Figure: {out}")
