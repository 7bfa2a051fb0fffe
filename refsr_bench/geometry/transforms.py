"""References made from the input itself, turned, scaled, tilted or spoiled, with the place of every pixel known.

The paper measures robustness on such references (section 5.4, Fig. 6) in three groups, small, medium and large, without
saying where one group ends. The edges here (``EDGES``) are ours, each with its reason.

A ``Transformation`` is data: a 3x3 matrix from HR pixels (x, y) to reference pixels, middles of pixels at whole
numbers, and what happens to the values. ``draw`` makes one from a name by SHA-256 alone, so that neither order nor
library versions matter; ``apply`` makes the reference with one resampling of the HR photo. Sizes are (height, width).
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.resize import cubic

VERSION = "v1"
"""Part of every seed: a change to what ``draw`` or ``apply`` do to the same name raises it."""

KINDS = (
    "rotation", "scale", "rotation+scale", "perspective", "blur", "noise", "jpeg", "illumination", "occlusion",
)  # fmt: skip
GROUPS = ("identity", "small", "medium", "large")
MIN_VISIBLE = 0.05
SEED_RECIPE = (
    "SHA-256 of 'name|level|kind|v1', in hex; the k-th number, from 0, is the first 53 bits of SHA-256 of 'seed|k'"
)
INTERPOLATION = (
    "one resampling from the HR photo: cubic convolution (a = -0.5, as Pillow and MATLAB) whose support widens with "
    "the local shrinkage; quarter turns and identity copy pixels; beyond the photo lies its mirror image"
)
Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Edges:
    """Where the groups of a kind end: (least, most) of the magnitude; ``other``: the same in the other direction.

    unit: of the magnitude, as axes name it; beside: what changes with it. numbers: what a level given as a number may
    be. logarithmic: how magnitudes are spread between the edges.
    """

    unit: str
    small: tuple[float, float]
    medium: tuple[float, float]
    large: tuple[float, float]
    numbers: tuple[float, float]
    why: str
    logarithmic: bool = False
    other: tuple[tuple[float, float], tuple[float, float], tuple[float, float]] = ()  # type: ignore[assignment]
    beside: str = ""

    @property
    def meaning(self) -> str:
        """What the magnitude is, whole."""
        return f"{self.unit}; {self.beside}" if self.beside else self.unit

    def ranges(self, group: str) -> list[tuple[float, float]]:
        """The ranges of a group, one or two of which a coin chooses one."""
        own = getattr(self, group)
        return [own, self.other[GROUPS.index(group) - 1]] if self.other else [own]


EDGES = {
    "rotation": Edges(
        "degrees, either way", (0, 10), (10, 30), (30, 90), (-180, 180),
        "below 10 is about what C2-Matching sees in training (its random corners turn an image by at most 8 degrees); "
        "10 to 30 is SRNTT's 'warp' augmentation; above 30 nobody in this field trains",
    ),
    "scale": Edges(
        "reference pixels per input pixel", (1, 1.1), (1.1, 1.5), (1.5, 2.5), (0.25, 4),
        "0.9 and 0.66 are the size ratios at which LMR parts its levels, 0.4 is about AMSA's smallest (0.8^4); "
        "training shows C2-Matching 0.82 to 1.24",
        logarithmic=True, other=((0.9, 1), (0.66, 0.9), (0.4, 0.66)),
    ),
    "rotation+scale": Edges(
        "degrees", (0, 10), (10, 30), (30, 90), (-90, 90), "those of rotation and of scale",
        beside="the factor is drawn from the same group of scale. A number is degrees either way, and the factor, up "
        "or down by a coin, follows the edges (10: 1.1, 30: 1.5, 90: 2.5)",
    ),
    "perspective": Edges(
        "every corner moves by this share of the shorter side, along both axes", (0, 0.06), (0.06, 0.12), (0.12, 0.2),
        (0, 0.3), "C2-Matching's training moves corners of 160 pixels by 0 to 9, which is up to 0.056",
    ),
    "blur": Edges(
        "standard deviation of a Gaussian, reference pixels", (0.4, 1), (1, 2), (2, 4), (0, 20),
        "a photo shrunk and enlarged x4 by bicubic is nearest to a deviation of 1.75 (measured on the sample set)",
        logarithmic=True,
    ),
    "noise": Edges(
        "standard deviation of Gaussian noise, grey levels", (1, 5), (5, 15), (15, 50), (0, 100),
        "denoising papers report 15, 25 and 50", logarithmic=True,
    ),
    "jpeg": Edges(
        "quality, as libjpeg counts it, colour at half resolution", (75, 95), (40, 75), (10, 40), (1, 100),
        "75 is libjpeg's default; deblocking papers report 10 to 40",
    ),
    "illumination": Edges(
        "gamma, or one over it",
        (1, 1.2), (1.2, 1.6), (1.6, 2.5), (0.2, 5), "half a stop less exposure moves mid-grey as gamma 1.2 does, "
        "a stop and a half as 1.6, three and a half as 2.5", logarithmic=True,
        other=((1 / 1.2, 1), (1 / 1.6, 1 / 1.2), (1 / 2.5, 1 / 1.6)),
        beside="gains of red, green and blue of up to gamma^0.25 either way go with it",
    ),
    "occlusion": Edges(
        "share of the reference under one grey rectangle", (0, 0.1), (0.1, 0.3), (0.3, 0.6), (0, 0.9),
        "LMR parts its levels at 30 and 10 per cent of overlap; we hide those shares",
    ),
}  # fmt: skip
"""The paper gives no edges: these are this toolkit's own."""


