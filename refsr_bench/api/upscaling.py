"""Super-resolves one image with the help of references of any size: ``refsr_bench.upscale`` and ``refsr-bench sr``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from refsr_bench.api.inputs import Picture, image_of, images_of, several
from refsr_bench.core import catalogue
from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Image, Prediction
from refsr_bench.evaluation.checks import lr_psnr, tell_unlike
from refsr_bench.evaluation.loading import Choice, load_method
from refsr_bench.evaluation.machine import resolve_device
from refsr_bench.learning.recognise import recognise
from refsr_bench.views.proposals import Views, parse, propose
from refsr_bench.views.using import predict_with_views

SCALE = 4
METHOD = "c2matching"
"""The method when nothing is said."""
VIEWS = "auto"
"""The views of references when nothing is said, for the methods alone that choose between them."""
MOST_PIXELS_OF_VIEWS = 1 << 22
"""Pixels of SR, or of a reference, up to which views are taken by themselves; they need 6 GB with a reference then."""
BEST_MATCHING = "sub-cell"
"""The way of matching when nothing is said, for methods that offer it."""


@dataclass(frozen=True)
class Manner:
    """The way to super-resolve.

    method: its name in the catalogue; None for what ``weights`` are recognised as, or ``METHOD`` without weights.
    weights: a file instead of the method's own. matching: one of the card's; None
    for the best it offers. views: a spelling of ``views.proposals.parse``; None for what suits the method and the size.
    device: "auto", or torch's name of one.
    """

    method: str | None = None
    weights: Path | None = None
    matching: str | None = None
    views: str | None = None
    device: str = "auto"

    @cached_property
    def card(self) -> MethodCard:
        """The method's card.

        Raises Misuse for an unknown name, with the nearest known one, and like ``recognise`` for weights alone.
        """
        if self.method is None and self.weights is not None:
            return recognise(self.weights)
        card: MethodCard = catalogue.get("METHODS", self.method or METHOD)
        return card


@dataclass(frozen=True)
class Upscaled:
    """An image that was super-resolved. views_asked: views of the references were looked for.

    views_left_out: they would have been, but for the size of the images.
    """

    prediction: Prediction
    views_asked: bool
    views_left_out: bool


@dataclass(frozen=True)
class Upscaler:
    """A method made ready once, for any number of images."""

    manner: Manner
    card: MethodCard
    loaded: LoadedMethod
    views: Views | None

    def __call__(self, lr: Image, refs: Sequence[Image] = ()) -> Upscaled:
        """Super-resolve one image. lr, refs: ``uint8 H x W x 3 RGB``.

        Raises Misuse when the method needs a reference and gets none, BenchError for images that it cannot take.
        """
        require_refs(self.card, len(refs))
        large = max([SCALE**2 * lr.shape[0] * lr.shape[1], *(ref.shape[0] * ref.shape[1] for ref in refs)])
        left_out = bool(self.views) and self.manner.views is None and large > MOST_PIXELS_OF_VIEWS
        asked = bool(self.views) and not left_out
        if self.views and asked:
            proposals = propose(self.views, lr, refs, SCALE)
            made = predict_with_views(self.loaded, self.card.references, lr, refs, SCALE, proposals)
        else:
            made = self.loaded.predict(lr, refs, SCALE)
        if self.loaded.guessed:
            tell_unlike(self.card.title, lr_psnr(made.sr, lr))
        return Upscaled(made, asked, left_out)


def check(manner: Manner, refs: int) -> None:
    """Raise Misuse for unknown words, and when a method needs a reference and gets none. refs: their number."""
    parse(manner.views or VIEWS)
    require_refs(manner.card, refs)


def require_refs(card: MethodCard, number: int) -> None:
    """Raise Misuse when a method needs a reference and gets none."""
    if card.references != "none" and not number:
        raise Misuse(f"{card.name} needs at least one reference: refs of upscale, --ref of sr.")


def upscaler(manner: Manner) -> Upscaler:
    """Load a method. Raises Misuse for what it does not offer, NoWeights when its weights are missing."""
    card = manner.card
    views = parse(manner.views or VIEWS) if card.references != "none" else None
    matching = manner.matching or (BEST_MATCHING if BEST_MATCHING in card.matching else None)
    choice = Choice((card.name,), device=resolve_device(manner.device))
    loaded = load_method(card, manner.weights, choice, matching)
    if manner.views is None and loaded.predict_views is None:
        views = None
    return Upscaler(manner, card, loaded, views)


def upscale(
    image: Picture,
    refs: Picture | Iterable[Picture] = (),
    method: str | None = None,
    *,
    weights: str | Path | None = None,
    matching: str | None = None,
    views: str | None = None,
    device: str = "auto",
) -> Image:
    """Super-resolve one image x4 with the help of references of any size; return ``uint8 4H x 4W x 3 RGB``.

        sr = refsr_bench.upscale("small.png", ["similar.jpg"])

    image: a path, an array ``uint8 H x W x 3 RGB``, or a Pillow image. refs: one such, or several; methods without
    references ignore them. method: a name that ``refsr-bench methods list`` shows; None for "c2matching", or for what
    ``weights``, a file instead of the method's own, are recognised as. matching: how C2-Matching matches: "exact",
    "sub-cell" (the default), "half" or "coarse". views:
    "auto", "none", or a number of motions: whether the reference is also warped into the frame of the image; None takes
    what suits the method and the size. device: "auto", "cpu", "cuda" or "cuda:N".

    Raises Misuse for an unknown method or option, for a missing reference, and for an array of another type; BenchError
    for a file that is no image, and for missing weights.
    """
    manner = Manner(method, None if weights is None else Path(weights), matching, views, device)
    pictures = several(refs)
    check(manner, len(pictures))
    low, high = image_of(image), images_of(pictures)
    return upscaler(manner)(low, high).prediction.sr
