"""Describes the views that a method used as records have them."""

from __future__ import annotations

from typing import get_args

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import FoundBy, Place, ViewRecord
from refsr_bench.core.types import Prediction, Sample, View

FARTHEST = 1e6  # reference pixels; what lies farther is near a horizon, and tells nothing


def records(prediction: Prediction, sample: Sample) -> tuple[ViewRecord, ...]:
    """Describe the views of a prediction within the scored area.

    Raises BenchError for views of another size or origin than a method can be given, and for impossible shares.
    """
    views, shares = prediction.views, prediction.shares
    if shares and (len(shares) != len(views) or not all(0 <= share <= 1 for share in shares)):
        raise BenchError(f"the shares of {len(views)} views must be as many numbers from 0 to 1, not {shares}.")
    found = []
    for n, view in enumerate(views):
        _check(view, sample)
        part = scored(view, sample.crop)
        share = round(float(shares[n]), 4) if shares else None
        valid = round(float(part.valid.mean()), 4)
        found.append(ViewRecord(view.found_by, view.reference, valid, share, _place(part.source)))
    return tuple(found)


def _check(view: View, sample: Sample) -> None:
    size = tuple(side * sample.scale for side in sample.lr.shape[:2])
    shapes = view.image.shape, view.source.shape, view.valid.shape
    if shapes != ((*size, 3), (*size, 2), size):
        raise BenchError(
            f"a view of pair '{sample.id}' has the shapes {shapes}; its image has {size[1]}x{size[0]} pixels."
        )
    if view.found_by not in get_args(FoundBy) or not 0 <= view.reference < len(sample.refs):
        raise BenchError(
            f"a view of pair '{sample.id}' shows reference {view.reference} of {len(sample.refs)}, found by "
            f"'{view.found_by}'; known: {', '.join(get_args(FoundBy))}."
        )


def scored(view: View, crop: tuple[int, int, int, int]) -> View:
    """Cut a view to the scored area."""
    top, left, height, width = crop
    area = np.s_[top : top + height, left : left + width]
    return View(view.image[area], view.source[area], view.valid[area], view.found_by, view.reference)


def _place(source: np.ndarray) -> tuple[Place, Place, Place, Place] | None:
    corners = np.array([source[y, x] for y, x in ((0, 0), (0, -1), (-1, -1), (-1, 0))], np.float64)
    if not (np.abs(corners) < FARTHEST).all():  # false for NaN, too
        return None
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in corners)
