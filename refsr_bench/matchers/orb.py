"""Matches ORB keypoints (Rublee et al., ICCV 2011) and finds the motion that most of them agree on, with OpenCV."""

from __future__ import annotations

from typing import Any

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.types import Image
from refsr_bench.matchers._inputs import opencv_loader
from refsr_bench.matchers._keypoints import Fewest, Found, by_motion, by_ratio, described

FEWEST = Fewest(homography=10, similarity=8)
MOST = 4000  # keypoints of an image; OpenCV's 500 find a motion in half as many of our photographs
LEVEL = 1.2  # between two levels of the pyramid; OpenCV's own
CONTRAST = 5  # grey levels around a corner; OpenCV's 20 misses those that enlarged LR shows only softly


def keypoints(image: Image, ref: Image) -> Found:
    """Match the ORB keypoints of two images, uint8 H x W x 3 RGB, by the ratio test, mutually."""
    import cv2

    detector = cv2.ORB_create(nfeatures=MOST, fastThreshold=CONTRAST, scaleFactor=LEVEL)
    pair = [described(detector, each, _shift) for each in (image, ref)]
    return by_ratio(*pair, cv2.NORM_HAMMING, mutual=True)


def _shift(point: Any) -> float:
    """Compute what OpenCV forgets when it takes a position from a smaller level of the pyramid to the image.

    It multiplies the position by the level's factor, as if the middle of the first pixel stayed where it is. It halves
    the error for references that are turned by 180 degrees.
    """
    return (LEVEL**point.octave - 1) / 2


MATCHERS = (
    MatcherCard(
        name="orb",
        title="ORB + RANSAC",
        year=2011,
        paper="Rublee et al., ORB: An Efficient Alternative to SIFT or SURF, ICCV 2011",
        description="ORB keypoints, mutual matches, ratio test; every cell follows the motion most agree on.",
        load=opencv_loader(by_motion(keypoints, FEWEST)),
    ),
)