@dataclass(frozen=True)
class Transformation:
    """One reference made from an HR image.

    matrix: HR pixel (x, y, 1) to reference pixel, homogeneous. size: (height, width) of the reference. photometric:
    names and values, see ``apply``. occluders: (left, top, width, height), reference pixels. seed: the text behind it.
    """

    kind: str
    level: str
    matrix: Matrix
    size: tuple[int, int]
    photometric: tuple[tuple[str, float], ...] = ()
    occluders: tuple[tuple[int, int, int, int], ...] = ()
    seed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values; ``from_dict`` reads them, without loss."""
        return {
            "kind": self.kind,
            "level": self.level,
            "matrix": [list(row) for row in self.matrix],
            "size": list(self.size),
            "photometric": dict(self.photometric),
            "occluders": [list(box) for box in self.occluders],
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "transformation") -> Transformation:
        """Raises BenchError naming ``where`` for anything that is no transformation."""
        try:
            height, width = (int(side) for side in values["size"])
            found = cls(
                kind=str(values["kind"]),
                level=str(values["level"]),
                matrix=matrix_of(values["matrix"], where),
                size=(height, width),
                photometric=tuple(sorted((str(k), float(v)) for k, v in values["photometric"].items())),
                occluders=tuple(_box(box) for box in values["occluders"]),
                seed=str(values["seed"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BenchError(f"{where}: not a transformation ({type(error).__name__}: {error}).") from None
        if min(found.size) < 1 or found.kind not in KINDS:
            raise BenchError(f"{where}: not a transformation (kind {found.kind!r}, size {found.size}).")
        return found


class TooLittle(BenchError):
    """The reference shows too little of the HR image."""


class Truth(Protocol):
    """What is known of a pair: where points of the HR image lie in the first reference."""

    def targets(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) HR pixels (x, y) to (n, 2) reference pixels, float64; anything where ``valid`` is False."""

    def valid(self, points: np.ndarray) -> np.ndarray:
        """(n,) bool: the point is inside the HR image, and seen in the reference."""


def matrix_of(rows: Sequence[Sequence[float]], where: str) -> Matrix:
    """Three rows of three finite numbers. Raises BenchError otherwise."""
    try:
        matrix = tuple(tuple(float(value) for value in row) for row in rows)
    except (TypeError, ValueError):
        matrix = ()
    if [len(row) for row in matrix] != [3, 3, 3] or not all(math.isfinite(v) for row in matrix for v in row):
        raise BenchError(f"{where}: not a 3x3 matrix of finite numbers.")
    return matrix


def _box(values: Sequence[int]) -> tuple[int, int, int, int]:
    left, top, width, height = (int(value) for value in values)
    return left, top, width, height


# -- drawing -------------------------------------------------------------------------------------------------------


