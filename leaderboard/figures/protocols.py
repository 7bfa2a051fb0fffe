"""Draws the effect of each choice of a protocol: the same method, weights and images under several protocols.

Differences are taken image by image against a base protocol. A protocol that differs from it in one field is named by
that field, others by their label.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.figures import style
from leaderboard.figures.figure import (
    Column,
    Figure,
    csv_of,
    dataset_words,
    method_facts,
    name_of,
    protocol_words,
    table_of,
    titles_of,
)
from leaderboard.figures.levels import fit_to_draw, rule_of
from leaderboard.reading.load import LoadedRun, dataset_key, method_key
from leaderboard.statistics.estimates import Estimate, difference, estimate
from leaderboard.tables.tables import build_tables
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import ProtocolInfo, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

KIND = "protocols"
_NAMES = ("name", "version")
_REFS = ("refs", "standard_refs")


@dataclass(frozen=True)
class Change:
    """One protocol against the base.

    words: the change. fields: how many choices differ. effects: the differences of PSNR (dB) and SSIM, by method.
    """

    words: str
    protocol: ProtocolInfo
    fields: int
    effects: Mapping[tuple[str, str], tuple[Estimate, Estimate | None]]


def changes_between(base: LoadedRun, other: LoadedRun) -> dict[str, tuple[Any, Any]]:
    """Return protocol fields whose values differ, by name: (in the base, in the other).

    The rule that chooses references counts as one field, ``references``, with the value that holds for the data set.
    """
    before, after = base.result.run.protocol.fields, other.result.run.protocol.fields
    found: dict[str, tuple[Any, Any]] = {}
    if rule_of(base) != rule_of(other):
        found["references"] = (rule_of(base), rule_of(other))
    for name in sorted(before.keys() | after.keys()):
        if name not in (*_NAMES, *_REFS) and before.get(name) != after.get(name):
            found[name] = (before.get(name), after.get(name))
    return found


def words(changes: Mapping[str, tuple[Any, Any]], label: str) -> str:
    """Return words such as "border 4 → 0" for one change, the protocol's label for several."""
    if len(changes) != 1:
        return label
    name, (before, after) = next(iter(changes.items()))
    return f"{name.replace('_', ' ')} {_plain(before)} → {_plain(after)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"L{value.removeprefix('level:')}" if value.startswith("level:") else value
    return "-" if value is None else json.dumps(value, sort_keys=True)


Series = tuple[str, str]
"""A method with its weights: its name, and the identity of the weights."""


def figures(runs: Iterable[LoadedRun], order: Mapping[str, int]) -> list[Figure]:
    """Return one figure per data set on which at least one method was measured completely under two protocols.

    order: see ``style.marks``.
    """
    by_dataset = grouped(fit_to_draw(runs), lambda loaded: dataset_key(loaded.result.run.dataset))
    return [figure for key, members in sorted(by_dataset.items()) if (figure := _figure(key, members, order))]


def _figure(key: tuple, members: list[LoadedRun], order: Mapping[str, int]) -> Figure | None:
    by_protocol: dict[str, dict[Series, LoadedRun]] = {}
    for loaded in members:
        run = loaded.result.run
        by_protocol.setdefault(run.protocol.digest, {})[method_key(run.method)] = loaded
    base = by_protocol[_base(by_protocol, [table.protocol.digest for table in build_tables(members)])]
    found = (_change(base, own) for own in by_protocol.values() if own is not base)
    changes = sorted(filter(None, found), key=lambda change: (change.fields > 1, change.words))
    if not changes:
        return None
    series = [name for name in base if any(name in change.effects for change in changes)]
    titles = dict(zip(series, titles_of([base[name].result.run.method for name in series]), strict=True))
    first = next(iter(base.values())).result.run
    dataset, protocol = first.dataset, first.protocol
    records = [
        method_facts(base[name].result.run.method)
        | {
            "title": titles[name], "change": change.words, "fields_changed": change.fields,
            "psnr_change": change.effects[name][0], "ssim_change": change.effects[name][1],
            "images": change.effects[name][0].images,
            "protocol": change.protocol.label, "protocol_digest": change.protocol.digest,
            "base": protocol.label, "base_digest": protocol.digest,
            "run_file": by_protocol[change.protocol.digest][name].path,
        }
        for change in changes for name in series if name in change.effects
    ]  # fmt: skip
    columns = (
        Column("change", "Choice"), Column("title", "Method"), Column("weights", "Weights"),
        Column("psnr_change", "PSNR, dB [95 %]", 2, True), Column("ssim_change", "SSIM [95 %]", 4, True),
        Column("images", "Images", 0), Column("protocol", "Protocol"), Column("protocol_digest", "Digest", most=8),
    )  # fmt: skip
    largest = max(records, key=lambda record: abs(record["psnr_change"].mean))
    alt = (
        f"Dot plot of the change of mean PSNR and SSIM for {len(changes)} changed protocols, by method. Largest: "
        f"{largest['change']}, {largest['title']}, {largest['psnr_change'].mean:+.2f} dB."
    )
    caption = (
        f"{dataset_words(dataset)}. Change of the mean against {protocol_words(protocol)}, image by image; "
        "whiskers are 95 % bootstrap intervals. Each protocol's own headline metrics are compared."
    )
    return Figure(
        KIND, name_of(KIND, f"{dataset.name}-{protocol.label}", key, protocol.digest),
        f"{dataset.title}: what each choice of protocol moves, against {protocol.label}", caption, alt,
        table_of(records, columns), csv_of(records), lambda narrow: draw(changes, titles, narrow, order),
    )  # fmt: skip


