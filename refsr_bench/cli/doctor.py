"""The command that looks over an installation."""

from __future__ import annotations

import sys
from typing import Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one


@click.command(cls=Command)
@click.option("--markdown", is_flag=True, help="Print Markdown, to paste into an issue.")
@options.json_option
@options.data_root_option
@as_one
def doctor(asked: Any) -> None:
    """Look over this installation: what is there and whole, what is missing, and the commands that mend it.

    The report holds no names of people or machines, no home folders and no secrets. Exit code 1: something is broken.
    """
    from refsr_bench.core.reader import to_json
    from refsr_bench.core.terminal import printable
    from refsr_bench.doctor import words
    from refsr_bench.doctor.examine import examine

    report = examine(asked.data_root)
    text = (words.markdown if asked.markdown else words.text)(report)
    output.answer(asked.as_json, to_json(report), printable(text))
    if not report.usable:
        sys.exit(1)
