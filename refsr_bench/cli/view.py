"""The command that shows pictures side by side, without a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one, path_type


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True, type=path_type())
@options.ref("Shown beside the images.", "refs", required=False)
@click.option("--label", "labels", multiple=True, help="The name of an image, in their order. May be given again.")
@click.option("--enlarge", type=click.Choice(["nearest", "bicubic"]), default="nearest", show_default=True,
              help="How an image that is a whole number of times smaller, such as LR, is enlarged.")  # fmt: skip
@options.title(default="")
@options.out("One HTML file that needs no other.", default=Path("view.html"), show_default=True)
@options.overwrite("A page that this command wrote is replaced in any case.")
@options.browser()
@options.json_option
@as_one
def view(asked: Any) -> None:
    """Compare images in a page: a divider between any two, one zoom for all, close-ups. No run is needed."""
    from leaderboard.pages.view import ours, page
    from refsr_bench.core.files import write_text
    from refsr_bench.local_page import show

    options.refuse_existing(asked.out, asked.overwrite or ours(asked.out))
    write_text(asked.out, page(asked.images, asked.labels, asked.refs, asked.enlarge, asked.title))
    opened = asked.browser and show(asked.out.resolve().as_uri())
    text = f"Page: {asked.out}" + ("" if opened else " (open it in a browser)")
    output.answer(asked.as_json, {"page": str(asked.out), "opened": opened}, text)
