"""Draws robustness like the paper's Fig. 6: bars by group, curves with bands over a sweep; AEE, PSNR and gain.

Where a ceiling was measured, one more figure shows the share of the possible gain, see ``figures.shares``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.figures import shares, style, sweeps
from leaderboard.figures.figure import Column, Figure, csv_of, name_of, protocol_words, table_of
from leaderboard.statistics.estimates import Estimate
from leaderboard.statistics.robustness import GAIN, Row, Study
from leaderboard.statistics.shares import LEAST_GAIN, SHARE, Series
from refsr_bench.core.files import write_bytes, write_text
from refsr_bench.geometry.kinds import GIVEN, UNRELATED, numbers_of, unit_of

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing


KIND = "robustness"


def figures(studies: Sequence[Study], order: Mapping[str, int]) -> list[Figure]:
    """Return bars, curves and shares of every study. order: see ``style.marks``."""
    return [
        (_share_figure if form == shares.FORM else _figure)(study, rows, form, draw)
        for study in studies
        for rows in [study.rows]
        for form, draw in drawings(rows, study.protocol.psnr, study.change, order=order).items()
    ]


def _figure(study: Study, rows: Sequence[Row], form: str, draw: Callable[[bool], Drawing]) -> Figure:
    psnr = study.protocol.psnr
    sweep = form == "curves"
    shown = [row for row in rows if bool(numbers_of(row.level)) == sweep or row.level == UNRELATED]
    runs = {series: study.runs[key] for series, key in _keys(study, rows).items()}
    records = [
        {"level": row.level, "method": row.method, "title": row.title, "weights": row.weights,
         "weights_sha256": runs[row.series][row.level].result.run.method.weights.sha256 or "", "images": row.images,
         "failed": row.failed, "aee": row.values.get("aee"), "coverage": row.values.get("coverage"),
         "psnr": row.values.get(psnr), "ssim": row.values.get(study.protocol.ssim), "gain": row.values.get(GAIN.name),
         "run_file": runs[row.series][row.level].path}
        for row in shown
    ]  # fmt: skip
    columns = (
        Column("title", "Method"), Column("weights", "Weights"), Column("level", "Level"),
        Column("aee", "AEE, pixels [95 %]", 2), Column("psnr", f"{_name(psnr)}, dB [95 %]", 2),
        Column("gain", "Gain, dB [95 %]", 2, True), Column("images", "Images", 0),
    )  # fmt: skip
    unit = unit_of(study.change, (row.level for row in shown))
    caption = (
        f"{_images(study)}. AEE: mean distance of matches from the true "
        f"place, HR pixels. {'Bands' if sweep else 'Whiskers'} are 95 % bootstrap intervals over images. "
        + (f"Levels: {unit}. " if sweep and unit else "")
        + ("Dotted: with an unrelated reference. " if sweep else "")
        + "Matchers make no SR image and have no PSNR."
    )
    return Figure(
        KIND, name_of(KIND, f"{study.dataset}-{study.change}-{form}", study.dataset, study.change, form,
                      study.protocol.digest, study.pair_ids, list(study.runs)),
        f"{study.title}: {_change(study)}, {'over a sweep' if sweep else 'by group'}", caption,
        f"{'Line' if sweep else 'Bar'} charts. {describe(shown, psnr)}", table_of(records, columns),
        csv_of(records), draw,
    )  # fmt: skip


def _share_figure(study: Study, rows: Sequence[Row], form: str, draw: Callable[[bool], Drawing]) -> Figure:
    keys, found = _keys(study, rows), study.shares
    shown = shared(rows)
    psnr = {(key, row.level): row.values.get(study.protocol.psnr) for row in rows for key in [keys[row.series]]}
    records = []
    for row in shown:
        key = keys[row.series]
        own = found[key, row.level]
        records.append({
            "level": row.level, "method": row.method, "title": row.title, "weights": row.weights,
            "weights_sha256": study.runs[key][row.level].result.run.method.weights.sha256 or "",
            "images": own.estimate.images, "share": own.estimate, "psnr": psnr[key, row.level],
            "floor": psnr[own.floor, UNRELATED], "ceiling": psnr[own.ceiling, row.level],
            "run_file": study.runs[key][row.level].path, "floor_run_file": study.runs[own.floor][UNRELATED].path,
            "ceiling_run_file": study.runs[own.ceiling][row.level].path,
        })  # fmt: skip
    name = _name(study.protocol.psnr)
    columns = (
        Column("title", "Method"), Column("weights", "Weights"), Column("level", "Level"),
        Column("share", "Share [95 %]", 2), Column("psnr", f"{name}, dB [95 %]", 2),
        Column("floor", "Floor, dB [95 %]", 2), Column("ceiling", "Ceiling, dB [95 %]", 2),
        Column("images", "Images", 0),
    )  # fmt: skip
    unit = unit_of(study.change, (row.level for row in shown))
    caption = (
        f"{_images(study)}. 0: {name} of the plain method with an unrelated reference (floor). 1: {name} of the same "
        "network with the reference warped back by its true transformation (ceiling). Shares are ratios of mean gains; "
        f"bands are 95 % bootstrap intervals over images. Levels at which less than {LEAST_GAIN} dB can be gained are "
        "left out." + (f" Levels: {unit}." if unit else "")
    )
    return Figure(
        KIND, name_of(KIND, f"{study.dataset}-{study.change}-{form}", study.dataset, study.change, form,
                      study.protocol.digest, study.pair_ids, list(study.runs)),
        f"{study.title}: {_change(study)}, share of the possible gain", caption,
        f"Line charts. {shares.describe(shown)}", table_of(records, columns), csv_of(records), draw,
    )  # fmt: skip


def _keys(study: Study, rows: Sequence[Row]) -> dict[str, Series]:
    """Return the key of each series of rows in ``Study.runs``."""
    return dict(zip(dict.fromkeys(row.series for row in rows), study.runs, strict=True))


def _images(study: Study) -> str:
    number = len(study.pair_ids)
    return f"{number} image{'s' * (number != 1)} of {study.title}, {protocol_words(study.protocol)}"


def _change(study: Study) -> str:
    return "references as given" if study.change == GIVEN else f"{study.change} of the reference"


def write(rows: Sequence[Row], psnr: str, change: str, title: str, folder: Path) -> list[Path]:
    """Draw what the rows allow: ``bars`` for groups, ``curves`` for numbers, ``share``; SVG and PNG, in ``folder``.

    psnr: the PSNR metric's name. change: one of ``geometry.kinds.KINDS`` or GIVEN. Returns the files. Raises BenchError
    when the disk refuses.
    """
    written = []
    for name, draw in drawings(rows, psnr, change, title).items():
        svg, png = folder / f"{name}.svg", folder / f"{name}.png"
        alt = shares.describe(shared(rows)) if name == shares.FORM else describe(rows, psnr)
        write_text(svg, style.svg(draw, False, title, alt, themed=False))
        write_bytes(png, style.image(draw, False, "png"))
        written += [svg, png]
    return written


@dataclass(frozen=True)
class Plot:
    """The contents of one drawing.

    psnr: the PSNR metric's name. units: of a sweep's levels. unrelated: rows with an unrelated reference, beside a
    sweep. order: see ``style.marks``.
    """

    rows: Sequence[Row]
    psnr: str
    title: str = ""
    units: str = ""
    unrelated: Sequence[Row] = ()
    order: Mapping[str, int] = field(default_factory=dict)

    def by_level(self, series: str, metric: str) -> dict[str, Estimate]:
        """Return the values of one series in a metric, by level, without infinite means, which cannot be drawn."""
        found = {row.level: row.values[metric] for row in self.rows if row.series == series and metric in row.values}
        return {level: value for level, value in found.items() if math.isfinite(value.mean)}

    def levels(self, metric: str) -> list[str]:
        """Return the levels that any method has, in the order of the groups, UNRELATED last."""
        seen = dict.fromkeys(row.level for row in self.rows if metric in row.values)
        return sorted(seen, key=lambda level: level == UNRELATED)


def drawings(
    rows: Sequence[Row], psnr: str, change: str, title: str = "", order: Mapping[str, int] | None = None
) -> dict[str, Callable[[bool], Drawing]]:
    """Return ``bars``, ``curves`` and ``share``, if they have levels, as functions of ``narrow`` that draw them."""
    groups = [row for row in rows if not numbers_of(row.level)]
    numbers = [row for row in rows if numbers_of(row.level)]
    unit = unit_of(change, (row.level for row in numbers))
    units = f"{change}: {unit}" if unit else change
    found: dict[str, Callable[[bool], Drawing]] = {}
    if {row.level for row in groups} - {UNRELATED}:
        found["bars"] = partial(bars, Plot(groups, psnr, title, order=order or {}))
    if numbers:
        unrelated = [row for row in groups if row.level == UNRELATED]
        found["curves"] = partial(curves, Plot(numbers, psnr, title, units, unrelated, order or {}))
    if recovered := shared(rows):
        found[shares.FORM] = partial(shares.draw, shares.Plot(recovered, title, units, order or {}))
    return found


def shared(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that have a share of the possible gain."""
    return [row for row in rows if SHARE.name in row.values]


