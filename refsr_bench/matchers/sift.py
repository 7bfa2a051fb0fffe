"""Matches SIFT keypoints (Lowe, IJCV 2004) and finds the motion that most of them agree on (RANSAC), with OpenCV."""

from __future__ import annotations

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.types import Image
from refsr_bench.matchers._inputs import opencv_loader
from refsr_bench.matchers._keypoints import Fewest, Found, by_motion, by_ratio, described

FEWEST = Fewest(homography=10, similarity=5)


def keypoints(image: Image, ref: Image) -> Found:
    """Match the SIFT keypoints of two images, uint8 H x W x 3 RGB, by Lowe's ratio test."""
    import cv2

    detector = cv2.SIFT_create(enable_precise_upscale=True)
    return by_ratio(described(detector, image), described(detector, ref), cv2.NORM_L2)


MATCHERS = (
    MatcherCard(
        name="sift",
        title="SIFT + RANSAC",
        year=2004,
        paper="Lowe, Distinctive Image Features from Scale-Invariant Keypoints, IJCV 2004",
        description="SIFT keypoints, ratio test; every cell follows the homography or similarity most agree on.",
        load=opencv_loader(by_motion(keypoints, FEWEST)),
    ),
)
