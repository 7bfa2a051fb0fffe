"""Draws random transformations that are the same everywhere, from an image's name by SHA-256 alone.

Neither the order of images nor the version of a library matters. Matrices are stored with twelve decimals, and the
stored matrix is the truth.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from refsr_bench.geometry.kinds import EDGES, GROUPS, Edges, level_name, numbers_of
from refsr_bench.geometry.transformation import (
    IDENTITY,
    Box,
    Matrix,
    Size,
    Transformation,
    check,
    outline,
    project,
)

VERSION = "v1"
"""Part of every seed: a change to what ``draw`` or ``warping.apply`` do to the same name raises it."""

SEED_RECIPE = (
    "SHA-256 of 'name|level|kind|v1', in hex; the k-th number, from 0, is the first 53 bits of SHA-256 of 'seed|k'"
)
_DECIMALS = 12  # coarser than the last bits in which cosines differ between libraries, finer than any pixel


class Dice:
    """Numbers drawn from a text, the same on every machine: see SEED_RECIPE."""

    def __init__(self, seed: str) -> None:
        self.seed, self.thrown = seed, 0

    def bits(self) -> int:
        """Return 53 random bits, as many as a float64 between 0 and 1 can hold."""
        found = hashlib.sha256(f"{hashlib.sha256(self.seed.encode()).hexdigest()}|{self.thrown}".encode()).digest()
        self.thrown += 1
        return int.from_bytes(found[:8], "big") >> 11

    def between(self, low: float, high: float, logarithmic: bool = False) -> float:
        """Return a number from ``low`` to ``high``, uniform, or uniform in its logarithm."""
        u = self.bits() / 2**53
        return low * (high / low) ** u if logarithmic else low + (high - low) * u

    def coin(self) -> int:
        """Return 1 or -1."""
        return 1 if self.bits() & 1 else -1


def draw(kind: str, level: str | float, name: str, size: Size) -> Transformation:
    """Draw the transformation of one image. name: the image's, the seed; size: (height, width) of the HR image.

    A group draws a magnitude between its edges and a direction by a coin; a level given in numbers is used as it is.
    Raises Misuse for a level out of range, BenchError naming the image when too little of it stays visible.
    """
    level = level_name(kind, level)
    dice = Dice(f"{name}|{level}|{kind}|{VERSION}")
    if level == "identity":
        return Transformation(kind, level, IDENTITY, size, seed=dice.seed)
    numbers = numbers_of(level)
    magnitude = numbers[0] if numbers else _magnitude(dice, EDGES[kind], level)
    matrix, canvas = _placed(dice, kind, level, magnitude, size)
    photometric = {key: round(value, _DECIMALS) for key, value in sorted(_values(dice, kind, magnitude).items())}
    occluders = _rectangle(dice, magnitude, size) if kind == "occlusion" else ()
    made = Transformation(kind, level, matrix, canvas, photometric, occluders, dice.seed)
    check(made, size, f"'{name}'")
    return made


def _magnitude(dice: Dice, edges: Edges, group: str) -> float:
    ranges = edges.ranges(group)
    low, high = ranges[dice.coin() > 0 if len(ranges) > 1 else 0]
    return dice.between(low, high, edges.logarithmic)


# -- where pixels go -----------------------------------------------------------------------------------------------


def _placed(dice: Dice, kind: str, level: str, magnitude: float, size: Size) -> tuple[Matrix, Size]:
    """Return the matrix from HR to reference pixels, and the reference's size."""
    if kind == "shift":  # seen through the same frame, which ``fitted`` would move along
        x, y = (magnitude * (dice.coin() if level in GROUPS else 1) for _ in "xy")
        return _rounded(_shift(x, y)), size
    moved = _moved(dice, kind, level, magnitude, size)
    return (IDENTITY, size) if moved is None else fitted(moved, size)


def _moved(dice: Dice, kind: str, level: str, magnitude: float, size: Size) -> np.ndarray | None:
    """Return the 3x3 map about the image's centre; None if pixels stay in place."""
    group = level in GROUPS
    if kind == "perspective" and magnitude:
        return _corners(dice, magnitude * min(size), size)
    if kind == "scale":
        return similarity(0.0, magnitude)
    if kind not in ("rotation", "rotation+scale", "shear"):
        return None
    signed = dice.coin() * magnitude if group else magnitude
    if kind == "shear":
        return np.asarray([[1, signed, 0], [0, 1, 0], [0, 0, 1.0]])
    return similarity(signed, 1.0 if kind == "rotation" else _beside(dice, level, signed))


