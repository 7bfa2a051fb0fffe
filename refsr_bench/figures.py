"""Figures of robustness in the form of the paper's Fig. 6: bars by group, and curves with bands over a sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from refsr_bench.robustness import Estimate, Row

WIDTH = 7.2  # inches: a page of two columns
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#999999", "#f0e442")
# Okabe and Ito's colours, told apart by everyone; with more methods than colours, hatches and dashes tell them apart.
HATCHES = ("", "//", "..", "xx")
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw(rows: Sequence[Row], psnr: str, units: str, title: str, folder: Path) -> list[Path]:
    """Draw what the levels allow: ``bars`` for groups, ``curves`` for numbers; SVG and PNG each, in ``folder``.

    psnr: the PSNR metric's name. units: what numbers of a sweep mean ("degrees"). Returns the files written.
    """
    numbers = [row for row in rows if _is_number(row.level)]
    groups = [row for row in rows if not _is_number(row.level)]
    files = []
    if {row.level for row in groups} - {"unrelated"}:
        files += _save(bars(groups, psnr, title), folder / "bars")
    if numbers:
        unrelated = [row for row in groups if row.level == "unrelated"]
        files += _save(curves(numbers, psnr, units, title, unrelated), folder / "curves")
    return files


def bars(rows: Sequence[Row], psnr: str, title: str) -> Figure:
    """AEE (HR pixels) and PSNR (dB) by group, side by side; whiskers are 95 % intervals."""
    figure, panels, styles = _panels(rows, psnr, title)
    for axis, metric in panels:
        levels = _levels(rows, metric)
        methods = [m for m in styles if any(r.method == m and metric in r.values for r in rows)]
        width = 0.8 / max(2, len(methods))
        for n, method in enumerate(methods):
            found = _by_level(rows, method, metric)
            x = np.array([levels.index(level) + (n - (len(methods) - 1) / 2) * width for level in found])
            mean, error = _mean_and_error(list(found.values()))
            axis.bar(x, mean, width * 0.92, color=styles[method][0], hatch=styles[method][1], linewidth=0)
            axis.errorbar(x, mean, error, fmt="none", ecolor="black", elinewidth=0.6, capsize=1.5)
        axis.set_xticks(range(len(levels)), levels)
        if metric == psnr:
            axis.set_ylim(*_psnr_limits(rows, psnr))
            axis.set_title(f"{axis.get_title()}; axis cut", fontsize=8)
    return figure


def curves(rows: Sequence[Row], psnr: str, units: str, title: str, unrelated: Sequence[Row] = ()) -> Figure:
    """AEE and PSNR over a sweep, bands are 95 % intervals; dotted: the same method with an unrelated reference."""
    figure, panels, styles = _panels(rows, psnr, title)
    for axis, metric in panels:
        for method, (colour, _, dash, marker) in styles.items():
            found = sorted((float(level), value) for level, value in _by_level(rows, method, metric).items())
            if not found:
                continue
            x, values = [level for level, _ in found], [value for _, value in found]
            mean, _ = _mean_and_error(values)
            axis.plot(x, mean, dash, color=colour, marker=marker, markersize=3, linewidth=1.2)
            low, high = [v.low for v in values], [v.high for v in values]
            axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            for row in unrelated:
                if row.method == method and metric in row.values:
                    axis.axhline(row.values[metric].mean, color=colour, linestyle=(0, (1, 2)), linewidth=0.9)
        axis.set_xlabel(units, fontsize=7)
        levels = sorted(float(row.level) for row in rows)
        if levels[0] > 0 and levels[-1] / levels[0] > 2:  # factors: half and double are as far from 1
            axis.set_xscale("log", base=2)
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        if metric == "aee":
            axis.set_ylim(bottom=0)
    return figure


def _panels(rows: Sequence[Row], psnr: str, title: str) -> tuple[Figure, list[tuple[Axes, str]], dict[str, tuple]]:
    """An axis for AEE and one for PSNR, those of which there is something to show, and a style per method."""
    styles = {}
    for row in rows:
        if row.method not in styles and {"aee", psnr} & row.values.keys():
            n = len(styles)
            turn = n // len(COLOURS)
            styles[row.method] = (COLOURS[n % len(COLOURS)], HATCHES[turn % len(HATCHES)], DASHES[turn % len(DASHES)],
                                  MARKERS[n % len(MARKERS)])  # fmt: skip
    titles = {row.method: row.title for row in rows}
    quality = psnr.upper().replace("_", "-")
    labels = {"aee": "AEE, HR pixels (lower is better)", psnr: f"{quality}, dB (higher is better)"}
    shown = [metric for metric in labels if any(metric in row.values for row in rows)] or ["aee"]
    figure = Figure(figsize=(WIDTH, 3.0), dpi=200, layout="constrained")
    axes = figure.subplots(1, len(shown), squeeze=False)[0]
    for axis, metric in zip(axes, shown, strict=True):
        axis.set_title(labels[metric], fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(axis="y", linewidth=0.4, alpha=0.5)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    handles = [Patch(facecolor=style[0], hatch=style[1], linewidth=0) for style in styles.values()]
    figure.legend(handles, [titles[m] for m in styles], loc="outside lower center", ncols=3, fontsize=7, frameon=False)
    figure.suptitle(title, fontsize=8)
    return figure, list(zip(axes, shown, strict=True)), styles


def _by_level(rows: Sequence[Row], method: str, metric: str) -> Mapping[str, Estimate]:
    found = {row.level: row.values[metric] for row in rows if row.method == method and metric in row.values}
    return {level: value for level, value in found.items() if np.isfinite(value.mean)}


def _levels(rows: Sequence[Row], metric: str) -> list[str]:
    return list(dict.fromkeys(row.level for row in rows if metric in row.values))


def _mean_and_error(values: Sequence[Estimate]) -> tuple[np.ndarray, np.ndarray]:
    """Means (n,) and the lengths of their whiskers down and up (2, n); no whiskers without an interval."""
    mean = np.array([v.mean for v in values])
    error = np.array([[v.mean - v.low for v in values], [v.high - v.mean for v in values]]).reshape(2, -1)
    return mean, np.where(np.isfinite(error), error, 0).clip(0)


def _psnr_limits(rows: Sequence[Row], psnr: str) -> tuple[float, float]:
    """PSNR has no zero worth showing: from a little below the lowest whisker to a little above the highest."""
    ends = [end for row in rows if psnr in row.values for end in _ends(row.values[psnr])]
    ends = [end for end in ends if np.isfinite(end)] or [0.0, 1.0]
    return min(ends) - 0.5, max(ends) + 0.5


def _ends(value: Estimate) -> tuple[float, float, float]:
    return value.mean, value.low, value.high


def _is_number(level: str) -> bool:
    try:
        float(level)
    except ValueError:
        return False
    return True


def _save(figure: Figure, stem: Path) -> list[Path]:
    """Both forms, the same bytes for the same numbers."""
    files = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png")]
    with mpl.rc_context({"svg.hashsalt": "refsr-bench", "svg.fonttype": "none"}):
        figure.savefig(files[0], metadata={"Date": None})
        figure.savefig(files[1])
    return files
