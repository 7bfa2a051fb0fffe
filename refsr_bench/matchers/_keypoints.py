"""Makes a matcher of keypoints: the motion that most of their matches agree on moves every cell of the image.

A module of a keypoint matcher has a function of its own, ``keypoints(image, ref) -> Found``. It knows neither cards nor
cells, so whatever looks for the transformation between two images can call it as well.

The limits of each matcher (``FEWEST``), but SIFT's, are three more than ever agreed between unrelated photographs: 126
pairs, or 42 for the matchers with LightGlue. They were 640 pixels large; one of each pair was shrunk x4 and enlarged
again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from refsr_bench.core.types import Correspondence, Image, Match
from refsr_bench.geometry.correspondences import cell_centres
from refsr_bench.geometry.motion import Fewest
from refsr_bench.matchers._inputs import enlarged, luma

RATIO = 0.8  # Lowe 2004, section 7.1
RANSAC = {"ransacReprojThreshold": 3.0, "maxIters": 5000, "confidence": 0.999}  # 3 pixels are OpenCV's default
MOST_DISTANCES = 1 << 22  # between cells and keypoints, computed at once


class Found(NamedTuple):
    """Matched keypoints of two images: their positions in each, (n, 2) float32, (x, y).

    A pixel's centre has whole coordinates. Row i of ``own`` was matched with row i of ``there``.
    """

    own: np.ndarray
    there: np.ndarray


Keypoints = Callable[[Image, Image], Found]  # of two images, uint8 H x W x 3 RGB each, of any sizes
NOTHING = Found(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))


def by_motion(keypoints: Keypoints, fewest: Fewest) -> Match:
    """Make the matcher that moves the centre of every 4x4 cell by the ``motion`` of the keypoints.

    Keypoints are looked for in the enlarged LR image and in the reference. If no motion is found, every cell follows
    its nearest keypoint; without any keypoint, it stays at the same relative position.
    """

    def match(lr: Image, ref: Image, scale: int) -> Correspondence:
        image = enlarged(lr, scale)
        points = cell_centres(*image.shape[:2])
        found = keypoints(image, ref)
        if not len(found.own):
            sizes = [np.array(array.shape[1::-1], np.float32) for array in (image, ref)]
            return Correspondence(points, (points + 0.5) * (sizes[1] / sizes[0]) - 0.5)
        matrix = motion(found, fewest, points)
        if matrix is None:
            return Correspondence(points, points + (found.there - found.own)[_nearest(points, found.own)])
        mapped = np.concatenate((points, np.ones((len(points), 1))), axis=1) @ matrix.T
        return Correspondence(points, (mapped[:, :2] / mapped[:, 2:]).astype(np.float32))

    return match


def _nearest(points: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Return the index of the keypoint that is nearest to each point. Its memory is bounded."""
    parts = np.array_split(points, -(-len(points) * len(keypoints) // MOST_DISTANCES) or 1)
    return np.concatenate([np.linalg.norm(part[:, None] - keypoints[None], axis=2).argmin(1) for part in parts])


def motion(found: Found, fewest: Fewest, points: np.ndarray) -> np.ndarray | None:
    """Return the 3x3 matrix that most matches agree on (RANSAC); None if too few do.

    OpenCV estimates it anew from all that agree, by Levenberg and Marquardt's method. It is a homography, or a
    similarity if too few agree on a homography. Its horizon never crosses ``points``.
    """
    import cv2

    if len(found.own) >= fewest.homography:
        matrix, agree = _homography(found)
        if matrix is not None and agree >= fewest.homography:
            depth = points @ matrix[2, :2] + matrix[2, 2]
            if depth.min() > 0.1 * depth.max():  # otherwise the image would reach the horizon, or beyond it
                return matrix
    if len(found.own) >= fewest.similarity:
        matrix, inlier = cv2.estimateAffinePartial2D(*found, method=cv2.RANSAC, **RANSAC)
        if matrix is not None and inlier.sum() >= fewest.similarity:
            return np.vstack((matrix, (0, 0, 1)))
    return None


def agreeing(found: Found) -> int:
    """Count the matches that agree on one homography."""
    return _homography(found)[1] if len(found.own) >= 4 else 0


def _homography(found: Found) -> tuple[np.ndarray | None, int]:
    import cv2

    matrix, inlier = cv2.findHomography(*found, method=cv2.RANSAC, **RANSAC)
    return matrix, 0 if matrix is None else int(inlier.sum())


class Described(NamedTuple):
    """The keypoints of one image: positions (n, 2) float32, (x, y), and OpenCV's descriptors, None without any."""

    points: np.ndarray
    descriptors: np.ndarray | None


def described(detector: Any, image: Image, shift: Callable[[Any], float] = lambda point: 0.0) -> Described:
    """Describe the keypoints that an OpenCV detector finds in an image's luma.

    shift: what must be added to both coordinates of one of OpenCV's ``KeyPoint``.
    """
    found, descriptors = detector.detectAndCompute(luma(image), None)
    points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
    return Described(points + np.array([[shift(point)] for point in found], np.float32).reshape(-1, 1), descriptors)


def by_ratio(image: Described, ref: Described, norm: int, mutual: bool = False) -> Found:
    """Match the keypoints of two images by their descriptors, with Lowe's ratio test.

    norm: of the difference of two descriptors, one of OpenCV's ``NORM_...``. mutual: keep a match only if its keypoint
    in the reference is nearest to no other. Without it a motion that shrinks the image to one keypoint of the reference
    may find many matches that agree.
    """
    import cv2

    if image.descriptors is None or ref.descriptors is None or len(ref.points) < 2:
        return NOTHING
    matcher = cv2.BFMatcher(norm)
    pairs = matcher.knnMatch(image.descriptors, ref.descriptors, k=2)
    good = [(m.queryIdx, m.trainIdx) for m, n in pairs if m.distance < RATIO * n.distance]
    if mutual:
        back = {m.queryIdx: m.trainIdx for m in matcher.match(ref.descriptors, image.descriptors)}
        good = [(own, there) for own, there in good if back[there] == own]
    index = np.array(good, int).reshape(-1, 2)
    return Found(image.points[index[:, 0]], ref.points[index[:, 1]])
