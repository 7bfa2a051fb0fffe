"""The command ``refsr-bench compare``: compares methods image by image, in the terminal."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.grammar import Command, warn_of_old

OLD_FILE = f"{__name__}.file"  # a key of a context's ``meta``


class Compare(Command):
    """A command whose --json once took the file to write. A new file's name behind it is still taken so."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for n, (word, file) in enumerate(pairwise(args)):
            if word == "--json" and file.endswith(".json") and not Path(file).exists():
                ctx.meta[OLD_FILE] = Path(file)
                args = [*args[: n + 1], *args[n + 2 :]]
                break
        return super().parse_args(ctx, args)


@click.command(cls=Compare)
@click.argument("methods", metavar="A B [C ...]", nargs=-1, required=True, shell_complete=complete.runs)
@options.results(callback=None)
@options.dataset("Default: every one that all of them have.")
@options.protocol("Or its label, or the start of its digest. Default: every one.")
@options.metric("Default: the PSNR of the protocol.")
@click.option("--csv", "csv_file", type=options.path_type(), help="A file for the pairs, unrounded.")
@options.overwrite()
@options.json_option
@click.pass_context
def compare(
    ctx: click.Context, methods: tuple[str, ...], csv_file: Path | None, overwrite: bool, as_json: bool, **asked: Any
) -> None:
    """Say which differences between methods are more than chance.

    A, B, ... are names of methods in the results folder, or run files (or their folders). p values are corrected over
    all methods that the folder has on the data set, as on the leaderboard's page. If run files are given by path, p
    values are corrected only over these.
    """
    from refsr_bench.api import comparing
    from refsr_bench.core.files import write_text
    from refsr_bench.core.reader import dumps
    from refsr_bench.core.terminal import one_line

    if csv_file:
        options.refuse_existing(csv_file, overwrite, "--csv")
    made = comparing.compare(*methods, **asked)
    for problem in made.problems:
        output.warn(one_line(f"left out: {problem.path}: {problem.reason}"))
    document = made.document()
    file = ctx.meta.get(OLD_FILE)
    if file:
        warn_of_old(f"--json {file}", f"--json > {file}")
        write_text(file, dumps(document))
    if csv_file:
        write_text(csv_file, made.to_csv())
    written = [f"\n{path}" for path in (csv_file, file) if path]
    output.answer(as_json and not file, document, "\n".join([f"\n{made}", *written]))
