"""The values of options that come from a configuration or from the environment, and where each came from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean, nearest

log = logging.getLogger("refsr_bench")
PREFIX = "REFSR"
SHARED = {"data-root": "REFSR_DATA", "device": "REFSR_DEVICE"}
"""Options that one environment variable sets for every command."""
PLACES = f"{__name__}.places"  # a key of a context's ``meta``: (command, parameter) to the place of its value


def words(ctx: click.Context) -> tuple[str, ...]:
    """Return the words that name a context's command, without the program's."""
    path = []
    while ctx.parent is not None:
        path.append(ctx.info_name or "")
        ctx = ctx.parent
    return tuple(reversed(path))


def key(option: click.Option) -> str:
    """Return the option's name as configurations spell it: ``data-root`` of ``--data-root``."""
    return max(option.opts, key=len).lstrip("-")


def settable(command: click.Command) -> dict[str, click.Option]:
    """Return the options that may come from elsewhere than the command line, by their keys."""
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    return {key(option): option for option in options if key(option) != "version"}


def variable(path: tuple[str, ...], name: str) -> str:
    """Return the environment variable of an option. path: the words of its command; name: the option's key."""
    return "_".join((PREFIX, *path, name)).upper().replace("-", "_")


def add(ctx: click.Context, values: Mapping[str, Any], place: str) -> None:
    """Let these values, by key, take the place of defaults and of values that were added before."""
    options = settable(ctx.command)
    places = ctx.meta.setdefault(PLACES, {})
    ctx.default_map = {**(ctx.default_map or {}), **{options[name].name: value for name, value in values.items()}}
    places.update({(words(ctx), options[name].name): place for name in values})


def add_environment(ctx: click.Context) -> None:
    """Take a command's options from the environment. Raises Misuse for a flag that is neither on nor off."""
    path, options = words(ctx), settable(ctx.command)
    for name, option in options.items():
        for variable_ in filter(None, (variable(path, name), SHARED.get(name))):
            if text := os.environ.get(variable_):
                add(ctx, {name: _parsed(option, text, variable_)}, variable_)
                break
    if not isinstance(ctx.command, click.Group):
        _tell_strays(ctx, {variable(path, name) for name in options})


def _tell_strays(ctx: click.Context, known: set[str]) -> None:
    """Warn of variables that look like an option of this command and are none."""
    path = words(ctx)
    group = ctx.parent.command if ctx.parent else None
    others = group.list_commands(ctx.parent) if isinstance(group, click.Group) and path else ()
    own = variable(path, "")
    # another command's name may begin like this one's: train c2matching, train c2matching-gan
    longer = [each for name in others if (each := variable((*path[:-1], name), "")).startswith(own) and each != own]
    for name in sorted(os.environ):
        if path and name.startswith(own) and name not in known and not name.startswith(tuple(longer)):
            near = nearest(name, known, 0.8)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            log.warning("%s names no option of %s.%s", name, " ".join(path), hint)


def _parsed(option: click.Option, text: str, variable: str) -> Any:
    if option.count or option.is_flag:
        kind = click.INT if option.count else click.BOOL
        try:
            return kind.convert(text, option, None)
        except click.BadParameter as error:
            raise Misuse(f"{variable}={text:.80}: {error.message}") from None
    return list(option.type.split_envvar_value(text)) if option.multiple else text


# -- configurations ------------------------------------------------------------------------------------------------


def from_config(ctx: click.Context, path: Path) -> dict[str, Any]:
    """Read the values of a context's command from a TOML file.

    Keys at the top belong to the command that is run; those of a table, to the command that it names. All are checked.
    Raises Misuse for a file that is no TOML, an unknown key and a value of another kind.
    """
    from refsr_bench.core.reader import read_toml

    try:
        tables = read_toml(path)
    except BenchError as error:
        raise Misuse(f"--config {error}") from None
    own, here = {}, words(ctx)
    for name, value in tables.items():
        if not isinstance(value, Mapping):
            own |= _checked(ctx.command, here, {name: value}, path)
    root = ctx.find_root().command
    for found, values in _tables(root, (), {n: v for n, v in tables.items() if isinstance(v, Mapping)}, path):
        if found == here:
            own |= values
    return own


