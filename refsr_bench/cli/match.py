"""The command that draws correspondences."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.common import views_of
from refsr_bench.cli.grammar import Command, renamed
from refsr_bench.cli.options import as_one, path_type, views_option
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from c2matching.figure import Matched

SUFFIXES = (".png", ".pdf", ".svg")


@click.command(cls=Command)
@options.lr("", "lr_path", required=True)
@options.ref("", "ref_paths", required=True)
@options.out("The figure: .png, .pdf or .svg.", required=True)
@options.weights("Of C2-Matching.", type=path_type())
@options.matching(type=click.Choice(["exact", "half", "coarse", "sub-cell"]), default="exact", show_default=True)
@views_option("match")
@options.device_option
@click.option("--lines", type=click.IntRange(0, 2000), default=40, show_default=True, help="Correspondences to draw.")
@options.overwrite()
@renamed("--force", "overwrite", "--overwrite", is_flag=True)
@options.json_option
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
    from refsr_bench.evaluation.machine import resolve_device
    from refsr_bench.views.proposals import propose

    views = views_of(asked.views)
    viewing = partial(propose, views) if views else None
    device = resolve_device(asked.device)
    with steps("matching", "drawing") as step:
        step()
        made = figure.match_files(asked.lr_path, asked.ref_paths, asked.weights, asked.matching, viewing, device)
        step()
        figure.draw(made, asked.lines, out)
    names = [*made.names[1 : 1 + made.views], *map(str, asked.ref_paths)]
    chosen = [_chosen(made, n, name) for n, name in enumerate(names)]
    document = {"figure": out, "patches": made.confidence.size, "chosen": chosen, "views": made.views}
    output.answer(asked.as_json, document, _in_words(made, chosen, views is not None, out))


def _chosen(made: Matched, n: int, name: str) -> dict[str, Any]:
    """Return how often a reference, or a view of one, was chosen, and how like it is: measure, share and mean."""
    won = made.chosen == n
    measure = "correlation" if n < made.views else "cosine"
    mean = float(made.confidence[won].mean()) if won.any() else None
    return {"name": name, "share": float(won.mean()), "measure": measure, "mean": mean}


def _in_words(made: Matched, chosen: list[dict[str, Any]], viewed: bool, out: Path) -> str:
    # Views are compared by their pixels, and references by descriptors; a mean of both says nothing.
    average = "" if viewed else f", mean cosine {made.confidence.mean():.3f}"
    lines = [f"{made.confidence.size} patches{average}"]
    for one in chosen:
        mean = "" if one["mean"] is None else f", mean {one['measure']} {one['mean']:.3f}"
        lines.append(f"{one['name']}: {one['share']:.1%} of the patches{mean}")
    if (made.chosen < 0).any():
        lines.append(f"nothing nearly the same: {(made.chosen < 0).mean():.1%} of the patches")
    if viewed and not made.views:
        lines.append("No view of a reference was believed.")
    return "\n".join([*lines, f"Figure: {out}"])
