"""Describes the views that a method used as records have them."""

from __future__ import annotations

from typing import get_args

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.schema import FoundBy, Place, ViewRecord
from refsr_bench.core.types import Prediction, Sample, View
from refsr_bench.geometry import motion
from refsr_bench.geometry.transformation import project

POINTS = 2000  # of a view that its motion is found from, about; more would not move it


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
        # Padding beside the scored area shows nothing, so that no view is taken for it.
        share = min(1.0, float(shares[n]) * view.valid.size / part.valid.size) if shares else None
        found.append(
            ViewRecord(
                view.found_by,
                view.reference,
                valid=round(float(part.valid.mean()), 4),
                share=None if share is None else round(share, 4),
                place=_place(part),
            )
        )
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


def _place(view: View) -> tuple[Place, Place, Place, Place] | None:
    """Return where the motion of most of what a view shows puts the corners of its image."""
    height, width = view.valid.shape
    step = max(1, round((view.valid.size / POINTS) ** 0.5))
    y, x = np.mgrid[:height:step, :width:step]
    shown = view.valid[::step, ::step] & np.isfinite(view.source[::step, ::step]).all(-1)
    own, there = np.column_stack((x[shown], y[shown])), view.source[::step, ::step][shown]
    found = motion.find(own, there, (height, width), motion.Fewest(max(len(own) // 2, 10), max(len(own), 10)))
    if found is None:
        return None
    corners = np.array([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)])
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in project(found.matrix, corners))
