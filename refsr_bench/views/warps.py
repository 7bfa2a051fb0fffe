"""Warps a reference into the frame of an image, without aliasing where it shrinks.

A *map*, float32 (h, w, 2), (x, y), holds the place in the reference that every pixel of the image shows.
"""

from __future__ import annotations

import math

import numpy as np

from refsr_bench.core.schema import FoundBy
from refsr_bench.core.types import Image, Upright, View
from refsr_bench.geometry.transformation import Size, outline, pixel_grid, project

FINEST = 5  # samples per pixel and axis; a reference that is five times as near has all its detail averaged
SAMPLES = 1 << 22  # taken at once, so that temporaries do not grow with the image
POINTS = 4096  # of a map that tell how a reference is turned
FEW = 16  # of them that can be trusted; fewer say nothing
NEAR = 8.0  # pixels that these may lie off a common turn: what stands before a surface does not count
LITTLE_TURN, LITTLE_SCALE = 12.0, 1.25  # degrees and factor that descriptors bear without loss
MOST_PIXELS = 1 << 25  # of an upright reference: as many as an image may have
ROUNDED = 0.25  # reference pixels per pixel beyond a whole number that one sample fewer may leave out


def map_of(matrix: np.ndarray, size: Size) -> np.ndarray:
    """Return the map of a homography, 3x3 from pixels of the image to those of the reference."""
    return np.nan_to_num(project(matrix, pixel_grid(size)), nan=-1e6, posinf=1e6, neginf=-1e6).astype(np.float32)


def warped(ref: Image, matrix: np.ndarray, size: Size, found_by: FoundBy, reference: int = 0) -> View:
    """Return the view of a reference under a homography (HR to reference pixels), valid where the reference reaches."""
    source = map_of(matrix, size)
    return View(sampled(ref, source), source, inside(source, ref.shape[:2]), found_by, reference)


def upright(ref: Image, source: np.ndarray, trusted: np.ndarray) -> Upright | None:
    """Turn and scale a whole reference as the trusted part of a map says; None if it is turned and scaled little.

    trusted: bool (h, w). The result is cut to multiples of four, and no larger than MOST_PIXELS.
    """
    import cv2

    step = max(1, math.isqrt(trusted.size // POINTS))
    y, x = np.nonzero(trusted[::step, ::step])
    own, there = np.stack((x, y), axis=-1) * float(step), source[::step, ::step][y, x].astype(np.float64)
    if len(own) < FEW:
        return None
    moved, _ = cv2.estimateAffinePartial2D(there, own, method=cv2.RANSAC, ransacReprojThreshold=NEAR)
    if moved is None:
        return None
    turn = moved[:, :2]
    scale, angle = math.hypot(*turn[0]), math.degrees(math.atan2(turn[1, 0], turn[0, 0]))
    if abs(angle) < LITTLE_TURN and 1 / LITTLE_SCALE < scale < LITTLE_SCALE:
        return None
    corners = outline(ref.shape[:2]) @ turn.T
    width, height = (4 * max(1, math.ceil(side / 4)) for side in np.ptp(corners, axis=0))
    if width * height > MOST_PIXELS:
        return None
    back = np.linalg.inv(turn)
    middle, there = np.asarray([width - 1, height - 1]) / 2, (np.asarray(ref.shape[1::-1]) - 1) / 2
    matrix = np.vstack((np.column_stack((back, there - back @ middle)), (0, 0, 1)))
    places = map_of(matrix, (height, width))
    return Upright(sampled(ref, places), places)


def inside(source: np.ndarray, size: Size) -> np.ndarray:
    """Tell (bool) which places of a map lie between the outermost pixel centres of a reference of (height, width)."""
    x, y = source[..., 0], source[..., 1]
    return (x >= 0) & (y >= 0) & (x <= size[1] - 1) & (y <= size[0] - 1)


def sampled(ref: Image, source: np.ndarray) -> Image:
    """Sample a reference at the places of a map by cubic convolution: uint8 (h, w, 3), black beyond its border.

    Where neighbouring pixels lie more than a reference pixel apart, every pixel is the mean of several samples.
    """
    import cv2

    height, width = source.shape[:2]
    k = samples_per_pixel(source)
    if k == 1:
        return cv2.remap(ref, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    out = np.empty((height, width, 3), np.uint8)
    rows = max(1, SAMPLES // (k * k * width))
    for top in range(0, height, rows):
        end = min(height, top + rows)
        # one more row on either side, so that strips meet as if there were none
        first, last = max(0, top - 1), min(height, end + 1)
        fine = cv2.resize(source[first:last], (k * width, k * (last - first)), interpolation=cv2.INTER_LINEAR)
        fine = np.ascontiguousarray(fine[k * (top - first) : k * (end - first)])
        image = cv2.remap(ref, fine, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        out[top:end] = cv2.resize(image, (width, end - top), interpolation=cv2.INTER_AREA)
    return out


def samples_per_pixel(source: np.ndarray) -> int:
    """Count the samples per axis that a map needs: its median stretch, reference pixels per pixel, rounded up."""
    right, down = source[::4, 1::4] - source[::4, :-1:4], source[1::4, ::4] - source[:-1:4, ::4]
    stretch = max(float(np.median(np.hypot(*np.moveaxis(step, -1, 0)))) for step in (right, down) if step.size)
    return min(FINEST, max(1, math.ceil(stretch - ROUNDED)))
