"""Writes tables from the catalogue into the pages that have their marks: python docs/scripts/methods_table.py

Methods are in README, matchers in methods.md, metrics in metrics.md, data sets in own-data.md.
"""

import re
from pathlib import Path

from refsr_bench.core import catalogue
from refsr_bench.core.cards import MethodCard

ROOT = Path(__file__).resolve().parents[2]
HEAD = ("methods", "what", "year", "references", "parameters", "GMACs", "verified against")
METRICS_HEAD = ("metric", "title", "better", "unit", "of", "what", "needs")
DATASETS_HEAD = ("data set", "what", "pairs", "references of each")
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


def metric_rows() -> list[tuple[str, ...]]:
    """A row per metric."""
    return [
        (
            f"`{card.name}`",
            card.title,
            card.direction,
            card.unit or "-",
            {"image": "each image", "set": "all images"}[card.level],
            card.description,
            ", ".join(filter(None, (card.package and f"`{card.package}`", card.file and f"`{card.file.file}`"))) or "-",
        )
        for card in catalogue.collect("METRICS").values()
    ]


def dataset_rows() -> list[tuple[str, ...]]:
    """A row per data set."""
    cards = catalogue.collect("DATASETS").values()
    return [(f"`{card.name}`", card.description, str(card.n_pairs or "any"), card.refs_per_pair) for card in cards]


def pages() -> list[Path]:
    """The pages that have marks of a table."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if "written by docs/scripts/methods_table.py" in path.read_text(encoding="utf-8")]


def _table(head: tuple[str, ...], body: list[tuple[str, ...]]) -> str:
    lines = (head, tuple("---" for _ in head), *body)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(page: str) -> str:
    """Return a page with those of its tables brought up to date that it has."""
    tables = {
        "methods": _table(HEAD, rows()),
        "matchers": _table(MATCHERS_HEAD, matcher_rows()),
        "metrics": _table(METRICS_HEAD, metric_rows()),
        "data sets": _table(DATASETS_HEAD, dataset_rows()),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name}: written by docs/scripts/methods_table.py -->\n", f"<!-- end of {name} -->"
        page = re.sub(f"{begin}.*?{end}", lambda _, new=f"{begin}{table}\n{end}": new, page, flags=re.S)
    return page


if __name__ == "__main__":
    for path in pages():
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
