"""Completion of names and choices in a shell. A name that cannot be looked up is not offered, and nothing is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from refsr_bench.core.errors import BenchError

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _of(look: Callable[[click.Context], Iterable[str]]) -> Completer:
    """Return a completer of what a function finds. A comma begins another name."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        given, comma, begun = incomplete.rpartition(",")
        try:
            return [f"{given}{comma}{name}" for name in dict.fromkeys(look(ctx)) if name.startswith(begun)]
        except (BenchError, OSError):
            return []

    return complete


def words(*known: str) -> Completer:
    """Return the completer of these words."""
    return _of(lambda _: known)


def names(kind: str, *more: str) -> Completer:
    """Return the completer of the names of the catalogue, such as those of "METHODS", and of these words."""

    def look(_: click.Context) -> Iterable[str]:
        from refsr_bench.core import catalogue

        return (*catalogue.collect(kind), *more)

    return _of(look)


def _matchings(_: click.Context) -> Iterable[str]:
    from refsr_bench.core import catalogue

    return sorted({way for card in catalogue.collect("METHODS").values() for way in card.matching})


def _transformations(_: click.Context) -> Iterable[str]:
    from refsr_bench.geometry.kinds import KINDS

    return KINDS


def _fields(_: click.Context) -> Iterable[str]:
    import dataclasses

    from refsr_bench.protocols.base import Protocol

    return (f"{field.name}=" for field in dataclasses.fields(Protocol) if field.metadata)


def _views(_: click.Context) -> Iterable[str]:
    from refsr_bench.views.proposals import FEATURES

    return ("auto", "none", *(f"auto:{name}" for name in FEATURES))


def _recipes(_: click.Context) -> Iterable[str]:
    from refsr_bench.learning.training.config import named

    return named()


def _runs(ctx: click.Context) -> Iterable[str]:
    """The methods that have a run in the results folder: PROTOCOL/DATASET/METHOD."""
    folder = ctx.params.get("results") or Path("results")
    return sorted({path.parent.name for path in folder.glob("*/*/*/run.json")})


def _bundled(_: click.Context) -> Iterable[str]:
    from refsr_bench.core import catalogue

    return [card.bundled.stem for card in catalogue.collect("METHODS").values() if card.bundled]


def _known_weights(_: click.Context) -> Iterable[str]:
    from refsr_bench.registry.known import files

    return files()


def _levels(_: click.Context) -> Iterable[str]:
    from refsr_bench.geometry.kinds import LEVELS, WIDE

    return (*LEVELS, WIDE)


levels = _of(_levels)
matchings, transformations, fields, views = map(_of, (_matchings, _transformations, _fields, _views))
recipes, runs, bundled = map(_of, (_recipes, _runs, _bundled))
known_weights = _of(_known_weights)


def weights(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[click.shell_completion.CompletionItem]:
    """Complete the word 'synthetic' and the names of files."""
    from click.shell_completion import CompletionItem

    found = [CompletionItem("synthetic")] if "synthetic".startswith(incomplete) and incomplete else []
    return [*found, CompletionItem(incomplete, type="file")]
