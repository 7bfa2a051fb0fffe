"""Finds how a reference is turned and scaled where keypoints fail: in texture, and in LR images of few pixels.

The reference is turned and scaled in steps, at the size of the LR image itself, and each time compared with it by
histograms of gradients around every other pixel. The turn whose descriptors resemble those of LR the most is the
likeliest, and the matches at that turn say where things lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refsr_bench.core.types import Image
from refsr_bench.geometry.transformation import project
from refsr_bench.pixels.resize import resize_pil_bicubic

TURNS = 24  # 15 degrees apart: descriptors bear half of that
SCALES = (0.5, 2**-0.5, 1.0, 2**0.5, 2.0)  # bear a factor of 2^(1/4)
DIRECTIONS = 8  # of gradients
APART = 4  # pixels between the 3x3 histograms that make a descriptor
SMOOTH = 1.6  # pixels, standard deviation of a histogram's area
STRIDE = 2  # pixels between descriptors
VOTING = 3  # pixels between those of turned references that choose the turn
ASKED = 200  # descriptors of LR, those of most contrast, that choose the turn
LARGEST = 400  # pixels of the longer side at which references are compared; more would only take longer
LEAST = 16  # pixels of either side below which there is nothing to describe


class Turn(NamedTuple):
    """A turn and scale of the reference. matrix: 3x3, pixels of the reduced reference to those of its turned image."""

    matrix: np.ndarray
    likeness: float


class Matched(NamedTuple):
    """Points of the image and their matches in the reference, (n, 2) each, (x, y), in pixels of the full images."""

    own: np.ndarray
    there: np.ndarray


def matches(lr: Image, ref: Image, scale: int, most: int) -> Iterator[Matched]:
    """Match an LR image with a reference at its ``most`` likeliest turns, one after the other."""
    factor = max(scale, max(ref.shape[:2]) / LARGEST)
    size = [max(1, round(side / factor)) for side in ref.shape[:2]]
    if min(*lr.shape[:2], *size) < LEAST:
        return
    small = resize_pil_bicubic(ref, *size)
    points, described, contrast = descriptors(lr)
    asked = described[np.argsort(-contrast)[:ASKED]]
    turns = [Turn(matrix, _likeness(asked, small, matrix, size)) for matrix in _matrices(size)]
    for turn in sorted(turns, key=lambda turn: -turn.likeness)[:most]:
        there, others, _ = descriptors(*_turned(small, turn.matrix))
        nearest = (described @ others.T).argmax(1)
        mutual = (others @ described.T).argmax(1)[nearest] == np.arange(len(described))
        back = project(np.linalg.inv(turn.matrix), there[nearest[mutual]])
        whole = [ref.shape[axis] / size[axis] for axis in (1, 0)]
        yield Matched((points[mutual] + 0.5) * scale - 0.5, (back + 0.5) * whole - 0.5)


def _matrices(size: list[int]) -> Iterator[np.ndarray]:
    """Yield the turns of an image of (height, width) about its middle, moved so that all of it has places >= 0."""
    middle = np.asarray([(size[1] - 1) / 2, (size[0] - 1) / 2])
    for scale in SCALES:
        if min(size) * scale < LEAST:
            continue
        for n in range(TURNS):
            angle = 2 * np.pi * n / TURNS
            cos, sin = scale * np.cos(angle), scale * np.sin(angle)
            turn = np.asarray([[cos, sin], [-sin, cos]])
            reach = np.abs(turn) @ (np.asarray(size[::-1]) / 2)
            yield np.vstack((np.column_stack((turn, reach - 0.5 - turn @ middle)), (0, 0, 1)))


def _turned(image: Image, matrix: np.ndarray) -> tuple[Image, np.ndarray]:
    """Return the turned image, and bool (h, w): where it shows something."""
    import cv2

    height, width = image.shape[:2]
    corners = project(
        matrix, np.asarray([(-0.5, -0.5), (width - 0.5, -0.5), (-0.5, height - 0.5), (width - 0.5, height - 0.5)])
    )
    size = tuple(int(side) for side in np.ceil(corners.max(0) + 0.5))
    shown = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, size, flags=cv2.INTER_LINEAR)
    return cv2.warpPerspective(image, matrix, size, flags=cv2.INTER_LINEAR), shown == 255


def _likeness(asked: np.ndarray, image: Image, matrix: np.ndarray, size: list[int]) -> float:
    """Return the mean cosine of the descriptors ``asked`` with their best matches in a turned image."""
    described = descriptors(*_turned(image, matrix), VOTING)[1]
    return float((asked @ described.T).max(1).mean()) if len(described) else -1.0


def descriptors(
    image: Image, shown: np.ndarray | None = None, stride: int = STRIDE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Describe pixels ``stride`` apart by 3x3 histograms of the directions of gradients around it.

    shown: bool (h, w), False where the image shows nothing; descriptors that reach there are left out. Returns points
    (n, 2), (x, y), unit descriptors (n, 9 * DIRECTIONS) and their contrast before they were normalised (n,).
    """
    import cv2

    gray = cv2.GaussianBlur(
        cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.8
    )
    dx, dy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    # a gradient counts for the two directions that it lies between
    maps = np.stack(
        [cv2.GaussianBlur(np.maximum(dx * np.cos(a) + dy * np.sin(a), 0), (0, 0), SMOOTH) for a in angles], -1
    )
    rim = APART + 2
    y, x = (part.ravel() for part in np.mgrid[rim : gray.shape[0] - rim : stride, rim : gray.shape[1] - rim : stride])
    if shown is not None:
        whole = cv2.erode(shown.astype(np.uint8), np.ones((2 * rim + 1, 2 * rim + 1), np.uint8))[y, x] > 0
        y, x = y[whole], x[whole]
    steps = (-APART, 0, APART)
    described = np.concatenate([maps[y + i, x + j] for i in steps for j in steps], axis=-1)
    contrast = np.linalg.norm(described, axis=1)
    return np.stack((x, y), -1).astype(np.float64), described / np.maximum(contrast, 1e-6)[:, None], contrast
