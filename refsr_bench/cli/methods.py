"""The commands that list and describe methods."""

from __future__ import annotations

from typing import Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.grammar import Listing
from refsr_bench.core.cards import MethodCard
from refsr_bench.core.schema import VERIFIED

HEAD = ("name", "title", "group", "year", "refs", "GAN", "parameters", "GMACs", "weights here", "verified against")


@click.group(cls=Listing)
def methods() -> None:
    """List every method of the catalogue; `refsr-bench methods info NAME` describes one."""


@methods.command("list")
@options.json_option
def list_(as_json: bool) -> None:
    """Print one line per method. GMACs are for an LR image of 160x160 and a reference of 640x640."""
    from refsr_bench.core import catalogue
    from refsr_bench.core.terminal import text_table

    cards = sorted(catalogue.collect("METHODS").values(), key=lambda card: (card.group != "SISR", card.year, card.name))
    text = text_table(HEAD, [_row(card) for card in cards])
    output.answer(as_json, {"methods": [_document(card) for card in cards]}, text)


def _document(card: MethodCard) -> dict[str, Any]:
    """Return the facts of a card as JSON values."""
    from refsr_bench.learning.weights import state_of

    fields = ("name", "title", "group", "year", "references", "gan", "parameters", "gmacs", "verified", "paper")
    more = {"weights": state_of(card), "guesses": card.guesses, "matching": card.matching}
    return {name: getattr(card, name) for name in fields} | more | {"description": card.description}


def _row(card: MethodCard) -> tuple[str, ...]:
    from refsr_bench.learning.weights import state_of

    return (
        *(card.name, card.title, card.group, str(card.year), card.references, "yes" if card.gan else ""),
        f"{card.parameters / 1e6:.2f} M" if card.parameters else "-",
        f"{card.gmacs:,.0f}" if card.gmacs else "-",
        state_of(card),
        card.verified,
    )


@methods.command()
@click.argument("name", shell_complete=complete.names("METHODS"))
@options.json_option
def info(name: str, as_json: bool) -> None:
    """Show one method: its paper, its size, its weights, how it was verified, and which guesses it contains."""
    from refsr_bench.core import catalogue
    from refsr_bench.learning.weights import state_of

    card = catalogue.get("METHODS", name)
    lines = [
        ("title", f"{card.title} ({card.group}, {card.year}{', GAN-trained' if card.gan else ''})"),
        ("paper", card.paper),
        ("what", card.description),
        ("references", {"none": "uses none", "one": "uses one", "many": "uses any number"}[card.references]),
        ("parameters", f"{card.parameters:,}" if card.parameters else "-"),
        ("GMACs", f"{card.gmacs:,.1f} for 160x160 to 640x640" if card.gmacs else "-"),
        ("verified", f"{card.verified}: {VERIFIED[card.verified]}"),
        *(("guess", guess) for guess in card.guesses),
        *(("weights", f"{file.file}, {file.home}{'; ' + file.facts if file.facts else ''}") for file in card.files),
        ("here", state_of(card)),
    ]
    width = max(len(label) for label, _ in lines)
    files = [{"file": file.file, "home": file.home, "facts": file.facts} for file in card.files]
    text = "\n".join(f"{label:<{width}}  {text}" for label, text in lines)
    output.answer(as_json, {**_document(card), "files": files}, text)
