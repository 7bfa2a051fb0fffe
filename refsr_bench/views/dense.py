"""Follows a rough map pixel by pixel with optical flow, and tells where the result can be trusted.

A reference that was warped by a rough map still lies a few pixels off, by parallax or by the map's own error. Dense
inverse search (Kroeger et al., ECCV 2016) finds what is left. It always finds something, so two tests tell truth from
chance: the flow back from the warped reference must return to where it began, and what lies there must correlate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refsr_bench.core.types import Image
from refsr_bench.geometry.transformation import pixel_grid
from refsr_bench.matchers._inputs import luma
from refsr_bench.pixels.resize import LR_BLUR
from refsr_bench.views.warps import inside, sampled

AROUND = 4.0  # pixels, standard deviation of the window whose correlation is taken: about the patches of matchers
NOISE = 2.0  # variance added to both windows, squared grey levels: flat surfaces correlate with nothing
RETURNS = 1.0  # pixels by which a flow there and back may miss its start
TRUSTED = 0.7  # least correlation; of unrelated photographs it leaves one per cent, and in the worst case three
STILL = 3.0  # pixels, standard deviation over which a map is smoothed at last: flow wavers by a tenth of a pixel
FINEST_SCALE = 1  # of the flow: half resolution, which is still finer than the detail of an enlarged LR image


class Followed(NamedTuple):
    """A map that was followed by flow. source: the map. image: the reference sampled there, uint8 (h, w, 3).

    score (h, w): correlation with the image; -1 where the flow does not return, or leaves the reference.
    """

    source: np.ndarray
    image: Image
    score: np.ndarray

    @property
    def trusted(self) -> np.ndarray:
        """The pixels, bool (h, w), whose place can be believed."""
        return self.score > TRUSTED


def blurred(gray: np.ndarray) -> np.ndarray:
    """Blur luma, uint8 (h, w), like an enlarged LR image."""
    import cv2

    return cv2.GaussianBlur(gray, (0, 0), LR_BLUR, borderType=cv2.BORDER_REFLECT)


def follow(gray: np.ndarray, ref: Image, source: np.ndarray) -> Followed:
    """Follow a map from the luma of an enlarged LR image, uint8 (h, w), into a reference of any size."""
    there = blurred(luma(sampled(ref, source)))
    flow, back = _flow(gray, there), _flow(there, gray)
    places = pixel_grid(gray.shape).astype(np.float32) + flow
    missed = np.linalg.norm(flow + at(back, places), axis=-1)
    moved = at(source, places)
    image = sampled(ref, moved)
    score = correlation(gray, blurred(luma(image)))
    score[(missed >= RETURNS) | ~inside(moved, ref.shape[:2])] = -1
    return Followed(moved, image, score)


def better(one: Followed, other: Followed) -> Followed:
    """Join two results: each pixel takes the one that correlates more around it."""
    import cv2

    smooth = [cv2.GaussianBlur(each.score, (0, 0), AROUND / 2) for each in (one, other)]
    wins = smooth[1] > smooth[0]
    return Followed(*(np.where(wins[(...,) + (None,) * (a.ndim - 2)], b, a) for a, b in zip(one, other, strict=True)))


def finished(followed: Followed, guide: np.ndarray, ref: Image) -> Followed:
    """Smooth a map, and sample the reference again; where it is not trusted, it becomes that of ``guide``."""
    import cv2

    filled = np.where(followed.trusted[..., None], followed.source, guide)
    still = pixel_grid(filled.shape[:2]).astype(np.float32)
    moved = cv2.GaussianBlur(filled - still, (0, 0), STILL) + still
    return followed._replace(source=moved, image=sampled(ref, moved))


def at(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sample values (h, w) or (h, w, n) linearly at places (h', w', 2), (x, y); the border is repeated."""
    import cv2

    return cv2.remap(
        values.astype(np.float32), places.astype(np.float32), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlate the surroundings of every pixel of two lumas, uint8 (h, w): float32 (h, w) in [-1, 1]."""
    import cv2

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (0, 0), AROUND)

    a, b = one.astype(np.float32), other.astype(np.float32)
    mean_a, mean_b = mean(a), mean(b)
    spread_a, spread_b = (np.maximum(mean(x * x) - m * m, 0) + NOISE for x, m in ((a, mean_a), (b, mean_b)))
    return (mean(a * b) - mean_a * mean_b) / np.sqrt(spread_a * spread_b)


def _flow(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    import cv2

    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(FINEST_SCALE)
    return search.calc(one, other, None)
