"""Lists every option of every command, so that a page and a test can show that one name has one meaning."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from refsr_bench.cli import sources
from refsr_bench.cli.grammar import every_command


@dataclass(frozen=True)
class Use:
    """An option as one command has it.

    words: of the command; () for the program itself. spelling: all names, such as "-v, --verbose". meaning: the first
    sentence of its help. more: the rest of it. kind: the type of its value, "" for a flag. variable: its environment
    variable. default: in words, "" for none.
    """

    words: tuple[str, ...]
    name: str
    spelling: str
    meaning: str
    more: str
    kind: str
    default: str
    variable: str
    required: bool = False
    multiple: bool = False


@dataclass
class Row:
    """One option with all of its uses, in the order of the commands."""

    name: str
    uses: list[Use] = field(default_factory=list)

    @property
    def meanings(self) -> list[str]:
        """The different meanings. One, unless two commands contradict each other."""
        return list(dict.fromkeys(use.meaning for use in self.uses))

    @property
    def commands(self) -> list[str]:
        return [" ".join(use.words) for use in self.uses]


def rows(main: click.Group) -> list[Row]:
    """Return one row per name of an option, sorted by name."""
    found: dict[str, Row] = {}
    for words, command in [((), main), *every_command(main)]:
        for name, option in sources.settable(command).items():
            found.setdefault(name, Row(name)).uses.append(_use(words, name, option, command))
    return [found[name] for name in sorted(found)]


def table(main: click.Group, least: int = 1) -> str:
    """Return the options of ``least`` commands or more as Markdown.

    Where all commands of a group have an option, the group is named.
    """
    commands = [words for words, _ in every_command(main)]
    lines = ["| option | meaning | commands |", "| --- | --- | --- |"]
    for row in rows(main):
        having = [use.words for use in row.uses]
        names = _folded(having, commands)
        if len(names) < least:
            continue
        where = "all" if () in having else ", ".join(f"`{name}`" for name in names)
        meaning = " / ".join(row.meanings).replace("|", r"\|")
        lines.append(f"| `{row.uses[0].spelling}` | {meaning} | {where} |")
    return "\n".join(lines)


def _folded(having: list[tuple[str, ...]], commands: list[tuple[str, ...]]) -> list[str]:
    """Return the names of commands, with one name for a group of which all have the option."""
    names = {}
    for words in having:
        siblings = {each for each in commands if each[:-1] == words[:-1] and len(words) > 1}
        names[words[:-1] if len(siblings) > 2 and siblings <= set(having) else words] = None
    return [" ".join(words) for words in names]


def _use(words: tuple[str, ...], name: str, option: click.Option, command: click.Command) -> Use:
    meaning, dot, more = (option.help or "").partition(". ")
    flag = option.is_flag or option.count
    return Use(
        words=words,
        name=name,
        spelling=", ".join(sorted(option.opts, key=len)) + "".join(f" / {each}" for each in option.secondary_opts),
        meaning=meaning + dot.strip(),
        more=more,
        kind="" if flag else _kind(option),
        default=_default(option, command),
        variable=sources.variable(words, name),
        required=option.required,
        multiple=option.multiple,
    )


def _kind(option: click.Option) -> str:
    if option.metavar or not isinstance(option.type, click.Choice):
        return option.metavar or option.type.name.upper()
    return f"[{'|'.join(map(str, option.type.choices))}]"


def _default(option: click.Option, command: click.Command) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    default = option.get_default(click.Context(command))
    if option.is_flag or option.count or default is None or isinstance(default, type(option)) or option.required:
        return ""
    many = isinstance(default, (tuple, list))
    return ", ".join(map(str, default)) if many else "" if "UNSET" in repr(default) else str(default)
