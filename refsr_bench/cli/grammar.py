"""The grammar of all commands: where values come from, how much is said, old spellings, near names, errors.

A value comes from the command line, else from a configuration (``--config``), else from the environment, else from the
option's default.
"""

from __future__ import annotations

import errno
import io
import logging
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from refsr_bench.cli import sources
from refsr_bench.core import extras
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean
from refsr_bench.core.terminal import one_line, printable

log = logging.getLogger("refsr_bench")
LEVELS = {-2: logging.ERROR, -1: logging.WARNING, 0: logging.INFO, 1: logging.DEBUG}
"""The level of the packages' logger by the number of -v minus that of -q."""
LOUDNESS, CONFIGS = f"{__name__}.loudness", f"{__name__}.configs"  # keys of a context's ``meta``
MOVED = {("data", "build"): ("build",)}
"""Old words of a command, and those that took their place."""
REMOVED = "0.2"
"""The version without the old spellings of commands and options."""


class EchoHandler(logging.Handler):
    """Show what the packages log as plain lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = [record.getMessage()]
        if record.exc_info:
            lines += "".join(traceback.format_exception(*record.exc_info)).splitlines()
        click.echo("\n".join(map(printable, lines)), err=True)


def listen(level: int) -> None:
    """Show what the packages log from this level on, a key of ``LEVELS``, on standard error."""
    if not any(isinstance(handler, EchoHandler) for handler in log.handlers):
        log.addHandler(EchoHandler())
    log.setLevel(LEVELS[max(min(LEVELS), min(level, max(LEVELS)))])


def _louder(step: int) -> Callable[[click.Context, click.Parameter, int], None]:
    def change(ctx: click.Context, _: click.Parameter, count: int) -> None:
        ctx.meta[LOUDNESS] = ctx.meta.get(LOUDNESS, 0) + step * count

    return change


def _configure(ctx: click.Context, _: click.Parameter, paths: Sequence[Path]) -> None:
    if not ctx.resilient_parsing:
        ctx.command.configure(ctx, paths)


def common_options() -> list[click.Option]:
    """Return the options that every command and every group of commands has."""
    loud = {"count": True, "expose_value": False}
    config = click.Path(path_type=Path)
    return [
        click.Option(["--config", "configs"], type=config, multiple=True, is_eager=True, expose_value=False,
                     callback=_configure, metavar="FILE",
                     help="Options from a TOML file. May be given again; later ones win."),
        click.Option(["-v", "--verbose"], callback=_louder(1), help="Say more, such as where options come from.",
                     **loud),
        click.Option(["-q", "--quiet"], callback=_louder(-1), help="Hide progress and notices; again: warnings, too.",
                     **loud),
    ]  # fmt: skip


def warn_of_old(old: str, now: str) -> None:
    """Tell a person who used an old spelling of the new one."""
    log.warning("%s is now %s; the old spelling works until version %s.", old, now, REMOVED)


class Renamed(click.Option):
    """An old spelling of an option, which works with a warning until ``REMOVED``.

    to: the parameter that takes its value. now: the new spelling. change: turns the old value into the new one.
    """

    def __init__(self, *args: Any, to: str, now: str, change: Callable[[Any], Any] = lambda value: value, **attrs: Any):
        super().__init__(*args, hidden=True, **attrs)
        self.to, self.now, self.change = to, now, change


def renamed(old: str, to: str, now: str, **attrs: Any) -> Callable:
    """Return a decorator that keeps an option's old spelling working; see ``Renamed``."""
    name = f"old_{old.strip('-').replace('-', '_')}"
    return click.option(old, name, cls=Renamed, to=to, now=now, **attrs)


class Command(click.Command):
    """A command whose options may also come from a configuration and from the environment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options()]

    def configure(self, ctx: click.Context, paths: Sequence[Path]) -> None:
        """Take the values of this command from configurations: those given before it, then its own."""
        if isinstance(self, click.Group):
            ctx.meta[CONFIGS] = (*ctx.meta.get(CONFIGS, ()), *paths)
            return
        for path in (*ctx.meta.get(CONFIGS, ()), *paths):
            sources.add(ctx, sources.from_config(ctx, path), str(path))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            sources.add_environment(ctx)
        try:
            rest = super().parse_args(ctx, args)
        except click.BadParameter as error:
            place = sources.place(ctx, error.param)
            error.message += f" (from {place})" if place else ""
            raise
        self._take_renamed(ctx)
        return rest

    def _take_renamed(self, ctx: click.Context) -> None:
        """Hand the values of old spellings to the parameters that took their place."""
        for old in [param for param in self.params if isinstance(param, Renamed)]:
            value = ctx.params.pop(old.name, None)
            if value and not ctx.resilient_parsing:
                warn_of_old(old.opts[0], old.now)
                value, present = old.change(value), ctx.params.get(old.to)
                many = isinstance(present, tuple) and isinstance(value, tuple)
                ctx.params[old.to] = (*present, *value) if many else value

    def invoke(self, ctx: click.Context) -> Any:
        listen(ctx.meta.get(LOUDNESS, 0))
        for line in sources.told(ctx):
            log.debug("%s", line)
        return super().invoke(ctx)


class Group(Command, click.Group):
    """A group of commands. A word that names none is answered with the nearest names, also those of other groups."""

    command_class = Command
    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, path = args[0], sources.words(ctx)
        if new := MOVED.get((*path, name)):
            if not ctx.resilient_parsing:
                warn_of_old(" ".join((*path, name)), " ".join(new))
            found: click.Command = ctx.find_root().command
            for word in new:
                found = found.get_command(ctx, word)
            return name, found, args[1:]
        if not ctx.resilient_parsing and not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(f"There is no command '{' '.join((*path, name))}'. {self._near(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def _near(self, ctx: click.Context, name: str) -> str:
        """Return a hint: where another group has a command of this name, else the nearest names of this group."""
        elsewhere = [" ".join(path) for path, _ in every_command(ctx.find_root().command) if path[-1:] == (name,)]
        if elsewhere:
            return f"Did you mean {' or '.join(elsewhere)}?"
        return did_you_mean(name, self.list_commands(ctx))


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    """Return every command below a group with its words, groups included, in the order of the help pages."""
    ctx, found = click.Context(group), []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


class Listing(Group):
    """A group whose name alone asks for its command ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        bare = all(word.startswith("-") for word in args) and not set(args) & set(ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if bare and not ctx.resilient_parsing else args)


class Commands(Group):
    """Shows problems that a person can mend as one paragraph, with exit code 2 for misuse and 1 for failed work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        listen(0)
        for word in args:
            # Python shows bytes that are no UTF-8 as halves of characters
            if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", word):
                raise click.UsageError(f"{word[:200]!a}: control characters, or no UTF-8. Rename the file.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"Error: {one_line(str(error))}", err=True)
            log.debug("It was raised here:", exc_info=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe left; click ends quietly
                raise
            place = f"{error.filename}: "[:200] if error.filename else ""
            told = f"{place}{error.strerror or error}. Check the place, its rights and its room."
            click.echo(f"Error: {one_line(told)}", err=True)
            no_path = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
            ctx.exit(Misuse.exit_code if no_path else BenchError.exit_code)
        except ImportError as error:
            if not (told := extras.explained(error)):
                raise
            click.echo(f"Error: {one_line(told)}", err=True)
            ctx.exit(Misuse.exit_code)
        except KeyboardInterrupt:
            click.echo("\nStopped. Records are kept; run the same command again to continue.", err=True)
            ctx.exit(130)
