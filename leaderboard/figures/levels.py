"""Draws PSNR by level of similarity (CUFED5's L1 to L5): the gain of the reference as it shows less of the input.

Runs belong to one figure when their protocols differ only in the choice of references.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaderboard.figures import style
from leaderboard.figures.figure import Column, Figure, csv_of, dataset_words, method_facts, name_of, table_of, titles_of
from leaderboard.reading.load import LoadedRun, dataset_key, method_key
from leaderboard.statistics.estimates import Estimate, estimate
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import MethodInfo, ProtocolInfo
from refsr_bench.protocols.base import value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

KIND = "levels"
WITHOUT = ("lr", "none")  # rules that give no reference image
_REFERENCES = ("name", "version", "refs", "standard_refs", "ref_lists", "lr_ref")
_LEVEL = re.compile(r"level:(\d{1,4})")


@dataclass(frozen=True)
class Line:
    """One method. points: mean PSNR by level. flat: it looks at no reference, or was given none (without)."""

    method: MethodInfo
    title: str
    points: dict[int, Estimate]
    flat: Estimate | None = None
    without: bool = False


def rule_of(loaded: LoadedRun) -> str:
    """Return the rule that chose a run's references: "level:1", "all", "lr" ..., or "" when its fields do not say."""
    protocol, dataset = loaded.result.run.protocol, loaded.result.run.dataset.name
    rule = protocol.fields.get("refs", "")
    if rule == "standard":
        table = protocol.fields.get("standard_refs", {})
        rule = table.get(dataset, table.get("*", "")) if isinstance(table, dict) else ""
    return rule if isinstance(rule, str) else ""


def fit_to_draw(runs: Iterable[LoadedRun]) -> list[LoadedRun]:
    """Return complete runs with ranked weights and a finite PSNR, in the order of paths."""
    return [
        loaded
        for loaded in sorted(runs, key=lambda run: run.path)
        if loaded.result.complete
        and loaded.result.run.method.ranked
        and math.isfinite(loaded.result.means.get(loaded.result.run.protocol.psnr, math.inf))
    ]


def figures(runs: Iterable[LoadedRun], order: Mapping[str, int]) -> list[Figure]:
    """Return one figure per data set and set of other choices, if at least one method was measured at two levels.

    order: see ``style.marks``.
    """

    def choices(loaded: LoadedRun) -> tuple:
        run = loaded.result.run
        others = {name: value for name, value in run.protocol.fields.items() if name not in _REFERENCES}
        return digest(others), dataset_key(run.dataset), run.protocol.psnr

    groups = grouped(fit_to_draw(runs), choices)
    return [figure for key, members in sorted(groups.items()) if (figure := _figure(key, members, order))]


def _figure(key: tuple, members: list[LoadedRun], order: Mapping[str, int]) -> Figure | None:
    by_method = grouped(members, lambda loaded: method_key(loaded.result.run.method))
    methods = [runs[0].result.run.method for runs in by_method.values()]
    lines: list[Line] = []
    records: list[dict[str, Any]] = []
    for runs, title in zip(by_method.values(), titles_of(methods), strict=True):
        own, facts = _lines(runs, title)
        lines += own
        records += facts
    curved = [line for line in lines if len(line.points) > 1]
    if not curved:
        return None
    levels = sorted({level for line in curved for level in line.points})
    lines = [line for line in lines if line.flat or len(line.points) > 1]
    kept = {method_key(line.method) for line in lines}
    records = [record for record in records if record.pop("key") in kept]
    run = members[0].result.run
    metric = next(metric for metric in run.metrics if metric.name == run.protocol.psnr)
    labels = sorted({loaded.result.run.protocol.label for loaded in members}, key=lambda text: (len(text), text))
    unit = f"{metric.title}, {metric.unit}"
    caption = (
        f"Mean {metric.title} on {dataset_words(run.dataset)}; bands and brackets are 95 % bootstrap intervals over "
        f"images. "
        f"The {len(labels)} protocols, in the table with their digests, differ in the choice of references alone. "
        "L1 is most like the input. Flat lines look at no reference."
    )
    changes = "; ".join(
        f"{line.title}: {line.points[min(line.points)].mean:.2f} dB at L{min(line.points)}, "
        f"{line.points[max(line.points)].mean:.2f} dB at L{max(line.points)}"
        for line in curved
    )
    columns = (
        Column("title", "Method"), Column("weights", "Weights"), Column("references", "References"),
        Column("psnr", f"{unit} [95 %]", 2), Column("images", "Images", 0), Column("protocol", "Protocol"),
        Column("protocol_digest", "Digest", most=8),
    )  # fmt: skip
    base = _label_without_references(run.protocol)
    return Figure(
        KIND, name_of(KIND, f"{run.dataset.name}-{base}", *key),
        f"{run.dataset.title}: PSNR by similarity of the reference, protocol {base}",
        caption, f"Line chart of {unit} over reference levels L{levels[0]} to L{levels[-1]}. {changes}.",
        table_of(records, columns), csv_of(records), lambda narrow: draw(lines, levels, unit, narrow, order),
    )  # fmt: skip


