"""Tables and progress for people at a terminal; plain text, as wide as it likes, where the output goes to a file."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")

UNBOUNDED = 100_000  # columns: a pipe wraps nothing


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text under a ruled head; wrapped to the terminal's width where there is one."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in head:
        table.add_column(Text(title))  # Text, because brackets in a str would be read as rich's markup
    for row in rows:
        table.add_row(*map(Text, row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@contextmanager
def progress_bar(what: str, done: int = 0) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, for functions that report (done, total); nothing where that is no terminal."""
    from rich import progress as rich
    from rich.console import Console
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn(), "img")
    times = (rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
    console = Console(stderr=True)
    with rich.Progress(*columns, *times, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what.replace("[", r"\["), total=None, completed=done)
        yield lambda now, total: bar.update(task, completed=now, total=total)


def tracked(items: Iterable[Item], done: int, total: int, what: str) -> Iterator[Item]:
    """The items one by one, with a progress bar that begins at ``done`` of ``total``."""
    with progress_bar(what, done=done) as report:
        report(done, total)
        for number, item in enumerate(items, done + 1):
            yield item
            report(number, total)
