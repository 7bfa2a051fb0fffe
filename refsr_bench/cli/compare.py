"""The command ``refsr-bench compare``: compares methods image by image, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import complete, options
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import path_type


@click.command(cls=Command)
@click.argument("methods", metavar="A B [C ...]", nargs=-1, required=True, shell_complete=complete.runs)
@options.results(callback=None)
@options.dataset("Default: every one that all of them have.")
@options.protocol("Or its label, or the start of its digest. Default: every one.")
@options.metric("Default: the PSNR of the protocol.")
@click.option("--json", "json_file", type=path_type(), help="Also write every number, unrounded.")
@click.option("--csv", "csv_file", type=path_type(), help="Also write the pairs, unrounded.")
def compare(json_file: Path | None, csv_file: Path | None, **asked: Any) -> None:
    """Say which differences between methods are more than chance.

    A, B, ... are names of methods in the results folder, or run files (or their folders). p values are corrected over
    all methods that the folder has on the data set, as on the leaderboard's page. If run files are given by path, p
    values are corrected only over these.
    """
    from leaderboard.statistics import comparison, records
    from refsr_bench.core.files import write_text
    from refsr_bench.core.reader import dumps
    from refsr_bench.core.terminal import one_line

    found, problems = comparison.compare(comparison.Asked(**asked))
    for problem in problems:
        click.echo(one_line(f"left out: {problem.path}: {problem.reason}"), err=True)
    for one in found:
        click.echo(comparison.text_of(one))
    if csv_file:
        write_text(csv_file, records.to_csv(line for one in found for line in records.records(one.contest, one.pairs)))
        click.echo(f"\n{csv_file}")
    if json_file:
        write_text(json_file, dumps({"comparisons": [comparison.document(one) for one in found]}))
        click.echo(f"\n{json_file}")