class _Dice:
    """Numbers from a text, the same on every machine: see SEED_RECIPE."""

    def __init__(self, seed: str) -> None:
        self.seed, self.thrown = seed, 0

    def bits(self) -> int:
        """53 random bits."""
        found = hashlib.sha256(f"{hashlib.sha256(self.seed.encode()).hexdigest()}|{self.thrown}".encode()).digest()
        self.thrown += 1
        return int.from_bytes(found[:8], "big") >> 11

    def between(self, low: float, high: float, logarithmic: bool = False) -> float:
        u = self.bits() / 2**53
        return low * (high / low) ** u if logarithmic else low + (high - low) * u

    def coin(self) -> int:
        """1 or -1."""
        return 1 if self.bits() & 1 else -1


def level_name(kind: str, level: str | float) -> str:
    """A level in its one spelling: a group, or a number ("25", "0.7"). Raises Misuse for what ``kind`` cannot be."""
    if kind not in KINDS:
        raise Misuse(f"There is no transformation called '{kind}'. Known: {', '.join(KINDS)}.")
    text = str(level).strip()
    if text in GROUPS:
        return text
    low, high = EDGES[kind].numbers
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # NaN too
        raise Misuse(
            f"Level {text!r} of {kind} is out of range: {', '.join(GROUPS)}, or a number from {low:g} to {high:g} "
            f"({EDGES[kind].meaning})."
        )
    return f"{number:.6g}" if number else "0"


def draw(kind: str, level: str | float, name: str, size: tuple[int, int]) -> Transformation:
    """The transformation of one image. name: the image's, it seeds; size: (height, width) of the HR image.

    Groups draw a magnitude between their edges and a direction by a coin; a number is taken as it is. Raises Misuse for
    a level out of range, BenchError naming the image when too little of it stays visible.
    """
    level = level_name(kind, level)
    dice = _Dice(f"{name}|{level}|{kind}|{VERSION}")
    if level == "identity":
        return Transformation(kind, level, IDENTITY, size, seed=dice.seed)
    group = level if level in GROUPS else None
    magnitude = float(level) if group is None else _drawn(dice, EDGES[kind], level)
    matrix, canvas = IDENTITY, size
    photometric: dict[str, float] = {}
    occluders: tuple[tuple[int, int, int, int], ...] = ()
    if kind in ("rotation", "scale", "rotation+scale"):
        degrees = 0.0 if kind == "scale" else magnitude if group is None else dice.coin() * magnitude
        factor = magnitude if kind == "scale" else 1.0
        if kind == "rotation+scale":
            factor = _drawn(dice, EDGES["scale"], level) if group else _factor(abs(degrees)) ** dice.coin()
        matrix, canvas = _fitted(_similarity(degrees, factor), size)
    elif kind == "perspective" and magnitude:
        matrix, canvas = _fitted(_corners(dice, magnitude * min(size), size), size)
    elif kind == "blur":
        photometric = {"blur": magnitude}
    elif kind == "noise":
        photometric = {"noise": magnitude, "noise_seed": float(dice.bits())}
    elif kind == "jpeg":
        photometric = {"jpeg": float(math.floor(magnitude + 0.5))}
    elif kind == "illumination":
        cast = 0.25 * abs(math.log(magnitude))
        gains = {f"gain_{channel}": math.exp(dice.between(-cast, cast)) for channel in "rgb"}
        photometric = {"gamma": magnitude, **gains}
    elif kind == "occlusion":
        occluders = _rectangle(dice, magnitude, size)
    rounded = tuple(sorted((key, round(value, 12)) for key, value in photometric.items()))
    made = Transformation(kind, level, matrix, canvas, rounded, occluders, dice.seed)
    check(made, size, f"'{name}'")
    return made


def _drawn(dice: _Dice, edges: Edges, group: str) -> float:
    ranges = edges.ranges(group)
    low, high = ranges[dice.coin() > 0 if len(ranges) > 1 else 0]
    return dice.between(low, high, edges.logarithmic)


def _factor(degrees: float) -> float:
    """The scale that goes with an angle of rotation+scale: straight between the groups' edges."""
    return float(np.interp(degrees, (0, 10, 30, 90), (1, 1.1, 1.5, 2.5)))


def _similarity(degrees: float, factor: float) -> np.ndarray:
    """Counter-clockwise as one sees it (y points down), about (0, 0)."""
    quarter, rest = divmod(degrees % 360, 90)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    for _ in range(int(quarter)):
        cos, sin = -sin, cos
    return np.asarray([[factor * cos, factor * sin, 0], [-factor * sin, factor * cos, 0], [0, 0, 1.0]])