def _label_without_references(protocol: ProtocolInfo) -> str:
    """Return the label that the protocol has without its choice of references, which is what the figure varies."""
    others = [name for name in protocol.overrides if name not in _REFERENCES]
    return "+".join([protocol.name, *(f"{name}={value_text(protocol.fields.get(name))}" for name in others)])


def _lines(runs: Sequence[LoadedRun], title: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """Return a method's lines, over its levels and flat if it had no reference, and the records behind them."""
    points: dict[int, Estimate] = {}
    flat: list[Line] = []
    records = []
    method = runs[0].result.run.method
    for loaded in runs:
        rule, run = rule_of(loaded), loaded.result.run
        found = _LEVEL.fullmatch(rule)
        blind = method.references == "none"
        if not (found or blind or rule in WITHOUT):
            continue
        values = [image.metrics[run.protocol.psnr] for image in loaded.result.images]
        mean = estimate(values)
        if blind:
            if flat:
                continue  # its numbers are the same under every rule
            flat.append(Line(method, title, {}, mean))
        elif found:
            points[int(found[1])] = mean
        else:
            text = "LR as reference" if rule == "lr" else "no reference"
            flat.append(Line(method, f"{title}, {text}", {}, mean, without=True))
        record = method_facts(run.method) | {
            "references": "none" if blind else f"L{found[1]}" if found else rule, "psnr": mean, "images": mean.images,
            "protocol": run.protocol.label, "protocol_digest": run.protocol.digest, "run_file": loaded.path,
            "key": method_key(run.method),
        }  # fmt: skip
        records.append(record)
    records.sort(key=lambda record: record["references"])
    return [*([Line(method, title, points)] if points else []), *flat], records


def draw(lines: Sequence[Line], levels: Sequence[int], unit: str, narrow: bool, order: Mapping[str, int]) -> Drawing:
    """Draw PSNR over levels with intervals as bands; a method without references is a flat line."""
    from matplotlib.lines import Line2D

    figure, (axis,) = style.panels(1, narrow, height=3.0 if narrow else 3.3)
    handles = []
    looks = style.marks([line.method.name for line in lines], order)
    for line, look in zip(lines, looks, strict=True):
        if line.flat:
            axis.axhline(line.flat.mean, color=look.colour, linestyle=(0, (1, 1.5)) if line.without else (0, (5, 2)))
            handles.append(Line2D([], [], color=look.colour, linestyle=(0, (1, 1.5)) if line.without else (0, (5, 2))))
            continue
        own = sorted(line.points)
        means = [line.points[level].mean for level in own]
        axis.plot(own, means, **look.line)
        low = [v.mean if math.isnan(v.low) else v.low for v in (line.points[level] for level in own)]
        high = [v.mean if math.isnan(v.high) else v.high for v in (line.points[level] for level in own)]
        axis.fill_between(own, low, high, color=look.colour, alpha=0.12, linewidth=0)
        handles.append(Line2D([], [], **{**look.line, "markeredgewidth": None}))
    axis.set_xticks(levels, [f"L{level}" for level in levels])
    axis.set_xlim(levels[0] - 0.25, levels[-1] + 0.25)
    axis.set_xlabel("reference level, from most to least like the input")
    axis.set_ylabel(unit)
    style.legend(figure, handles, [style.label(line.title, 44) for line in lines], narrow)
    return figure