def bars(plot: Plot, narrow: bool = False) -> Drawing:
    """Draw AEE (HR pixels), PSNR and reference gain (dB) by group; whiskers are 95 % intervals."""
    import numpy as np
    from matplotlib.patches import Patch

    figure, shown, marks = _start(plot, narrow)
    for axis, metric in shown:
        levels = plot.levels(metric)
        present = [name for name in marks if any(r.series == name and metric in r.values for r in plot.rows)]
        width = 0.82 / max(2, len(present))
        for n, series in enumerate(present):
            found = plot.by_level(series, metric)
            x = np.array([levels.index(level) + (n - (len(present) - 1) / 2) * width for level in found])
            mean, error = _mean_and_error(list(found.values()))
            look = marks[series]
            axis.bar(x, mean, width * 0.9, color=look.colour, hatch=look.hatch, edgecolor=style.PAPER, linewidth=0)
            axis.errorbar(x, mean, error, fmt="none", ecolor=style.INK, elinewidth=0.8, capsize=1.8, capthick=0.8)
        slanted = sweeps.SLANTED if len(levels) > 4 else {}
        axis.set_xticks(range(len(levels)), [style.label(level, 12) for level in levels], **slanted)
        axis.tick_params(axis="x", length=0)
        if metric == plot.psnr:
            axis.set_ylim(*_psnr_limits(plot))
            axis.set_ylabel(f"{axis.get_ylabel()} (axis cut)")
        if metric == GAIN.name:
            axis.axhline(0, color=style.DIM, linewidth=0.8)
    handles = [Patch(facecolor=m.colour, hatch=m.hatch, edgecolor=style.PAPER, linewidth=0) for m in marks.values()]
    style.legend(figure, handles, _titles(plot, marks), narrow)
    return figure


