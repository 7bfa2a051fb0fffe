"""Matches SIFT keypoints (Lowe, IJCV 2004) and finds the motion that most of them agree on (RANSAC), with OpenCV."""

from __future__ import annotations

import numpy as np

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.types import Correspondence, Image
from refsr_bench.geometry.correspondences import cell_centres
from refsr_bench.matchers._inputs import enlarged, luma, opencv_loader

RATIO = 0.8  # Lowe 2004, section 7.1
INLIER = 3.0  # pixels off the motion; OpenCV's default
FEWEST = {"homography": 10, "similarity": 5}  # fewest inliers; fewer can agree by chance


def match(lr: Image, ref: Image, scale: int) -> Correspondence:
    """Move the centre of every 4x4 cell by the homography of the keypoint matches, or their similarity if few agree.

    Keypoints are found in the luma of the enlarged LR image and of the reference. If no motion is found, every cell
    follows its nearest keypoint; without any keypoint, it stays at the same relative position.
    """
    image = enlarged(lr, scale)
    points = cell_centres(*image.shape[:2])
    own, there = keypoint_matches(luma(image), luma(ref))
    if not len(own):
        sizes = [np.array(array.shape[1::-1], np.float32) for array in (image, ref)]
        return Correspondence(points, (points + 0.5) * (sizes[1] / sizes[0]) - 0.5)
    matrix = motion(own, there, points)
    if matrix is None:
        nearest = np.linalg.norm(points[:, None] - own[None], axis=2).argmin(1)
        return Correspondence(points, points + (there - own)[nearest])
    mapped = np.concatenate((points, np.ones((len(points), 1))), axis=1) @ matrix.T
    return Correspondence(points, (mapped[:, :2] / mapped[:, 2:]).astype(np.float32))


def keypoint_matches(image: np.ndarray, ref: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of matched SIFT keypoints in two lumas (H, W), (n, 2) float32 each, (x, y)."""
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


def motion(own: np.ndarray, there: np.ndarray, points: np.ndarray) -> np.ndarray | None:
    """The 3x3 matrix that most matches agree on (RANSAC); None if too few do.

    Its horizon never crosses ``points``.
    """
    import cv2

    ransac = {"method": cv2.RANSAC, "ransacReprojThreshold": INLIER, "maxIters": 5000, "confidence": 0.999}
    if len(own) >= FEWEST["homography"]:
        matrix, inlier = cv2.findHomography(own, there, **ransac)
        if matrix is not None and inlier.sum() >= FEWEST["homography"]:
            depth = points @ matrix[2, :2] + matrix[2, 2]
            if depth.min() > 0.1 * depth.max():  # otherwise the image would reach the horizon, or beyond it
                return matrix
    if len(own) >= FEWEST["similarity"]:
        matrix, inlier = cv2.estimateAffinePartial2D(own, there, **ransac)
        if matrix is not None and inlier.sum() >= FEWEST["similarity"]:
            return np.vstack((matrix, (0, 0, 1)))
    return None


MATCHERS = (
    MatcherCard(
        name="sift",
        title="SIFT + RANSAC",
        year=2004,
        paper="Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004",
        description="SIFT keypoints, ratio test; every cell follows the homography or similarity most agree on.",
        load=opencv_loader(match),
    ),
)
