"""The texture subset: the more textured half of a data set, on which the paper's Fig. 5 shows its last step.

The paper does not say how its images were chosen, so this measure is ours. The ablation and the transformed split share
it.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from refsr_bench.core.types import Dataset, Image
from refsr_bench.pixels.colour import luma_bt601

WINDOW = 7  # pixels on a side of the neighbourhoods whose contrast is measured
RULE = f"the half with the largest mean standard deviation of luma (BT.601) in {WINDOW}x{WINDOW} pixels, rounded up"


def texture(image: Image) -> float:
    """Measure the contrast of an image's details; flat images have 0.

    It is the standard deviation of luma (BT.601, 0..255) in the 7x7 pixels around each pixel, averaged over the image.
    """
    luma = luma_bt601(image)
    variance = uniform_filter(luma**2, WINDOW) - uniform_filter(luma, WINDOW) ** 2
    return float(np.sqrt(variance.clip(0)).mean())  # rounding can leave a variance slightly below 0


def more_textured(measures: dict[str, float]) -> list[str]:
    """Return the ids of the more textured half, rounded up; ties go to the first by name."""
    order = sorted(measures, key=lambda name: (-measures[name], name))
    return sorted(order[: -(-len(order) // 2)])


def texture_subset(dataset: Dataset) -> list[str]:
    """Return the ids of the more textured half of a data set's HR images."""
    return more_textured({pair.id: texture(pair.hr.load()) for pair in dataset.pairs})