def curves(plot: Plot, narrow: bool = False) -> Drawing:
    """Draw AEE, PSNR and gain over a sweep with 95 % intervals as bands; dotted lines have an unrelated reference."""
    from matplotlib.lines import Line2D

    figure, shown, marks = _start(plot, narrow)
    where = sweeps.places(row.level for row in plot.rows)
    dotted = False
    for axis, metric in shown:
        for series, look in marks.items():
            found = sorted(
                ((where[level], value) for level, value in plot.by_level(series, metric).items()), key=itemgetter(0)
            )
            if not found:
                continue
            x, values = zip(*found, strict=True)
            mean, error = _mean_and_error(values)
            axis.plot(x, mean, **look.line)
            axis.fill_between(x, mean - error[0], mean + error[1], color=look.colour, alpha=0.11, linewidth=0)
            for row in plot.unrelated:
                if row.series == series and metric in row.values and math.isfinite(row.values[metric].mean):
                    axis.axhline(row.values[metric].mean, color=look.colour, linestyle=(0, (1, 2)), linewidth=1)
                    dotted = True
        sweeps.set_axis(axis, where, style.folded(plot.units, 34 if len(shown) > 2 and not narrow else 52))
        if metric == "aee":
            axis.set_ylim(bottom=0)
        if metric == GAIN.name:
            axis.axhline(0, color=style.DIM, linewidth=0.8)
    handles = [Line2D([], [], **{**look.line, "markeredgewidth": None}) for look in marks.values()]
    labels = _titles(plot, marks)
    if dotted:
        handles.append(Line2D([], [], linestyle=(0, (1, 2)), color=style.DIM, linewidth=1))
        labels.append("with an unrelated reference")
    style.legend(figure, handles, labels, narrow)
    return figure