def _corners(dice: _Dice, move: float, size: tuple[int, int]) -> np.ndarray:
    """The homography that moves every corner by ``move`` along both axes; signs by coins until it tilts."""
    signs = np.zeros((4, 2))
    while not (signs[0] - signs[1] + signs[2] - signs[3]).any():
        signs = np.asarray([[dice.coin(), dice.coin()] for _ in range(4)], np.float64)
    source = _outline(size)
    there = source + move * signs
    rows, right = [], []
    for (x, y), (u, v) in zip(source, there, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.asarray(rows), np.asarray(right)), 1.0).reshape(3, 3)


def _outline(size: tuple[int, int]) -> np.ndarray:
    """The corners of an image's area, (4, 2) (x, y) from its middle, in order around it."""
    height, width = size
    return np.asarray([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * np.asarray([width / 2, height / 2])


def _fitted(about_middle: np.ndarray, size: tuple[int, int]) -> tuple[Matrix, tuple[int, int]]:
    """The matrix from HR to reference pixels and the reference's size: the bounding box of the transformed photo about
    its middle, no larger than the photo (the same camera takes both)."""
    there = _project(about_middle, _outline(size))
    low, high = there.min(axis=0), there.max(axis=0)
    quarter = np.array_equal(np.abs(about_middle), [[0, 1, 0], [1, 0, 0], [0, 0, 1]])
    sides = []
    for extent, limit in zip((high - low)[::-1], size, strict=True):
        side = max(1, math.floor(extent + 0.5))
        # Of a quarter turn, a side that is cut stays odd or even, so that pixels still fall on pixels.
        odd = (side - limit) % 2 if quarter else 0
        sides.append(side if side <= limit else max(1, limit - odd))
    middle = (np.asarray(sides[::-1]) - 1) / 2 - (low + high) / 2
    matrix = _shift(*middle) @ about_middle @ _shift(-(size[1] - 1) / 2, -(size[0] - 1) / 2)
    matrix = matrix / matrix[2, 2]
    # What is written down is the truth: twelve decimals, whatever the last bits of a library's cosine.
    return tuple(tuple(round(float(v), 12) + 0.0 for v in row) for row in matrix), (sides[0], sides[1])


def _shift(x: float, y: float) -> np.ndarray:
    return np.asarray([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def _rectangle(dice: _Dice, share: float, size: tuple[int, int]) -> tuple[tuple[int, int, int, int], ...]:
    """One rectangle of this share of the area, up to twice as wide or high (relative to the image), anywhere inside."""
    height, width = size
    aspect = dice.between(max(0.5, share), min(2.0, 1 / share), True) if share else 1.0
    w = math.floor(width * math.sqrt(share * aspect) + 0.5)
    h = math.floor(height * math.sqrt(share / aspect) + 0.5)
    left, top = math.floor(dice.between(0, width - w + 1)), math.floor(dice.between(0, height - h + 1))
    return ((left, top, w, h),) if w and h else ()


# -- geometry ------------------------------------------------------------------------------------------------------


def _project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    u, v, w = (row[0] * x + row[1] * y + row[2] for row in matrix)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack((u / w, v / w), axis=-1)


def targets(transformation: Transformation, points: np.ndarray) -> np.ndarray:
    """HR pixels (n, 2), (x, y), to reference pixels (n, 2), float64."""
    return _project(np.asarray(transformation.matrix), points)


def seen(transformation: Transformation, there: np.ndarray) -> np.ndarray:
    """(...,) bool: reference pixels (..., 2) that are inside the reference and under no occluder."""
    x, y = np.moveaxis(np.asarray(there), -1, 0)
    height, width = transformation.size
    inside = _within(x, y, (0, 0, width, height))
    for box in transformation.occluders:
        inside &= ~_within(x, y, box)
    return inside


def _within(x: np.ndarray, y: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    left, top, width, height = box
    return (x >= left - 0.5) & (x < left + width - 0.5) & (y >= top - 0.5) & (y < top + height - 0.5)


def visible(transformation: Transformation, size: tuple[int, int]) -> np.ndarray:
    """bool (height, width) of an HR image of this size: its pixel lies inside the reference, and under no occluder."""
    return seen(transformation, targets(transformation, _grid(size)))


def _grid(size: tuple[int, int], most: int | None = None) -> np.ndarray:
    """Pixel middles (h, w, 2) of an image, (x, y); ``most`` of them per axis, evenly spread."""
    y, x = (np.arange(n, dtype=np.float64) for n in size)
    if most is not None:
        y, x = (axis if len(axis) <= most else np.linspace(0, len(axis) - 1, most).round() for axis in (y, x))
    grid = np.empty((len(y), len(x), 2))
    grid[..., 0], grid[..., 1] = x, y[:, None]
    return grid


def check(transformation: Transformation, size: tuple[int, int], what: str) -> float:
    """The share of an HR image (height, width) that the reference shows, counted on 128 x 128 of its pixels at most.

    Raises BenchError naming ``what`` for a homography that is singular or folds the image over (its horizon crosses the
    image), and TooLittle when less than MIN_VISIBLE is shown.
    """
    matrix = np.asarray(transformation.matrix)
    corners = _outline(size) + (np.asarray(size[::-1]) - 1) / 2
    depth = corners @ matrix[2, :2] + matrix[2, 2]
    if not (np.all(depth > 0) or np.all(depth < 0)):
        raise BenchError(f"The homography of {what} folds the image: its horizon crosses it. Correct the matrix.")
    there = _project(matrix, corners)
    x, y = there[:, 0], there[:, 1]
    area = abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2
    if not area > 1e-6 * size[0] * size[1]:
        raise BenchError(f"The homography of {what} is singular: it maps the image onto a line. Correct the matrix.")
    share = float(seen(transformation, targets(transformation, _grid(size, 128))).mean())
    if share < MIN_VISIBLE:
        raise TooLittle(
            f"Only {share:.1%} of {what} can be seen in the reference under {transformation.kind} "
            f"{transformation.level}; {MIN_VISIBLE:.0%} are needed. Choose a milder level."
        )
    return share


@dataclass(frozen=True)
class TransformationTruth:
    """``Truth`` of a reference made by a transformation. size: (height, width) of the HR image."""

    transformation: Transformation
    size: tuple[int, int]

    def targets(self, points: np.ndarray) -> np.ndarray:
        return targets(self.transformation, points)

    def valid(self, points: np.ndarray) -> np.ndarray:
        x, y = np.moveaxis(np.asarray(points), -1, 0)
        inside = _within(x, y, (0, 0, self.size[1], self.size[0]))
        return inside & seen(self.transformation, self.targets(points))


# -- pixels --------------------------------------------------------------------------------------------------------


def apply(hr: Image, transformation: Transformation) -> Image:
    """The reference, ``uint8 h x w x 3``. Raises BenchError for a homography that ``check`` refuses.

    In this order: the warp; ``blur`` (standard deviation, pixels); ``gamma`` and ``gain_r``, ``gain_g``, ``gain_b`` on
    values in [0, 1]; ``noise`` (standard deviation, grey levels; ``noise_seed``); occluders in mid-grey; one rounding
    to 8 bits; ``jpeg`` (quality).
    """
    check(transformation, hr.shape[:2], f"{transformation.seed or transformation.kind}")
    values = dict(transformation.photometric)
    copied = _copied(hr, transformation)
    if copied is not None and not values and not transformation.occluders:
        return copied
    image = _warped(hr, transformation) if copied is None else copied.astype(np.float64)
    if sigma := values.get("blur"):
        from scipy.ndimage import gaussian_filter

        image = gaussian_filter(image, (sigma, sigma, 0), mode="reflect", truncate=4.0)
    if "gamma" in values:
        gains = np.asarray([values[f"gain_{channel}"] for channel in "rgb"])
        image = 255 * gains * (image.clip(0, 255) / 255) ** values["gamma"]
    if sigma := values.get("noise"):
        image = image + sigma * _normal(int(values["noise_seed"]), image.shape)
    for left, top, width, height in transformation.occluders:
        image[top : top + height, left : left + width] = 128
    out = np.floor(image + 0.5).clip(0, 255).astype(np.uint8)
    if "jpeg" in values:
        file = io.BytesIO()
        PilImage.fromarray(out).save(file, "JPEG", quality=int(values["jpeg"]), subsampling="4:2:0")
        out = np.asarray(PilImage.open(file).convert("RGB")).copy()
    return out


def _normal(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers by Box and Muller from PCG64's raw stream, which numpy promises to keep."""
    n = math.prod(shape)
    bits = np.random.PCG64(seed).random_raw(2 * n) >> np.uint64(11)
    radius, angle = (bits.astype(np.float64).reshape(2, n) + 0.5) / 2**53
    return (np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)).reshape(shape)


def _mirrored(index: np.ndarray, n: int) -> np.ndarray:
    """Indices beyond 0 .. n-1 of the mirror image, border pixels repeated."""
    index = np.mod(index, 2 * n)
    return np.where(index < n, index, 2 * n - 1 - index)


def _copied(hr: Image, transformation: Transformation) -> Image | None:
    """The reference without interpolation where pixels fall on pixels (quarter turns, whole shifts), else None."""
    matrix = np.asarray(transformation.matrix)
    turn = matrix[:2, :2]
    whole = np.array_equal(matrix, np.rint(matrix)) and np.array_equal(matrix[2], (0, 0, 1))
    if not (whole and np.array_equal(np.abs(turn).sum(axis=0), (1, 1)) and np.array_equal(turn @ turn.T, np.eye(2))):
        return None
    there = (_grid(transformation.size) - matrix[:2, 2]) @ turn  # the inverse of a turn is its transpose
    x, y = np.moveaxis(np.rint(there).astype(np.int64), -1, 0)
    return hr[_mirrored(y, hr.shape[0]), _mirrored(x, hr.shape[1])]


def _warped(hr: Image, transformation: Transformation) -> np.ndarray:
    """float64 (h, w, 3): every reference pixel is a cubic-weighted mean of HR pixels around its origin.

    The kernel widens to the reference pixel where that is larger than an HR pixel, by the larger singular value of
    the inverse map there; this is Pillow's antialiased bicubic when nothing but the scale changes.
    """
    inverse = np.linalg.inv(np.asarray(transformation.matrix))
    middle = np.asarray([(transformation.size[1] - 1) / 2, (transformation.size[0] - 1) / 2, 1.0])
    inverse = inverse / (inverse[2] @ middle)
    height, width = hr.shape[:2]
    grid = _grid(transformation.size).reshape(-1, 2)
    x, y = grid[:, 0], grid[:, 1]
    depth = inverse[2, 0] * x + inverse[2, 1] * y + inverse[2, 2]
    depth = np.maximum(depth, 1e-6)  # what lies beyond the horizon is far away
    u = (inverse[0, 0] * x + inverse[0, 1] * y + inverse[0, 2]) / depth
    v = (inverse[1, 0] * x + inverse[1, 1] * y + inverse[1, 2]) / depth
    stretch = np.maximum(1.0, _largest_singular(inverse, u, v, depth))
    shown = _within(u, v, (0, 0, width, height))
    stretch = np.minimum(stretch, stretch[shown].max() if shown.any() else 1.0)
    u, v = u.clip(-(2**40), 2**40), v.clip(-(2**40), 2**40)
    pixels = hr.reshape(-1, 3).astype(np.float64)
    out = np.empty((len(grid), 3))
    for start in range(0, len(grid), 1 << 16):
        part = slice(start, start + (1 << 16))
        columns, across = _taps(u[part], stretch[part], width)
        rows, down = _taps(v[part], stretch[part], height)
        total = np.zeros((len(u[part]), 3))
        for row, weight in zip(rows, down, strict=True):
            line = np.zeros_like(total)
            for column, w in zip(columns, across, strict=True):
                line += w[:, None] * pixels[row * width + column]
            total += weight[:, None] * line
        out[part] = total
    return out.reshape(*transformation.size, 3)


def _largest_singular(inverse: np.ndarray, u: np.ndarray, v: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """HR pixels per reference pixel, in the direction where they are most, at HR positions (u, v)."""
    a, b = ((inverse[0, k] - u * inverse[2, k]) / depth for k in (0, 1))
    c, d = ((inverse[1, k] - v * inverse[2, k]) / depth for k in (0, 1))
    return (np.hypot(a + d, b - c) + np.hypot(a - d, b + c)) / 2


def _taps(position: np.ndarray, stretch: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and normalised cubic weights around positions, both (taps, m)."""
    first = np.floor(position - 2 * stretch).astype(np.int64) + 1
    index = first + np.arange(math.ceil(4 * float(stretch.max(initial=1.0))) + 1)[:, None]
    weights = cubic((position - index) / stretch)
    return _mirrored(index, n), weights / weights.sum(axis=0)