def _tables(
    group: click.Group, here: tuple[str, ...], tables: Mapping[str, Any], path: Path
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the words of each command that has a table, and its checked values."""
    ctx = click.Context(group)
    for name, values in tables.items():
        if name not in group.list_commands(ctx):
            where = f"command [{'.'.join((*here, name))}]"
            raise Misuse(f"--config {path}: there is no {where}. {did_you_mean(name, group.list_commands(ctx))}")
        found = group.get_command(ctx, name)
        inner = {n: v for n, v in values.items() if isinstance(v, Mapping)} if isinstance(found, click.Group) else {}
        yield from _tables(found, (*here, name), inner, path) if inner else ()
        own = {n: v for n, v in values.items() if n not in inner}
        yield (*here, name), _checked(found, (*here, name), own, path)


def _checked(command: click.Command, here: tuple[str, ...], values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    options = {name: option for name, option in settable(command).items() if name != "config"}
    checked = {}
    for name, value in values.items():
        spelled = name.replace("_", "-")
        if spelled not in options:
            raise Misuse(f"--config {path}: {' '.join(here)} has no option '{name}'. {did_you_mean(name, options)}")
        checked[spelled] = _converted(options[spelled], value, f"--config {path}: {name}")
    return checked


def _converted(option: click.Option, value: Any, where: str) -> Any:
    """Return a value of TOML as the command line would give it. Raises Misuse for one of another kind."""
    if option.is_flag and not option.count:
        if not isinstance(value, bool):
            raise Misuse(f"{where}: true or false is expected, not {value!a:.80}.")
        return value
    if option.multiple:
        return [_scalar(each, where) for each in (value if isinstance(value, list) else [value])]
    return int(_scalar(value, where)) if option.count and isinstance(value, int) else _scalar(value, where)


def _scalar(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Misuse(f"{where}: text or a number is expected, not {value!a:.80}.")
    return str(value)


# -- telling where values came from --------------------------------------------------------------------------------


def place(ctx: click.Context, param: click.Parameter | None) -> str:
    """Return the file or variable that a parameter's value came from; "" for the command line and for defaults."""
    if param is None or ctx.get_parameter_source(param.name) is not ParameterSource.DEFAULT_MAP:
        return ""
    return ctx.meta.get(PLACES, {}).get((words(ctx), param.name), "")


def told(ctx: click.Context) -> Iterator[str]:
    """Yield a line for each option whose value came from a configuration or the environment."""
    for option in settable(ctx.command).values():
        if found := place(ctx, option):
            shown = " ".join(_words_of(option, ctx.default_map[option.name]))
            yield f"{shown} (from {found})"


def command_line(ctx: click.Context, typed: list[str]) -> str:
    """Return the command line that asks for the same without configuration and environment.

    typed: the words behind the program. Folders of data sets are left out, because run files are published.
    """
    kept = iter(typed)
    said = [word for word in kept if not word.startswith("--config=") and (word != "--config" or not next(kept, ""))]
    for name, option in settable(ctx.command).items():
        if name not in ("data-root", "config") and option.expose_value and place(ctx, option):
            said += _words_of(option, ctx.default_map[option.name])
    return command(*said)


def _words_of(option: click.Option, value: Any) -> list[str]:
    """Return the words of a command line that give an option this value."""
    if option.is_flag and not option.count:
        return option.opts[:1] if value else option.secondary_opts[:1]
    spelling = max(option.opts, key=len)
    if option.count:
        return [spelling] * int(value)
    return [word for each in (value if option.multiple else [value]) for word in (spelling, str(each))]
