"""Gives views of references to methods and matchers, whether or not they can choose between several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from refsr_bench.core import catalogue
from refsr_bench.core.schema import IN_WORDS
from refsr_bench.core.types import Correspondence, Image, Match, Prediction, Propose, RefPair, Sample, View
from refsr_bench.pixels.colour import eight_bits
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.pixels.sampling import linearly
from refsr_bench.views.proposals import VERSION, Views
from refsr_bench.views.proposals import propose as propose_views

if TYPE_CHECKING:
    from refsr_bench.core.cards import LoadedMethod


@dataclass(frozen=True)
class Proposals:
    """A way to propose views for the pairs of a run.

    name: its spelling on the command line, which results record. title: a few words for the titles of rows. version: of
    the proposals, and of the keypoints' code and weights; another may give other views. propose(pair, sample): what
    proposes views for one pair.
    """

    name: str
    title: str
    version: str
    propose: Callable[[RefPair, Sample], Propose]


def proposals_of(views: Views) -> Proposals:
    """Return the proposals that a person asks for, which look at LR and the references alone.

    Raises like the matcher of the keypoints, when its package is missing.
    """
    card = catalogue.get("MATCHERS", views.features)
    loaded = card.load(None, "cpu")
    keypoints = [loaded.code.key if loaded.code else f"{card.name} {card.version}", loaded.weights.sha256]
    motions = {None: "", 1: " of one motion"}.get(views.most, f" of {views.most} motions")
    by = "" if views == Views(views.most) else f" by {IN_WORDS['found_by'][views.features]}"
    return Proposals(
        views.name,
        f"views{motions}{by}",
        ", ".join(filter(None, (str(VERSION), *keypoints))),
        lambda pair, sample: propose_views(views, sample.lr, sample.refs, sample.scale),
    )


def predict_with_views(
    loaded: LoadedMethod, references: str, lr: Image, refs: Sequence[Image], scale: int, propose: Propose
) -> Prediction:
    """Upscale one image with views of its references.

    references: "none", "one" or "many", what the method takes. A method that chooses between views is left to do so.
    Of the others, one that takes a single reference gets a view alone, the best of the first reference that has one;
    one that takes many gets the best view of each before the untouched references. Where a view shows nothing, it gets
    the enlarged LR image, which adds nothing. Without a view that is believed, the method gets what it gets without
    views.
    """
    if references == "none" or not refs:
        return loaded.predict(lr, refs, scale)
    if loaded.predict_views is not None:
        return loaded.predict_views(lr, refs, scale, propose)
    best: list[View] = []
    for number, ref in enumerate(refs):
        if best and references == "one":
            break
        found = loaded.match(eight_bits(lr), ref, scale) if loaded.match else None
        best += list(propose(number, found))[:1]
    if not best:
        return loaded.predict(lr, refs, scale)
    untouched = refs if references == "many" else ()
    prediction = loaded.predict(lr, [*(shown(view, lr) for view in best), *untouched], scale)
    return replace(prediction, views=tuple(best))


def match_with_views(
    match: Match, references: str, lr: Image, ref: Image, scale: int, views: Sequence[View]
) -> Correspondence:
    """Match one image with its first reference as a method does that was given these views.

    references: "one" or "many", what the method takes. views: those that it used, of any reference. One that takes a
    single reference saw the best view alone; one that takes many also saw the reference, and took the more similar of
    the two. Points whose match the view does not show are left out.
    """
    best = next((view for view in views if view.reference == 0), None)
    if best is None:
        return match(lr, ref, scale)
    found = through(match(lr, shown(best, lr), scale), best)
    return better(found, match(lr, ref, scale)) if references == "many" else seen(found)


def shown(view: View, lr: Image) -> Image:
    """Return what a view shows, uint8 (H, W, 3), and the enlarged LR image where it shows nothing."""
    # On four photographs turned by 45 degrees, SRNTT and TTSR lose 0.1 to 0.4 dB with black there instead, and 0.02 to
    # 0.2 dB with what the view holds.
    height, width = view.valid.shape
    return np.where(view.valid[..., None], view.image, resize_pil_bicubic(eight_bits(lr), height, width))


# -- correspondences with a view -----------------------------------------------------------------------------------


def through(found: Correspondence, view: View) -> Correspondence:
    """Turn matches in a view into matches in its reference; NaN where the view does not show what was found."""
    height, width = view.valid.shape
    at = np.asarray(found.targets, np.float64)
    inside = np.isfinite(at).all(1)
    inside &= (at >= -0.5).all(1) & (at <= (width - 0.5, height - 0.5)).all(1)
    at = np.where(inside[:, None], at, 0)
    inside &= linearly(view.valid[..., None].astype(np.float64), at)[:, 0] > 1 - 1e-9  # all pixels that take part
    targets = linearly(view.source, at)
    targets[~inside] = np.nan
    return replace(found, targets=targets.astype(np.float32))


def better(one: Correspondence, other: Correspondence) -> Correspondence:
    """Return the more confident match of every point; without confidences of the same points, the first's alone."""
    if one.confidence is None or other.confidence is None or not np.array_equal(one.points, other.points):
        return seen(one)
    first = np.where(np.isfinite(one.targets).all(1), one.confidence, -np.inf)
    second = np.where(np.isfinite(other.targets).all(1), other.confidence, -np.inf)
    taken = first >= second
    targets = np.where(taken[:, None], one.targets, other.targets)
    return seen(Correspondence(one.points, targets, np.where(taken, first, second).astype(np.float32)))


def seen(found: Correspondence) -> Correspondence:
    """Return the matches that have a place."""
    kept = np.isfinite(found.targets).all(1)
    confidence = None if found.confidence is None else np.asarray(found.confidence)[kept]
    return Correspondence(np.asarray(found.points)[kept], np.asarray(found.targets)[kept], confidence)
