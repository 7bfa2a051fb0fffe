"""Matchers inside OpenCV, without any weights: SIFT keypoints with RANSAC, and DIS optical flow.

Both compare the luma of the enlarged LR image with that of the reference and answer at the centre of every 4x4 cell.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from refsr_bench.core.cards import LoadedMatcher, MatcherCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import Weights
from refsr_bench.core.types import Correspondence, Image
from refsr_bench.geometry.correspondences import CELL, cell_centres
from refsr_bench.matchers import enlarged

RATIO = 0.8  # Lowe 2004, section 7.1
INLIER = 3.0  # pixels off the homography
FEWEST = {"homography": 10, "similarity": 5}  # inliers; fewer agree by chance


def _grey(image: Image) -> np.ndarray:
    import cv2

    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def sift(lr: Image, ref: Image, scale: int) -> Correspondence:
    """Every cell follows the homography of the keypoint matches, or their similarity where few agree. Where neither is
    found it follows its nearest keypoint; without any keypoint it stays at the same relative place."""
    image = enlarged(lr, scale)
    points = cell_centres(*image.shape[:2])
    own, there = _keypoint_matches(_grey(image), _grey(ref))
    if not len(own):
        sizes = [np.array(array.shape[1::-1], np.float32) for array in (image, ref)]
        return Correspondence(points, (points + 0.5) * (sizes[1] / sizes[0]) - 0.5)
    matrix = _motion(own, there, points)
    if matrix is None:
        nearest = np.linalg.norm(points[:, None] - own[None], axis=2).argmin(1)
        return Correspondence(points, points + (there - own)[nearest])
    mapped = np.concatenate((points, np.ones((len(points), 1))), axis=1) @ matrix.T
    return Correspondence(points, (mapped[:, :2] / mapped[:, 2:]).astype(np.float32))


def _motion(own: np.ndarray, there: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """The 3x3 matrix that most matches agree on (RANSAC), None where too few do. No horizon crosses ``points``."""
    import cv2

    ransac = {"method": cv2.RANSAC, "ransacReprojThreshold": INLIER, "maxIters": 5000, "confidence": 0.999}
    if len(own) >= FEWEST["homography"]:
        matrix, inlier = cv2.findHomography(own, there, **ransac)
        if matrix is not None and inlier.sum() >= FEWEST["homography"]:
            depth = points @ matrix[2, :2] + matrix[2, 2]
            if depth.min() > 0.1 * depth.max():
                return matrix
    if len(own) >= FEWEST["similarity"]:
        matrix, inlier = cv2.estimateAffinePartial2D(own, there, **ransac)
        if matrix is not None and inlier.sum() >= FEWEST["similarity"]:
            return np.vstack((matrix, (0, 0, 1)))
    return None


def _keypoint_matches(image: np.ndarray, ref: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of matched SIFT keypoints in both, (n, 2) float32 each, (x, y)."""
    import cv2

    detector = cv2.SIFT_create(enable_precise_upscale=True)
    (points, descriptors), (ref_points, ref_descriptors) = (detector.detectAndCompute(i, None) for i in (image, ref))
    nothing = np.zeros((0, 2), np.float32)
    if descriptors is None or ref_descriptors is None or len(ref_descriptors) < 2:
        return nothing, nothing
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(descriptors, ref_descriptors, k=2)
    good = [best for best, second in pairs if best.distance < RATIO * second.distance]
    own = np.array([points[m.queryIdx].pt for m in good], np.float32).reshape(-1, 2)
    return own, np.array([ref_points[m.trainIdx].pt for m in good], np.float32).reshape(-1, 2)


def dis(lr: Image, ref: Image, scale: int) -> Correspondence:
    """Dense inverse search (Kroeger et al. 2016), OpenCV's medium preset; the smaller image is continued by its border.

    Raises BenchError for images too small for it.
    """
    import cv2

    image = enlarged(lr, scale)
    height, width = image.shape[:2]
    greys = [_grey(image), _grey(ref)]
    sides = [max(grey.shape[axis] for grey in greys) for axis in (0, 1)]
    pads = [[(0, side - n) for side, n in zip(sides, grey.shape, strict=True)] for grey in greys]
    one, two = (np.pad(grey, pad, mode="edge") for grey, pad in zip(greys, pads, strict=True))
    try:
        flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(one, two, None)
    except cv2.error as error:
        size = f"{sides[1]}x{sides[0]}"
        raise BenchError(f"DIS optical flow cannot compare images of {size} pixels ({error.err}).") from None
    rows, columns = height // CELL, width // CELL
    cells = flow[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL, 2)
    middle = cells[:, 1:3, :, 1:3].mean((1, 3)).reshape(-1, 2)  # the four pixels around a cell's centre
    points = cell_centres(height, width)
    return Correspondence(points, points + middle)


def _without_weights(match):
    def load(weights: Path | None, device: str) -> LoadedMatcher:
        import cv2

        if weights is not None:
            raise BenchError(f"{weights}: this matcher has no weights to load.")
        return LoadedMatcher(match, Weights("none", f"none (OpenCV {cv2.__version__})", None))

    return load


MATCHERS = (
    MatcherCard(
        name="sift",
        title="SIFT + RANSAC",
        year=2004,
        paper="Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004",
        description="SIFT keypoints, ratio test; every cell follows the homography or similarity most agree on.",
        load=_without_weights(sift),
    ),
    MatcherCard(
        name="dis",
        title="DIS optical flow",
        year=2016,
        paper="Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016",
        description="Dense optical flow from the enlarged LR image to the reference; made for small motion.",
        load=_without_weights(dis),
    ),
)
