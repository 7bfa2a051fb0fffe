"""Comparisons as data: a flat record for each pair, and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from leaderboard.statistics.contests import Contest, Pair
from leaderboard.text import csv_text

CSV_COLUMNS = (
    "protocol", "protocol_digest", "dataset", "dataset_manifest_sha256", "metric", "unit", "method_a", "weights_a",
    "method_b", "weights_b", "images", "images_apart", "mean_a", "mean_b", "difference", "difference_low",
    "difference_high", "wins", "ties", "losses", "p", "p_holm", "p_wilcoxon", "p_wilcoxon_holm", "family",
    "significant",
)  # fmt: skip


def records(found: Contest, pairs: Iterable[Pair] | None = None) -> list[dict[str, Any]]:
    """Return pairs as flat records (CSV_COLUMNS), unrounded; all of them if None."""
    lines = []
    for pair in found.pairs if pairs is None else pairs:
        a, b = found.standings[pair.a], found.standings[pair.b]
        # fmt: off
        values = (
            found.protocol.label, found.protocol.digest, found.dataset.name, found.dataset.manifest_sha256,
            found.metric.name, found.metric.unit, a.name, a.weights, b.name, b.weights, pair.images, pair.apart,
            a.mean, b.mean, pair.difference, pair.low, pair.high, pair.wins, pair.ties, pair.losses,
            pair.p, pair.p_holm, pair.wilcoxon, pair.wilcoxon_holm, found.family, pair.significant,
        )
        # fmt: on
        lines.append(dict(zip(CSV_COLUMNS, values, strict=True)))
    return lines


def to_csv(lines: Iterable[Mapping[str, Any]]) -> str:
    """Return records as CSV: numbers unrounded, nothing that a spreadsheet takes for a formula."""
    return csv_text(CSV_COLUMNS, ([line[name] for name in CSV_COLUMNS] for line in lines))
