"""Matches AKAZE keypoints (Alcantarilla et al., BMVC 2013) and finds the motion most of them agree on, with OpenCV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from refsr_bench.core.cards import LoadedMatcher, MatcherCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.matchers._inputs import opencv_loader
from refsr_bench.matchers._keypoints import Fewest, Found, by_motion, by_ratio, described

FEWEST = Fewest(homography=9, similarity=7)
RESPONSE = 1e-4  # of the detector; OpenCV's 1e-3 finds half as many matches in enlarged LR images


def keypoints(image: Image, ref: Image) -> Found:
    """Match the AKAZE keypoints of two images, uint8 H x W x 3 RGB, by the ratio test, mutually.

    Raises BenchError when OpenCV has no AKAZE.
    """
    import cv2

    detector = _detector()
    return by_ratio(described(detector, image), described(detector, ref), cv2.NORM_HAMMING, mutual=True)


def _detector() -> Any:
    import cv2

    if not hasattr(cv2, "AKAZE_create"):
        raise BenchError(
            f"The matcher akaze needs OpenCV 4; this OpenCV, {cv2.__version__}, comes without AKAZE. Install an older "
            'one: pip install "opencv-python<5". Or take the matcher sift or orb.'
        )
    return cv2.AKAZE_create(threshold=RESPONSE)


def load(weights: Path | None, device: str) -> LoadedMatcher:
    """Load the matcher. Raises BenchError when OpenCV has no AKAZE, or for weights, because none exist."""
    _detector()
    return opencv_loader(by_motion(keypoints, FEWEST))(weights, device)


MATCHERS = (
    MatcherCard(
        name="akaze",
        title="AKAZE + RANSAC",
        year=2013,
        paper="Alcantarilla et al., Fast Explicit Diffusion for Accelerated Features in Nonlinear Scale Spaces, "
        "BMVC 2013",
        description="AKAZE keypoints, mutual matches, ratio test; every cell follows the motion most agree on. OpenCV "
        "4 alone has it.",
        load=load,
    ),
)
