"""Tables and progress for people at a terminal; plain text of any width when the output goes to a file."""

from __future__ import annotations

import io
import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TypeVar

Item = TypeVar("Item")
log = logging.getLogger("refsr_bench")

UNBOUNDED = 100_000  # columns, so that a pipe wraps nothing


def printable(text: str) -> str:
    """Return text for a terminal: what would command it, or disguise other text, becomes an escape."""
    return "\n".join(map(one_line, text.split("\n")))


def one_line(text: str) -> str:
    """Return text as ``printable`` does, on one line: line feeds are escaped too, as in the name of a file."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format columns of text under a ruled head, wrapped to the terminal's width if there is one."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for title in head:
        table.add_column(Text(title))  # Text, because rich would read brackets in a str as markup
    for row in rows:
        table.add_row(*map(Text, row))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_jupyter=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


@contextmanager
def progress_bar(what: str, unit: str = "img", done: int = 0, shown: bool = True) -> Iterator[Callable[..., None]]:
    """A progress bar for functions that report (done, total): on standard error of a terminal, or in a notebook.

    The yielded function takes a third argument too, a few words that stand behind the bar.
    """
    from rich import progress as rich
    from rich.console import Console

    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.MofNCompleteColumn(), unit)
    times = (rich.TimeElapsedColumn(), rich.TimeRemainingColumn())
    note = rich.TextColumn("{task.fields[note]}", markup=False)
    console = Console(stderr=True)
    # In a notebook rich needs ipywidgets, and warns without them.
    seen = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
    shown = shown and seen and log.level <= logging.INFO  # --quiet raises the level
    with rich.Progress(*columns, *times, note, console=console, disable=not shown) as bar:
        task = bar.add_task(what.replace("[", r"\["), total=None, completed=done, note="")
        yield lambda now, total, note="": bar.update(task, completed=now, total=total, note=note)


@contextmanager
def steps(*names: str) -> Iterator[Callable[[], None]]:
    """A progress bar over a few named steps of unknown lengths; the yielded function begins the next one."""
    with progress_bar("", unit="steps") as report:
        begun = iter(enumerate(names))

        def step() -> None:
            number, name = next(begun)
            report(number, len(names), name)

        yield step
        report(len(names), len(names))


def tracked(items: Iterable[Item], done: int, total: int, what: str) -> Iterator[Item]:
    """Yield the items one by one, with a progress bar that starts at ``done`` of ``total``."""
    with progress_bar(what, done=done) as report:
        report(done, total)
        for number, item in enumerate(items, done + 1):
            yield item
            report(number, total)
