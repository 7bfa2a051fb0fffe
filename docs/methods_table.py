"""Writes the table of methods in README, from the catalogue: python docs/methods_table.py"""

import re
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MethodCard

HEAD = ("methods", "what", "year", "references", "parameters", "GMACs", "verified against")


def rows() -> list[tuple[str, ...]]:
    """A row per network; trainings of one network share it, ``-rec`` first."""
    networks: dict[tuple, list[MethodCard]] = {}
    for card in catalogue.collect("METHODS").values():
        family = card.name.removesuffix("-rec").removesuffix("-gan")
        networks.setdefault((card.group, card.year, family), []).append(card)
    order = sorted(networks.items(), key=lambda item: (item[0][0] != "SISR", *item[0][1:]))
    return [_row(sorted(cards, key=lambda card: card.gan)) for _, cards in order if cards[0].name != "external"]


def _row(cards: list[MethodCard]) -> tuple[str, ...]:
    card = cards[0]
    return (
        ", ".join(f"`{each.name}`" for each in cards),
        cards[-1].title,
        str(card.year),
        card.references,
        f"{card.parameters / 1e6:.2f} M" if card.parameters else "-",
        f"{card.gmacs:,.0f}" if card.gmacs else "-",
        card.verified if card.system else "-",
    )


def table() -> str:
    lines = (HEAD, tuple("---" for _ in HEAD), *rows())
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(page: str) -> str:
    """Return the page with its table brought up to date."""
    begin, end = "<!-- methods: written by docs/methods_table.py -->\n", "<!-- end of methods -->"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{table()}\n{end}", page, flags=re.S)


if __name__ == "__main__":
    readme = Path(__file__).resolve().parent.parent / "README.md"
    readme.write_text(written(readme.read_text(encoding="utf-8")), encoding="utf-8")
