"""C2-Matching with views of its references: where a view shows something, every patch takes it in its own place.

1. descriptors of the LR image and of the untouched references, and their matches
2. views that somebody proposes, knowing these matches; a reference that they find turned is matched again, upright
3. for every patch the view that shows it, of several the one that correlates most; all others keep their match
4. a reference whose views show little or nothing (``KNOWN``) is left alone otherwise, but for patches that are nearly
   the same (``ALIKE``)
5. features of views and references on one canvas, views first: the learned offsets look at what comes first, at the
   same place, and in a view that is what belongs there

A view does not have to win by its similarity. Its proposer has tested where it can be trusted, pixel by pixel; the most
similar patch of all is often a different one that merely resembles it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.matching.correspondence import Correspondence, better, canvas_tops, correspond, on_canvas
from c2matching.matching.patches import PATCH
from c2matching.matching.subcell import refine
from c2matching.matching.window import CELL
from c2matching.nets.large_images import restore_within_memory
from c2matching.nets.model import C2Matching
from c2matching.nets.strips import in_strips
from refsr_bench.learning.scales import SCALES

ALIKE = 0.8  # cosine; patches of photographs of different things reach 0.7 once in a hundred times, and 0.8 hardly ever
KNOWN = 0.1  # share of the image that views must show before matches elsewhere are believed, too
NOWHERE = 1e5  # cells: beyond any canvas, where all features are zero
SURE = 3.0  # added to the correlations of views, in [-1, 1], so that no cosine of an untouched reference is larger


class TensorView(NamedTuple):
    """A view as tensors. image (1, 3, H, W), RGB in [0, 1], of the enlarged LR image's size; valid (H, W) bool."""

    image: Tensor
    valid: Tensor


class Asked(NamedTuple):
    """The proposal for one reference. upright: the whole of it (1, 3, H, W) as it should stand; None as it is."""

    views: Sequence[TensorView]
    upright: Tensor | None = None


Ask = Callable[[int, Correspondence], Asked]
"""``ask(number, found)`` gives views of a reference, knowing what was found in it, below a cell."""


@torch.inference_mode()
def upscale_with_views(
    net: C2Matching, lr: Tensor, lr_up: Tensor, refs: Sequence[Tensor], ask: Ask
) -> tuple[Tensor, Correspondence]:
    """Upscale one image like ``C2Matching.upscale``, with views of its references.

    Returns SR and the matches with views and references, upright ones in their stead, numbered in this order; -1 for
    patches that use none.
    """
    features = in_strips(net.extractor.feature_extraction_image1, lr_up)[0]
    refs, asked, kept = list(refs), [], []
    for number, ref in enumerate(refs):
        found = _match(net, features, ref)  # 1
        refined = refine(found, lr_up[0], [ref[0]])
        proposed = ask(number, refined)  # 2
        if proposed.upright is not None:
            refs[number] = proposed.upright
            found = _match(net, features, proposed.upright)
            refined = refine(found, lr_up[0], [proposed.upright[0]])
        found = refined if net.below_cell else found
        kept.append(found if _shown(proposed.views) >= KNOWN else _nearly_the_same(found))  # 4
        asked.append(proposed)
    views = [view for proposed in asked for view in proposed.views]
    placed = [_in_place(view, lr_up) for view in views]
    tops = canvas_tops([each.shape[2] // CELL for each in (*(view.image for view in views), *refs)])
    best = _best([*placed, *kept], tops)  # 3
    canvas = _canvas(net, [*(view.image for view in views), *refs])
    return restore_within_memory(net.restoration, lr, canvas, best.flow), best  # 5


def _canvas(net: C2Matching, images: Sequence[Tensor]) -> dict[str, Tensor]:
    """Compute the features of images that share one canvas, by layer."""
    maps = [in_strips(net.vgg, image) for image in images]
    canvas = {}
    for layer, _, factor in SCALES.values():
        if layer in net.vgg.layers:
            # Maps are let go as they are copied, because those of large images take gigabytes.
            canvas[layer] = on_canvas([m.pop(layer) for m in maps], factor)
    return canvas


def _match(net: C2Matching, features: Tensor, ref: Tensor) -> Correspondence:
    described = in_strips(net.extractor.feature_extraction_image2, ref)[0]
    return correspond(features, described, net.coarsest)


def _in_place(view: TensorView, lr_up: Tensor) -> Correspondence:
    """Match every patch with a view at its own place; similarity is -1 where the view is not valid.

    A view was followed to a fraction of a pixel, over more of the image than a patch shows. Refining patches one by one
    would only add their noise; the correlation there tells which of several views is the best.
    """
    cells = -F.max_pool2d(-view.valid[None].float(), CELL)
    whole = -F.max_pool2d(-cells, PATCH, 1)[0] > 0
    index = torch.arange(whole.numel(), device=whole.device).view(whole.shape)
    still = torch.zeros(*whole.shape, 2, device=whole.device)
    found = Correspondence(still, index, torch.full_like(still[..., 0], -1.0), torch.zeros_like(index))
    certainty = refine(found, lr_up[0], [view.image[0]]).certainty
    return replace(found, certainty=certainty, similarity=torch.where(whole, certainty + SURE, -1.0))


def _shown(views: Sequence[TensorView]) -> float:
    """Return the share of the image that at least one view shows."""
    if not views:
        return 0.0
    return torch.stack([view.valid for view in views]).any(0).float().mean().item()


def _nearly_the_same(found: Correspondence) -> Correspondence:
    """Leave out all matches but those of patches that are nearly the same; the rest has the similarity -1."""
    return replace(found, similarity=torch.where(found.similarity < ALIKE, -1.0, found.similarity))


def _best(found: Sequence[Correspondence], tops: Sequence[int]) -> Correspondence:
    """Put matches on the canvas and keep the most similar of each patch; patches without one take nothing."""
    best: Correspondence | None = None
    for number, (each, top) in enumerate(zip(found, tops, strict=True)):
        moved = each.flow + each.flow.new_tensor([0.0, top])
        this = replace(each, flow=moved, reference=torch.full_like(each.index, number))
        best = this if best is None else better(best, this)
    nothing = best.similarity <= -1
    return replace(
        best,
        flow=torch.where(nothing[..., None], NOWHERE, best.flow),
        reference=torch.where(nothing, -1, best.reference),
        similarity=torch.where(best.similarity > SURE / 2, best.similarity - SURE, best.similarity),
    )
