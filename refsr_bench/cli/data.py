"""The commands for data sets: list, describe, prepare, verify."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from refsr_bench.cli import complete, options
from refsr_bench.cli.build_wrsr import stats
from refsr_bench.cli.grammar import Group
from refsr_bench.core.commands import command
from refsr_bench.core.terminal import one_line, progress_bar


@click.group(cls=Group)
def data() -> None:
    """Data sets: list, describe, prepare and verify them. `refsr-bench build` makes new ones."""


@data.command("list")
@options.data_root_option
def data_list(data_root: Path | None) -> None:
    """List every data set that refsr-bench knows and whether it is on this machine."""
    from refsr_bench.core import catalogue
    from refsr_bench.core.terminal import text_table
    from refsr_bench.data.opening import state_of

    cards = catalogue.collect("DATASETS").values()
    states = {card.name: state_of(card, data_root) for card in cards}
    rows = [(c.name, str(c.n_pairs or "-"), c.refs_per_pair, states[c.name].words, c.description) for c in cards]
    damaged = [f"{name}: {state.fault}" for name, state in states.items() if state.fault]
    click.echo("\n".join([text_table(("name", "pairs", "refs", "here", "what"), rows), *damaged]))


@data.command("info")
@click.argument("name", shell_complete=complete.names("DATASETS"))
def data_info(name: str) -> None:
    """Print a data set's origin, terms and layout on disk."""
    from refsr_bench.core import catalogue

    card = catalogue.get("DATASETS", name)
    click.echo(f"{card.title} ({card.name})\n{card.description}")
    for label, value in (
        ("pairs", card.n_pairs or "any number"),
        ("references per pair", card.refs_per_pair),
        ("home", card.home),
        ("terms", card.terms),
        ("layout", card.layout),
        ("folder below the data root", card.folder or "-"),
    ):
        click.echo(f"  {label}: {value}")


@data.command("prepare")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.source("The archive or folder you downloaded.", "source", required=True)
@options.data_root_option
def data_prepare(name: str, source: Path, data_root: Path | None) -> None:
    """Unpack a download safely, check it, and write its manifest."""
    from refsr_bench.data.opening import data_root as find_root
    from refsr_bench.data.prepare import prepare

    root = find_root(data_root)
    with progress_bar(f"checking {name}") as progress:
        folder = prepare(name, source, root, progress)
    check = command("data", "verify", name, "--data-root", root.absolute())
    click.echo(f"{name} is ready in {folder}. Check it at any time: {check}")


@data.command("verify")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.data_root_option
def data_verify(name: str, data_root: Path | None) -> None:
    """Check every file against the manifest and look for references that give the answer away."""
    from refsr_bench.data.verification import verify

    with progress_bar(f"verifying {name}") as progress:
        report = verify(name, data_root, progress)
    click.echo("\n".join(map(one_line, report.lines())))
    if not report.ok:
        sys.exit(1)


data.add_command(stats)
