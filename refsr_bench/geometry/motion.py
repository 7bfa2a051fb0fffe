"""The motion that most of some matched points agree on, and the motions that no camera makes."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from refsr_bench.geometry.transformation import Size, outline, project

INLIER = 3.0  # pixels off the motion; OpenCV's default
HORIZON = 0.1  # least depth in the image relative to the largest; a plane seen so steeply shows nothing at its far end
FURTHEST, NEAREST = 0.2, 5.0  # reference pixels per HR pixel, anywhere; beyond, one shows no detail of the other
ANISOTROPY = 3.0  # how much more a motion may stretch in one direction than in another


class Fewest(NamedTuple):
    """Fewest points that must agree on a motion before it is believed; fewer can agree by chance."""

    homography: int
    similarity: int


class Motion(NamedTuple):
    """A motion of the image. matrix: 3x3, HR pixel (x, y, 1) to reference pixel. inliers (n,) bool of its points."""

    kind: Literal["homography", "similarity"]
    matrix: np.ndarray
    inliers: np.ndarray


def find(own: np.ndarray, there: np.ndarray, size: Size, fewest: Fewest) -> Motion | None:
    """Find the homography, or else the similarity, that most points agree on; None if none is to be believed.

    own, there (n, 2), (x, y): matched points of the image and of the reference. size: (height, width) of the image.
    MAGSAC (Barath et al., CVPR 2019) finds homographies, RANSAC similarities.
    """
    import cv2

    own, there = (np.ascontiguousarray(points, np.float64) for points in (own, there))
    tries = {"maxIters": 10_000, "confidence": 0.9999}
    if len(own) >= fewest.homography:
        matrix, inlier = cv2.findHomography(own, there, cv2.USAC_MAGSAC, INLIER, **tries)
        if matrix is not None and inlier.sum() >= fewest.homography and possible(matrix, size):
            return Motion("homography", matrix / matrix[2, 2], inlier.ravel().astype(bool))
    if len(own) >= fewest.similarity:
        matrix, inlier = cv2.estimateAffinePartial2D(
            own, there, method=cv2.RANSAC, ransacReprojThreshold=INLIER, **tries
        )
        if matrix is not None and inlier.sum() >= fewest.similarity:
            matrix = np.vstack((matrix, (0, 0, 1)))
            if possible(matrix, size):
                return Motion("similarity", matrix, inlier.ravel().astype(bool))
    return None


def several(own: np.ndarray, there: np.ndarray, size: Size, fewest: Fewest, most: int) -> list[Motion]:
    """Find up to ``most`` motions one after the other, each among the points that the ones before leave over."""
    left, found = np.ones(len(own), bool), []
    while len(found) < most:
        motion = find(own[left], there[left], size, fewest)
        if motion is None:
            break
        inliers = np.zeros(len(own), bool)
        inliers[np.flatnonzero(left)[motion.inliers]] = True
        found.append(motion._replace(inliers=inliers))
        left &= ~inliers
    return found


def possible(matrix: np.ndarray, size: Size) -> bool:
    """Tell whether a motion is one of a photograph: no horizon in the image, no mirror image, no extreme stretch."""
    points = np.vstack((outline(size) + (np.asarray(size[::-1]) - 1) / 2, (np.asarray(size[::-1]) - 1) / 2))
    depth = points @ matrix[2, :2] + matrix[2, 2]
    if not np.isfinite(matrix).all() or depth.min() <= HORIZON * depth.max():
        return False
    for jacobian in jacobians(matrix, points):
        largest, least = np.linalg.svd(jacobian, compute_uv=False)
        if np.linalg.det(jacobian) <= 0 or largest > ANISOTROPY * least or least < FURTHEST or largest > NEAREST:
            return False
    return True


def jacobians(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the derivatives of a homography at points (n, 2): (n, 2, 2), d(x', y') / d(x, y)."""
    there = project(matrix, points)
    depth = (points @ matrix[2, :2] + matrix[2, 2])[:, None, None]
    return (matrix[None, :2, :2] - there[:, :, None] * matrix[2, None, None, :2]) / depth
