"""The make-up of a data set (the paper's Fig. 3): categories, sizes, and how alike inputs and references are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from refsr_bench.builder.engine import Progress, silent
from refsr_bench.builder.rows import UNKNOWN
from refsr_bench.builder.settings import Settings
from refsr_bench.builder.similarity import matching
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import parse_json
from refsr_bench.core.terminal import text_table
from refsr_bench.core.types import Dataset

MOST_BYTES = 256 << 20  # limit of a metadata.jsonl, which has some 700 bytes a pair
VERIFIED = Settings().min_inliers  # matches from which scale and rotation are trusted


@dataclass(frozen=True)
class Likeness:
    """One input and one reference, at full size. level: 1 = L1 ..., or the reference's position."""

    pair: str
    ref: str
    level: int
    inliers: int
    scale: float
    rotation: float
    overlap: float


@dataclass(frozen=True)
class Stats:
    """Counts and sizes of a data set. sizes: (width, height) of inputs and of references."""

    title: str
    pairs: int
    categories: Counter[str]
    hr_sizes: tuple[tuple[int, int], ...]
    ref_sizes: tuple[tuple[int, int], ...]
    likeness: tuple[Likeness, ...]

    def table(self) -> str:
        """Return everything in words and numbers, for a terminal."""
        lines = [f"{self.title}: {self.pairs} pairs"]
        rows = [(name, str(n), f"{n / self.pairs:.0%}") for name, n in self.categories.most_common()]
        lines += ["", text_table(("category", "inputs", "share"), rows)]
        sizes = [("inputs", self.hr_sizes), ("references", self.ref_sizes)]
        lines += ["", text_table(("long side", "min", "median", "max"), [spread(n, v) for n, v in sizes if v])]
        levels = grouped(self.likeness, lambda row: row.level)
        rows = [_level_row(level, levels[level]) for level in sorted(levels)]
        head = ("reference", "verified", "matches (median)", "scale (median)", "rotation (median)", "overlap (median)")
        return "\n".join([*lines, "", text_table(head, rows)] if rows else lines)


def spread(name: str, sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Return a table's row: the name, and the least, median and greatest long side of sizes (width, height)."""
    sides = [max(size) for size in sizes]
    return name, str(min(sides)), f"{median(sides):.0f}", str(max(sides))


def _level_row(level: int, rows: Sequence[Likeness]) -> tuple[str, ...]:
    sure = [row for row in rows if row.inliers >= VERIFIED]
    middle = [
        f"{median(values):{digits}}" if (values := [abs(getattr(row, name)) for row in sure]) else "-"
        for name, digits in (("scale", ".2f"), ("rotation", ".1f"), ("overlap", ".2f"))
    ]
    return f"L{level}", f"{len(sure)}/{len(rows)}", f"{median(row.inliers for row in rows):.0f}", *middle


def stats(dataset: Dataset, progress: Progress = silent) -> Stats:
    """Read every image once and match every reference to its input (some 0.2 s each).

    Categories come from the pairs' facts, or from a ``metadata.jsonl`` in the data set's folder. Raises BenchError
    naming a file that cannot be read.
    """
    told = _categories(dataset.root)
    categories, hr_sizes, ref_sizes, likeness = Counter(), [], [], []
    for done, pair in enumerate(dataset.pairs, 1):
        categories[pair.facts.get("category") or told.get(pair.hr.name) or UNKNOWN] += 1
        hr = matching.features(pair.hr.load())
        hr_sizes.append((hr.width, hr.height))
        for place, source in enumerate(pair.refs, 1):
            ref = matching.features(source.load())
            ref_sizes.append((ref.width, ref.height))
            found = matching.relate(hr, ref)
            shape = (found.scale, found.rotation, found.overlap)
            likeness.append(Likeness(pair.id, source.name, source.level or place, found.inliers, *shape))
        progress(done, len(dataset.pairs))
    pairs = len(dataset.pairs)
    return Stats(dataset.title, pairs, categories, tuple(hr_sizes), tuple(ref_sizes), tuple(likeness))


def _categories(root: Path | None) -> dict[str, str]:
    path = root / "metadata.jsonl" if root else None
    if path is None or not path.is_file():
        return {}
    found = {}
    for line in files.read_text(path, MOST_BYTES).split("\n"):
        try:
            row = parse_json(line, str(path))
            found[Path(row.get("hr_file_name") or row["file_name"]).name] = str(row.get("category") or "")
        except (BenchError, KeyError, TypeError, AttributeError):
            continue  # somebody else's file of that name
    return found


def plot(found: Stats, folder: Path, suffix: str = ".png") -> list[Path]:
    """Draw charts of categories, long sides and verified matches into ``folder``; return their files."""
    sizes = {"inputs": [max(s) for s in found.hr_sizes], "references": [max(s) for s in found.ref_sizes]}
    levels = grouped(found.likeness, lambda row: f"L{row.level}")
    matches = {level: [row.inliers for row in rows] for level, rows in levels.items()}
    files.make_folder(folder)
    charts = [folder / f"{name}{suffix}" for name in ("categories", "sizes", "matches")]
    bars(found.categories, f"{found.title}: what the inputs show", charts[0])
    histogram(sizes, f"{found.title}: long sides", "pixels", charts[1])
    histogram(matches, f"{found.title}: verified matches of input and reference", "matches", charts[2])
    return charts


def bars(counts: Counter[str], title: str, path: Path) -> None:
    """Draw horizontal bars, the longest on top, each with its number."""
    figure, axes = _figure(0.9 + 0.32 * max(1, len(counts)))
    names = [name for name, _ in reversed(counts.most_common())]
    drawn = axes.barh(names, [counts[name] for name in names], color="#4477aa")
    axes.bar_label(drawn, padding=3)
    axes.set_xlabel("images")
    axes.margins(x=0.12)
    _finish(figure, axes, title, path)


def histogram(series: dict[str, list[float]], title: str, unit: str, path: Path) -> None:
    """Draw several series as steps over common bins."""
    import numpy as np

    figure, axes = _figure(3.2)
    values = [value for each in series.values() for value in each]
    bins = np.histogram_bin_edges(values or [0.0], bins=min(24, max(6, len(values) // 4)))
    colours = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")  # Paul Tol, for colour-blind eyes
    for n, (name, each) in enumerate(series.items()):
        kind = "stepfilled" if len(series) == 1 else "step"
        axes.hist(each, bins, histtype=kind, label=name, color=colours[n % len(colours)], linewidth=1.8)
    axes.set_xlabel(unit)
    axes.set_ylabel("images")
    if len(series) > 1:
        axes.legend(frameon=False)
    _finish(figure, axes, title, path)


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _finish(figure: Any, axes: Any, title: str, path: Path) -> None:
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    with files.saving(path) as partial:
        figure.savefig(partial, dpi=150, format=path.suffix.removeprefix("."))
