"""Dense inverse search, optical flow (Kroeger et al., ECCV 2016), from OpenCV."""

from __future__ import annotations

import numpy as np

from refsr_bench.core.cards import MatcherCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Correspondence, Image
from refsr_bench.geometry.correspondences import CELL, cell_centres
from refsr_bench.matchers._inputs import enlarged, luma, opencv_loader


def match(lr: Image, ref: Image, scale: int) -> Correspondence:
    """Follow the flow between the luma of the enlarged LR image and of the reference, at the centre of every 4x4 cell.

    It uses OpenCV's medium preset. The smaller image is extended by repeating its border. Raises BenchError for images
    that are too small.
    """
    import cv2

    image = enlarged(lr, scale)
    height, width = image.shape[:2]
    lumas = [luma(image), luma(ref)]
    sides = [max(each.shape[axis] for each in lumas) for axis in (0, 1)]
    pads = [[(0, side - n) for side, n in zip(sides, each.shape, strict=True)] for each in lumas]
    one, two = (np.pad(each, pad, mode="edge") for each, pad in zip(lumas, pads, strict=True))
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


MATCHERS = (
    MatcherCard(
        name="dis",
        title="DIS optical flow",
        year=2016,
        paper="Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016",
        description="Dense optical flow from the enlarged LR image to the reference; made for small motion.",
        load=opencv_loader(match),
    ),
)
