"""The commands for data sets: list, describe, fetch, prepare, verify."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.build_wrsr import stats
from refsr_bench.cli.grammar import Group
from refsr_bench.core.commands import command
from refsr_bench.core.terminal import one_line, progress_bar


@click.group(cls=Group)
def data() -> None:
    """Data sets: list, describe, fetch, prepare and verify them. `refsr-bench build` makes new ones."""


@data.command("list")
@options.data_root_option
@options.json_option
def data_list(data_root: Path | None, as_json: bool) -> None:
    """List every data set that refsr-bench knows and whether it is on this machine."""
    from refsr_bench.core import catalogue
    from refsr_bench.core.terminal import text_table
    from refsr_bench.data.opening import state_of

    cards = catalogue.collect("DATASETS").values()
    states = {card.name: state_of(card, data_root) for card in cards}
    rows = [(c.name, str(c.n_pairs or "-"), c.refs_per_pair, states[c.name].words, c.description) for c in cards]
    damaged = [f"{name}: {state.fault}" for name, state in states.items() if state.fault]
    known = [
        {"name": c.name, "pairs": c.n_pairs, "references": c.refs_per_pair, "state": states[c.name].words,
         "fault": states[c.name].fault, "description": c.description}
        for c in cards
    ]  # fmt: skip
    text = "\n".join([text_table(("name", "pairs", "refs", "here", "what"), rows), *damaged])
    output.answer(as_json, {"datasets": known}, text)


@data.command("info")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.json_option
def data_info(name: str, as_json: bool) -> None:
    """Print a data set's origin, terms and layout on disk."""
    from refsr_bench.core import catalogue

    card = catalogue.get("DATASETS", name)
    rows = (
        ("pairs", card.n_pairs or "any number"),
        ("references per pair", card.refs_per_pair),
        ("home", card.home),
        ("terms", card.terms),
        ("layout", card.layout),
        ("folder below the data root", card.folder or "-"),
        *(("download", file.url) for file in card.archives),
    )
    text = "\n".join([f"{card.title} ({card.name})", card.description, *(f"  {name}: {value}" for name, value in rows)])
    fields = ("name", "title", "description", "home", "terms", "layout", "folder")
    counts = {"pairs": card.n_pairs, "references": card.refs_per_pair}
    document = {name: getattr(card, name) for name in fields} | counts
    output.answer(as_json, document, text)


@data.command("fetch")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.data_root_option
@options.json_option
def data_fetch(name: str, data_root: Path | None, as_json: bool) -> None:
    """Download a data set from its owners, as far as they have a direct address, and prepare it.

    What has none is prepared from the archives that you put into the folder downloads/NAME below the data root.
    """
    from refsr_bench.data.downloads import obtain
    from refsr_bench.data.opening import data_root as find_root

    root = find_root(data_root)
    with ExitStack() as bars:
        folder = obtain(
            name,
            root,
            lambda file: bars.enter_context(progress_bar(f"fetching {file}", unit="bytes")),
            lambda: bars.enter_context(progress_bar(f"checking {name}")),
        )
    check = command("data", "verify", name, "--data-root", root.absolute())
    text = f"{name} is ready in {folder}. Check it at any time: {check}"
    output.answer(as_json, {"dataset": name, "folder": folder, "next": check}, text)


@data.command("prepare")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.source("The archive or folder you downloaded.", "source", required=True)
@options.data_root_option
@options.json_option
def data_prepare(name: str, source: Path, data_root: Path | None, as_json: bool) -> None:
    """Unpack a download safely, check it, and write its manifest."""
    from refsr_bench.data.opening import data_root as find_root
    from refsr_bench.data.prepare import prepare

    root = find_root(data_root)
    with progress_bar(f"checking {name}") as progress:
        folder = prepare(name, source, root, progress)
    check = command("data", "verify", name, "--data-root", root.absolute())
    text = f"{name} is ready in {folder}. Check it at any time: {check}"
    output.answer(as_json, {"dataset": name, "folder": folder, "next": check}, text)


@data.command("verify")
@click.argument("name", shell_complete=complete.names("DATASETS"))
@options.data_root_option
@options.json_option
def data_verify(name: str, data_root: Path | None, as_json: bool) -> None:
    """Check every file against the manifest and look for references that give the answer away."""
    from refsr_bench.core.reader import to_json
    from refsr_bench.data.verification import verify

    with progress_bar(f"verifying {name}") as progress:
        report = verify(name, data_root, progress)
    output.answer(as_json, {**to_json(report), "ok": report.ok}, "\n".join(map(one_line, report.lines())))
    if not report.ok:
        sys.exit(1)


data.add_command(stats)