def _beside(dice: Dice, level: str, degrees: float) -> float:
    """Return the factor that goes with the degrees of rotation+scale."""
    if level in GROUPS:
        return _magnitude(dice, EDGES["scale"], level)
    _, *given = numbers_of(level)
    return given[0] if given else _factor(abs(degrees)) ** dice.coin()


def _factor(degrees: float) -> float:
    """Return the scale that goes with an angle of rotation+scale, linear between the groups' edges."""
    return float(np.interp(degrees, (0, 10, 30, 90), (1, 1.1, 1.5, 2.5)))


def similarity(degrees: float, factor: float) -> np.ndarray:
    """Return a rotation, counter-clockwise as seen (y points down), and a scale about (0, 0): 3x3."""
    quarter, rest = divmod(degrees % 360, 90)  # cos(90 degrees) is not 0 in floats, and quarter turns must be exact
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarter)):
        cos, sin = -sin, cos
    return np.asarray([[factor * cos, factor * sin, 0], [-factor * sin, factor * cos, 0], [0, 0, 1.0]])


def _corners(dice: Dice, move: float, size: Size) -> np.ndarray:
    """The homography that moves every corner by ``move`` along both axes; coins draw the signs until it tilts."""
    signs = np.zeros((4, 2))
    # if the sum is zero, a parallelogram stays one and nothing tilts
    while not (signs[0] - signs[1] + signs[2] - signs[3]).any():
        signs = np.asarray([[dice.coin(), dice.coin()] for _ in range(4)], np.float64)
    source = outline(size)
    there = source + move * signs
    rows, right = [], []
    # the direct linear transform, with the last entry fixed at 1
    for (x, y), (u, v) in zip(source, there, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.asarray(rows), np.asarray(right)), 1.0).reshape(3, 3)


def fitted(about_middle: np.ndarray, size: Size) -> tuple[Matrix, Size]:
    """Return the matrix from HR to reference pixels, and the reference's size.

    The reference is the bounding box of the transformed photo about its centre, no larger than the photo, because the
    same camera takes both.
    """
    there = project(about_middle, outline(size))
    low, high = there.min(axis=0), there.max(axis=0)
    quarter = np.array_equal(np.abs(about_middle), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    sides = []
    for extent, limit in zip((high - low)[::-1], size, strict=True):
        side = max(1, math.floor(extent + 0.5))
        # A side that a quarter turn cuts stays odd or even, so pixels still fall on pixels.
        odd = (side - limit) % 2 if quarter else 0
        sides.append(side if side <= limit else max(1, limit - odd))
    middle = (np.asarray(sides[::-1]) - 1) / 2 - (low + high) / 2
    matrix = _shift(*middle) @ about_middle @ _shift(-(size[1] - 1) / 2, -(size[0] - 1) / 2)
    return _rounded(matrix / matrix[2, 2]), (sides[0], sides[1])


def _rounded(matrix: np.ndarray) -> Matrix:
    # Adding 0.0 turns -0.0 into 0.0; otherwise the two would have different digests.
    return tuple(tuple(round(float(v), _DECIMALS) + 0.0 for v in row) for row in matrix)


def _shift(x: float, y: float) -> np.ndarray:
    return np.asarray([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


# -- what happens to values ----------------------------------------------------------------------------------------


def _values(dice: Dice, kind: str, magnitude: float) -> dict[str, float]:
    """Draw the photometric parameters of a kind, none for kinds that move or hide pixels."""
    if kind == "blur":
        return {"blur": magnitude}
    if kind == "noise":
        return {"noise": magnitude, "noise_seed": float(dice.bits())}
    if kind == "jpeg":
        return {"jpeg": float(math.floor(magnitude + 0.5))}
    if kind == "illumination":
        cast = 0.25 * abs(math.log(magnitude))  # the colour cast grows with the change of exposure
        return {"gamma": magnitude} | {f"gain_{channel}": math.exp(dice.between(-cast, cast)) for channel in "rgb"}
    return {}


def _rectangle(dice: Dice, share: float, size: Size) -> tuple[Box, ...]:
    """Draw one rectangle with this share of the area, up to twice as wide or high as the image, relatively."""
    height, width = size
    aspect = dice.between(max(0.5, share), min(2.0, 1 / share), True) if share else 1.0
    w = math.floor(width * math.sqrt(share * aspect) + 0.5)
    h = math.floor(height * math.sqrt(share / aspect) + 0.5)
    left, top = math.floor(dice.between(0, width - w + 1)), math.floor(dice.between(0, height - h + 1))
    return ((left, top, w, h),) if w and h else ()