def _change(base: Mapping[Series, LoadedRun], own: Mapping[Series, LoadedRun]) -> Change | None:
    """Return one protocol against the base; None without a method that has images under both."""
    common = [series for series in base if series in own]
    effects = {series: _effect(base[series].result, own[series].result) for series in common}
    effects = {series: effect for series, effect in effects.items() if effect}
    if not effects:
        return None
    before, after = base[common[0]], own[common[0]]
    differing = changes_between(before, after)
    protocol = after.result.run.protocol
    named = words(differing, protocol.label)
    if len(differing) == 1 and protocol.name != before.result.run.protocol.name:
        named += f" ({protocol.name})"
    return Change(named, protocol, len(differing), effects)


def _base(by_protocol: Mapping[str, Mapping[tuple[str, str], LoadedRun]], order: Sequence[str]) -> str:
    """The digest from which most others differ in one field alone; ties go to the nearest to all, then the first."""

    def place(digest: str) -> tuple[int, int]:
        counts = []
        for other, runs in by_protocol.items():
            common = [series for series in by_protocol[digest] if series in runs]
            if other != digest and common:
                counts.append(len(changes_between(by_protocol[digest][common[0]], runs[common[0]])))
        return (-counts.count(1), sum(counts))

    return min(order, key=place)


def _effect(base: Result, other: Result) -> tuple[Estimate, Estimate | None] | None:
    """Return mean differences of PSNR and SSIM over the images that both have."""
    found = []
    for name in ("psnr", "ssim"):
        before, after = ({i.id: i.metrics.get(getattr(r.run.protocol, name)) for i in r.images} for r in (base, other))
        pairs = [(after[i], before[i]) for i in before if before[i] is not None and after.get(i) is not None]
        changes = [difference(a, b) for a, b in pairs]
        found.append(estimate(changes) if changes and all(map(math.isfinite, changes)) else None)
    return (found[0], found[1]) if found[0] else None


def draw(changes: Sequence[Change], titles: Mapping[Series, str], narrow: bool, order: Mapping[str, int]) -> Drawing:
    """Draw a row per change and a mark per method, with the base at zero; PSNR, then SSIM."""
    from matplotlib.lines import Line2D

    both = any(effect[1] for change in changes for effect in change.effects.values())
    line = 0.3 + 0.07 * min(len(titles), 8)
    figure, panels = style.panels(2 if both else 1, narrow, height=0.75 + line * len(changes), extra=0.5)
    looks = dict(zip(titles, style.marks([name for name, _ in titles], order), strict=True))
    for which, axis in enumerate(panels):
        for row, change in enumerate(changes):
            _dots(axis, row, {name: effect[which] for name, effect in change.effects.items()}, looks)
        axis.axvline(0, color=style.DIM, linewidth=0.9, zorder=1)
        axis.grid(True, axis="both")
        axis.set_ylim(len(changes) - 0.5, -0.5)
        named = which == 0 or narrow
        labels = [style.folded(change.words, 20 if narrow else 28, 56) if named else "" for change in changes]
        axis.set_yticks(range(len(changes)), labels)
        axis.tick_params(axis="y", length=0)
        axis.set_xlabel("change of PSNR, dB" if which == 0 else "change of SSIM")
        low, high = axis.get_xlim()
        axis.set_xlim(min(low, -0.02 * (high - low)), max(high, 0.02 * (high - low)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if abs(value) > 1e-12 else "0")
        axis.locator_params(axis="x", nbins=4 if narrow else 5)
    handles = [
        Line2D(
            [], [], linestyle="none", marker=look.marker, color=look.colour, markersize=6, markeredgecolor=style.PAPER
        )
        for look in looks.values()
    ]
    style.legend(figure, handles, [style.label(title) for title in titles.values()], narrow)
    return figure


def _dots(
    axis: Axes, row: int, effects: Mapping[Series, Estimate | None], looks: Mapping[Series, style.Mark]
) -> None:
    """Draw one change: a mark with its whisker for each method that has the effect, below each other within the row."""
    spread = min(0.7, 0.16 * (len(looks) - 1))
    for n, (series, look) in enumerate(looks.items()):
        value = effects.get(series)
        if value is None:
            continue
        y = row + (n / max(1, len(looks) - 1) - 0.5) * spread if len(looks) > 1 else row
        if not math.isnan(value.low):
            axis.plot([value.low, value.high], [y, y], color=look.colour, linewidth=1.1, alpha=0.8)
        axis.plot(value.mean, y, look.marker, color=look.colour, markeredgecolor=style.PAPER, markeredgewidth=0.5,
                  markersize=6)  # fmt: skip
