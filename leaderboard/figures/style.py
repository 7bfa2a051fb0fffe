"""Gives all figures one look: colours, marks, panels, and files with the same bytes for the same numbers.

Series differ in colour *and* in marker, dash or hatch. Colours are Okabe and Ito's ("Color Universal Design", 2008),
without black and yellow. A figure is drawn in two layouts, wide (a page of two columns, panels side by side) and narrow
(one column or a phone, panels below each other). SVG text stays text, so that it can be searched and read aloud.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from leaderboard.text import clean

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE, NARROW = 7.2, 3.6  # inches
INK, DIM, HAIR, PAPER = "#1b1b1a", "#66655f", "#d9d8d2", "#ffffff"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES = ("-", "--", "-.", (0, (1, 1.2)))
HATCHES = ("", "////", "\\\\\\\\", "xxxx", "----")
# The dark-page versions of the four colours without meaning, and the fonts that replace the measured one.
_THEME = {INK: "--ink", DIM: "--dim", HAIR: "--hair", PAPER: "--paper"}
_DARK = {"--ink": "#e4e3de", "--dim": "#a9a8a1", "--hair": "#3b3d40", "--paper": "#1c1d1f"}
_FAMILIES = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', Arial, sans-serif"
_SVG = "http://www.w3.org/2000/svg"
_RC = {
    "axes.axisbelow": True,
    "axes.edgecolor": DIM,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": INK,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "figure.dpi": 200,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so the layout is the same on every machine
    "font.size": 8,
    "grid.color": HAIR,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "lines.markersize": 5,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "refsr-bench",
    "text.color": INK,
    "text.parse_math": False,  # titles come from run files, in which "$" is just a character
    "xtick.color": DIM,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.color": DIM,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8,
}


@dataclass(frozen=True)
class Mark:
    """The look of one series, in lines and in bars."""

    colour: str
    marker: str
    dash: object
    hatch: str

    @property
    def line(self) -> dict[str, object]:
        """Return a line with its marks, as matplotlib takes it."""
        return {"linestyle": self.dash, "color": self.colour, "marker": self.marker, "markeredgecolor": PAPER,
                "markeredgewidth": 0.5}  # fmt: skip


def mark(n: int) -> Mark:
    """Return the look of the n-th series; no two of the first 56 are alike, and neighbours differ in everything."""
    turn = n // len(COLOURS)
    return Mark(
        COLOURS[n % len(COLOURS)],
        MARKERS[n % len(MARKERS)],
        DASHES[n % len(DASHES)],
        HATCHES[(n + turn) % len(HATCHES)],
    )


def marks(names: Sequence[str], order: Mapping[str, int]) -> list[Mark]:
    """Return looks for the series of one figure, by method name. order: the number of each method in all figures.

    A method looks the same everywhere, unless another method of the figure has its colour while some colour is free.
    """
    taken: list[int] = []
    for name in names:
        number = order.get(name, len(taken))
        colours = {n % len(COLOURS) for n in taken}
        if number in taken or (number % len(COLOURS) in colours and len(colours) < len(COLOURS)):
            free = (n for n in count() if n not in taken)
            number = next(n for n in free if n % len(COLOURS) not in colours or len(colours) == len(COLOURS))
        taken.append(number)
    return [mark(number) for number in taken]


def label(text: str, most: int = 34) -> str:
    """Return text from a run file as a label: one line, without control characters, shortened in its middle."""
    line = " ".join(clean(text).split())
    if len(line) > most:
        line = f"{line[: most - most // 3 - 1].rstrip()}…{line[-(most // 3) :].lstrip()}"
    return f"\u2005{line}" if line.startswith("_") else line  # matplotlib hides labels that begin with "_"


def folded(text: str, width: int, most: int = 1000) -> str:
    """Return text from a run file as a label of several lines with at most ``width`` characters each."""
    return "\n".join(textwrap.wrap(label(text, most), width))


@contextmanager
def look() -> Iterator[None]:
    """Set the style, whatever the user's matplotlibrc says. Make and save every part of a figure within it."""
    import matplotlib as mpl

    base = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(("backend", "interactive"))}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # readers' fonts have it
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        with mpl.rc_context(base | _RC):
            yield


def panels(number: int, narrow: bool, height: float = 2.7, extra: float = 0.55) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``number`` axes. height: of each panel, in inches. extra: for the legend."""
    from matplotlib.figure import Figure

    if narrow:
        size, grid = (NARROW, number * height + extra), (number, 1)
    else:
        columns = min(number, 3) if number != 4 else 2
        lines = -(-number // columns)
        size, grid = (WIDE, lines * height + extra), (lines, columns)
    figure = Figure(figsize=size, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.09, h_pad=0.09, wspace=0.03, hspace=0.03)  # inches, shares
    axes = list(figure.subplots(*grid, squeeze=False).flat)
    for axis in axes[number:]:
        figure.delaxes(axis)
    return figure, axes[:number]


def legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str], narrow: bool) -> None:
    """Write the legend below all panels, in as many columns as fit."""
    if not labels:
        return
    longest = max(map(len, labels)) + 6
    columns = max(1, min(len(labels), (54 if narrow else 112) // longest))
    figure.legend(handles, labels, loc="outside lower left", ncols=columns, columnspacing=1.4, handlelength=2.2)


def svg(draw: Callable[[bool], Figure], narrow: bool, title: str, description: str, themed: bool = True) -> str:
    """Return a figure as SVG text.

    themed: dark if the reader's page is, by its own style sheet with variables that drawing programs do not know;
    otherwise plain colours on white.
    """
    out = io.StringIO()
    with look():
        none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        draw(narrow).savefig(out, format="svg", metadata=none)
    return _finished(out.getvalue(), title, description, themed)


def image(draw: Callable[[bool], Figure], narrow: bool, kind: str) -> bytes:
    """Return a figure as a PNG (200 dots per inch) or PDF file."""
    out = io.BytesIO()
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    with look():
        draw(narrow).savefig(out, format=kind, metadata=metadata[kind])
    return out.getvalue()


def size_of(svg_text: str) -> tuple[int, int]:
    """Return width and height of an SVG of ``svg``, in CSS pixels, so that the page can leave room."""
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg_text).groups()
    return round(float(width) * 4 / 3), round(float(height) * 4 / 3)


def _finished(text: str, title: str, description: str, themed: bool) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(text)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    root.set("role", "img")
    for element in root.iter():
        if style := element.get("style"):
            style = re.sub(r"'?DejaVu Sans'?[^;]*", _FAMILIES, style)
            if themed:
                for colour, name in _THEME.items():
                    style = style.replace(colour, f"var({name})")
            element.set("style", style)
    for name, content in (("desc", description), ("title", title)):
        element = ElementTree.Element(f"{{{_SVG}}}{name}")
        element.text = label(content, 2000)
        root.insert(0, element)
    if themed:
        sheet = ElementTree.Element(f"{{{_SVG}}}style")
        light = "".join(f"{name}:{colour};" for colour, name in _THEME.items())
        dark = "".join(f"{name}:{colour};" for name, colour in _DARK.items())
        sheet.text = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
        root.insert(2, sheet)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
