"""Defines the transformations, the meaning of their magnitudes, and the ends of the groups of magnitudes.

The paper measures robustness in three groups, small, medium and large (section 5.4, Fig. 6), without saying where one
ends. The edges here (``EDGES``) are our own, each with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from refsr_bench.core.errors import Misuse

GROUPS = ("identity", "small", "medium", "large")
UNRELATED = "unrelated"  # the level at which the reference is another input and shows nothing of this one
LEVELS = (*GROUPS, UNRELATED)
GIVEN = "given"  # the kind of references that come with the data set instead of being made here
WIDE = "wide"  # stands for all numbers of a kind's grid, ``Edges.wide``
Range = tuple[float, float]


@dataclass(frozen=True)
class Edges:
    """The ends of a kind's groups: (least, most) of the magnitude; ``other``: the same in the other direction.

    unit: of the magnitude, as axes name it. beside: what changes with it. numbers: the range of a level given as a
    number. wide: the levels of the grid that goes on where the groups end. logarithmic: whether magnitudes are spread
    evenly in their logarithm.
    """

    unit: str
    small: Range
    medium: Range
    large: Range
    numbers: Range
    why: str
    wide: tuple[float | str, ...]
    logarithmic: bool = False
    other: tuple[Range, ...] = ()
    beside: str = ""

    @property
    def meaning(self) -> str:
        """The unit, with everything that changes beside it."""
        return f"{self.unit}; {self.beside}" if self.beside else self.unit

    def ranges(self, group: str) -> list[Range]:
        """The ranges of a group: one, or two of which a coin chooses one."""
        own = getattr(self, group)
        return [own, self.other[GROUPS.index(group) - 1]] if self.other else [own]


@dataclass(frozen=True)
class Pair:
    """A kind of which a level may give two numbers. kinds: whose ranges they keep to. unit: as axes name it."""

    kinds: tuple[str, str]
    unit: str


PAIRS = {"rotation+scale": Pair(("rotation", "scale"), "degrees x factor")}
EDGES = {
    "rotation": Edges(
        "degrees, either way", (0, 10), (10, 30), (30, 90), (-180, 180),
        "below 10 is about what C2-Matching sees in training (its random corners turn an image by at most 8 degrees); "
        "10 to 30 is SRNTT's 'warp' augmentation; above 30 nobody in this field trains",
        (0, 10, 20, 30, 45, 60, 90, 120, 150, 180),
    ),
    "scale": Edges(
        "reference pixels per input pixel", (1, 1.1), (1.1, 1.5), (1.5, 2.5), (0.25, 4),
        "0.9 and 0.66 are the size ratios at which LMR parts its levels, 0.4 is about AMSA's smallest (0.8^4); "
        "training shows C2-Matching 0.82 to 1.24", (0.25, 0.33, 0.5, 0.66, 0.8, 1, 1.25, 1.5, 2, 3, 4),
        logarithmic=True, other=((0.9, 1), (0.66, 0.9), (0.4, 0.66)),
    ),
    "rotation+scale": Edges(
        "degrees", (0, 10), (10, 30), (30, 90), (-90, 90), "those of rotation and of scale",
        ("0x1", "30x0.8", "30x1.25", "45x0.66", "45x1.5", "90x0.5", "90x2", "150x0.66", "150x1.5", "180x3"),
        beside="the factor is drawn from the same group of scale. A number is degrees either way, and the factor, up "
        "or down by a coin, follows the edges (10: 1.1, 30: 1.5, 90: 2.5)",
    ),
    "shear": Edges(
        "reference pixels sideways per pixel down, either way", (0, 0.1), (0.1, 0.25), (0.25, 0.5), (-1, 1),
        "0.1 is about what C2-Matching's training shows (corners of 160 pixels that move by up to 9 shear by up to "
        "0.11); 0.25 and 0.5 stretch one direction 1.28 and 1.64 times as far as the other, as a plane does that is "
        "turned away by 39 and 52 degrees", (0, 0.1, 0.2, 0.3, 0.4, 0.5),
    ),
    "shift": Edges(
        "HR pixels along both axes", (0, 0.5), (0.5, 1), (1, 2), (-8, 8),
        "a match within half a pixel is right after rounding; 1 is the first whole pixel; 2 is half of the 4-pixel "
        "cells in which the methods of the field match, and nothing lies further from their grid",
        (0, 0.25, 0.5, 1, 1.5, 2),
        beside="a group draws the direction along each axis",
    ),
    "perspective": Edges(
        "every corner moves by this share of the shorter side, along both axes", (0, 0.06), (0.06, 0.12), (0.12, 0.2),
        (0, 0.3), "C2-Matching's training moves corners of 160 pixels by 0 to 9, which is up to 0.056",
        (0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3),
    ),
    "blur": Edges(
        "standard deviation of a Gaussian, reference pixels", (0.4, 1), (1, 2), (2, 4), (0, 20),
        "a photo shrunk and enlarged x4 by bicubic is nearest to a deviation of 1.75 (measured on the sample set)",
        (0, 0.5, 1, 1.5, 2, 3, 4),
        logarithmic=True,
    ),
    "noise": Edges(
        "standard deviation of Gaussian noise, grey levels", (1, 5), (5, 15), (15, 50), (0, 100),
        "denoising papers report 15, 25 and 50", (0, 5, 10, 15, 25, 50), logarithmic=True,
    ),
    "jpeg": Edges(
        "quality, as libjpeg counts it, colour at half resolution", (75, 95), (40, 75), (10, 40), (1, 100),
        "75 is libjpeg's default; deblocking papers report 10 to 40", (95, 75, 60, 40, 30, 20, 10),
    ),
    "illumination": Edges(
        "gamma, or one over it", (1, 1.2), (1.2, 1.6), (1.6, 2.5), (0.2, 5),
        "half a stop less exposure moves mid-grey as gamma 1.2 does, "
        "a stop and a half as 1.6, three and a half as 2.5", (0.4, 0.5, 0.66, 0.8, 1, 1.25, 1.5, 2, 2.5),
        logarithmic=True,
        other=((1 / 1.2, 1), (1 / 1.6, 1 / 1.2), (1 / 2.5, 1 / 1.6)),
        beside="gains of red, green and blue of up to gamma^0.25 either way go with it",
    ),
    "occlusion": Edges(
        "share of the reference under one grey rectangle", (0, 0.1), (0.1, 0.3), (0.3, 0.6), (0, 0.9),
        "LMR parts its levels at 30 and 10 per cent of overlap; we hide those shares",
        (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    ),
}  # fmt: skip
KINDS = tuple(EDGES)


def numbers_of(level: str) -> tuple[float, ...]:
    """Return the finite numbers that a level consists of: one for "25", two for "45x1.5", none for a group."""
    try:
        numbers = tuple(float(part) for part in level.split("x"))
    except ValueError:
        return ()
    return numbers if len(numbers) <= 2 and all(map(math.isfinite, numbers)) else ()


def level_name(kind: str, level: str | float) -> str:
    """Return the one spelling of a level: a group, a number ("25", "0.7"), or two for a kind of ``PAIRS`` ("45x1.5").

    Raises Misuse for what ``kind`` cannot be.
    """
    if kind not in KINDS:
        raise Misuse(f"There is no transformation called '{kind}'. Known: {', '.join(KINDS)}.")
    text = str(level).strip()
    if text in GROUPS:
        return text
    edges, numbers = EDGES[kind], numbers_of(text)
    parts = PAIRS[kind].kinds if kind in PAIRS and len(numbers) == 2 else (kind,)
    ranges = [EDGES[part].numbers for part in parts]
    if len(numbers) != len(ranges) or _outside(numbers, ranges):
        low, high = edges.numbers
        both = ", or two such as 45x1.5" if kind in PAIRS else ""
        raise Misuse(
            f"Level {text!r} of {kind} is out of range: {', '.join(GROUPS)}, a number from {low:g} to {high:g}{both} "
            f"({edges.meaning})."
        )
    return "x".join(f"{number:.6g}" if number else "0" for number in numbers)


def _outside(numbers: Iterable[float], ranges: Iterable[Range]) -> bool:
    return not all(low <= number <= high for number, (low, high) in zip(numbers, ranges, strict=True))


def level_names(kind: str, levels: Iterable[str | float]) -> list[str]:
    """Return the one spelling of each level in order, with the kind's whole grid for ``WIDE``; UNRELATED stays.

    Raises Misuse as ``level_name`` does.
    """
    names = []
    for level in levels:
        if level == UNRELATED:
            names.append(UNRELATED)
        elif level == WIDE and kind in KINDS:
            names += [level_name(kind, number) for number in EDGES[kind].wide]
        else:
            names.append(level_name(kind, level))
    return names


def unit_of(kind: str, levels: Iterable[str]) -> str:
    """Return the unit of levels in numbers, "" for references that were not made here."""
    if kind in PAIRS and any(len(numbers_of(level)) == 2 for level in levels):
        return PAIRS[kind].unit
    return EDGES[kind].unit if kind in EDGES else ""