def describe(rows: Sequence[Row], psnr: str) -> str:
    """Describe the figure in words: each series' first and last level."""
    said = []
    for series in dict.fromkeys(row.series for row in rows):
        own = [row for row in rows if row.series == series and row.level != UNRELATED]
        for metric, name, unit in (("aee", "AEE", "pixels"), (psnr, _name(psnr), "dB")):
            ends = [row for row in own if metric in row.values]
            if ends:
                first, last = ends[0], ends[-1]
                said.append(
                    f"{first.title}, {name}: {first.values[metric].mean:.2f} {unit} at {first.level}"
                    + (f", {last.values[metric].mean:.2f} at {last.level}" if last is not first else "")
                )
    return "; ".join(said) + "."


def _start(plot: Plot, narrow: bool) -> tuple[Drawing, list[tuple[Axes, str]], dict[str, style.Mark]]:
    """Return an axis for each of AEE, PSNR and gain that has something to show, and a mark per method."""
    labels = {
        "aee": ("Matching error, lower is better", "AEE, HR pixels"),
        plot.psnr: ("Restoration, higher is better", f"{_name(plot.psnr)}, dB"),
        GAIN.name: ("Reference gain", "dB over an unrelated reference"),
    }
    shown = [m for m in labels if any(m in row.values for row in plot.rows)] or ["aee"]
    methods = {row.series: row.method for row in plot.rows if set(shown) & row.values.keys()}
    looks = style.marks(list(methods.values()), plot.order)
    with style.look():
        figure, axes = style.panels(len(shown), narrow)
        for axis, metric in zip(axes, shown, strict=True):
            axis.set_title(labels[metric][0])
            axis.set_ylabel(labels[metric][1])
        if plot.title:
            figure.suptitle(style.folded(plot.title, 50 if narrow else 100), fontsize=8.5)
    return figure, list(zip(axes, shown, strict=True)), dict(zip(methods, looks, strict=True))


def _titles(plot: Plot, marks: Mapping[str, style.Mark]) -> list[str]:
    titles = {row.series: row.title for row in plot.rows}
    return [style.label(titles[series]) for series in marks]


def _name(psnr: str) -> str:
    return psnr.upper().replace("_", "-")


def _mean_and_error(values: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """Return means (n,) and the lengths of their whiskers down and up (2, n); no whiskers without an interval."""
    import numpy as np

    mean = np.array([v.mean for v in values])
    error = np.array([[v.mean - v.low for v in values], [v.high - v.mean for v in values]]).reshape(2, -1)
    return mean, np.where(np.isfinite(error), error, 0).clip(0)


def _psnr_limits(plot: Plot) -> tuple[float, float]:
    """Limit PSNR, whose zero is not worth showing, to a little below the lowest and above the highest whisker."""
    values = [row.values[plot.psnr] for row in plot.rows if plot.psnr in row.values]
    ends = [end for value in values for end in (value.mean, value.low, value.high)]
    ends = [end for end in ends if math.isfinite(end)] or [0.0, 1.0]
    return min(ends) - 0.5, max(ends) + 0.5
