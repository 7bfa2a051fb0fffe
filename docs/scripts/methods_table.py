"""Writes the tables of methods in README and of matchers in methods.md from the catalogue."""

import re
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MethodCard

HEAD = ("methods", "what", "year", "references", "parameters", "GMACs", "verified against")
MATCHERS_HEAD = ("matcher", "what", "year", "how it finds correspondences")


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


def matcher_rows() -> list[tuple[str, ...]]:
    """A row per matcher, the oldest first."""
    cards = sorted(catalogue.collect("MATCHERS").values(), key=lambda card: (card.year, card.name))
    return [(f"`{card.name}`", card.title, str(card.year), card.description) for card in cards]


def _table(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *body)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(page: str) -> str:
    """Return a page with those of its tables brought up to date that it has."""
    tables = {"methods": _table(HEAD, rows()), "matchers": _table(MATCHERS_HEAD, matcher_rows())}
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by docs/scripts/methods_table.py -->\n", f"<!-- end of {name} -->"
        page = re.sub(f"{begin}.*?{end}", lambda _, new=f"{begin}{table}\n{end}": new, page, flags=re.S)
    return page


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    for path in (root / "README.md", root / "docs" / "reference" / "methods.md"):
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
