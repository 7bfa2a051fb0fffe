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
from refsr_bench.core.schema import NumberType
from refsr_bench.core.types import Image, Prediction
from refsr_bench.evaluation.checks import lr_psnr, tell_unlike
from refsr_bench.evaluation.loading import Choice, load_method
from refsr_bench.evaluation.machine import number_format, resolve_device
from refsr_bench.learning.recognise import recognise
from refsr_bench.pixels.colour import eight_bits
from refsr_bench.tiles.running import Track, in_tiles
from refsr_bench.tiles.sizes import Tiling
from refsr_bench.tiles.sizes import parse as tiles_of
from refsr_bench.views.proposals import Views, parse, propose
from refsr_bench.views.using import predict_with_views

SCALE = 4
METHOD = "c2matching"
"""The method when nothing is said."""
VIEWS = "auto"
"""The views of references when nothing is said, for the methods alone that choose between them."""
TILE = "auto"
"""The tiles when nothing is said."""
BEST_MATCHING = "sub-cell"
"""The way of matching when nothing is said, for methods that offer it."""


@dataclass(frozen=True)
class Manner:
    """The way to super-resolve.

    method: its name in the catalogue; None for what ``weights`` are recognised as, or ``METHOD`` without weights.
    weights: a file instead of the method's own. matching: one of the card's; None for the best it offers. views: a
    spelling of ``views.proposals.parse``; None for what suits the method. device: "auto", or torch's name of one.
    dtype: the number format of the network. tile: a spelling of ``tiles.sizes.parse``.
    """

    method: str | None = None
    weights: Path | None = None
    matching: str | None = None
    views: str | None = None
    device: str = "auto"
    dtype: NumberType = "float32"
    tile: str = TILE

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
class Upscaler:
    """A method made ready once, for any number of images.

    views: those of references that it is given; None for none. tiling: None for whole images.
    """

    manner: Manner
    card: MethodCard
    loaded: LoadedMethod
    views: Views | None
    tiling: Tiling | None

    def __call__(
        self, lr: Image, refs: Sequence[Image] = (), track: Track = lambda done, total: None
    ) -> Prediction:
        """Super-resolve one image. lr: ``uint8 H x W x 3 RGB``, or uint16 if the method takes it; refs: uint8.

        track: is told of tiles. Raises Misuse when the method needs a reference and gets none, BenchError for images
        that it cannot take.
        """
        require_refs(self.card, len(refs))
        made = self._in_tiles(lr, refs, track)
        if self.loaded.guessed:
            tell_unlike(self.card.title, lr_psnr(eight_bits(made.sr), eight_bits(lr)))
        return made

    def _in_tiles(self, lr: Image, refs: Sequence[Image], track: Track) -> Prediction:
        if self.tiling is None:
            return self._whole(lr, refs, SCALE)
        # The views of all tiles together would be larger than the image, and nobody asks for them.
        tiled = in_tiles(self._whole, self.tiling, self.loaded.bytes_per_pixel, track, views=False)
        return tiled(lr, refs if self.card.references != "none" else (), SCALE)

    def _whole(self, lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
        if not self.views:
            return self.loaded.predict(lr, refs, scale)
        proposals = propose(self.views, eight_bits(lr), refs, scale)
        return predict_with_views(self.loaded, self.card.references, lr, refs, scale, proposals)


def check(manner: Manner, refs: int) -> None:
    """Raise Misuse for unknown words, and when a method needs a reference and gets none. refs: their number."""
    parse(manner.views or VIEWS)
    tiles_of(manner.tile)
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
    choice = Choice((card.name,), device=resolve_device(manner.device), dtype=number_format(manner.dtype))
    loaded = load_method(card, manner.weights, choice, matching)
    if manner.views is None and loaded.predict_views is None:
        views = None
    return Upscaler(manner, card, loaded, views, tiles_of(manner.tile))


def upscale(
    image: Picture,
    refs: Picture | Iterable[Picture] = (),
    method: str | None = None,
    *,
    weights: str | Path | None = None,
    matching: str | None = None,
    views: str | None = None,
    device: str = "auto",
    dtype: NumberType = "float32",
    tile: str | int = TILE,
) -> Image:
    """Super-resolve one image x4 with the help of references of any size; return ``uint8 4H x 4W x 3 RGB``.

        sr = refsr_bench.upscale("small.png", ["similar.jpg"])

    image: a path, an array ``uint8 H x W x 3 RGB``, or a Pillow image. refs: one such, or several; methods without
    references ignore them. method: a name that ``refsr-bench methods list`` shows; None for "c2matching", or for what
    ``weights``, a file instead of the method's own, are recognised as. matching: how C2-Matching matches: "exact",
    "sub-cell" (the default), "half" or "coarse". views: "auto", "none", or a number of motions: whether the reference
    is also warped into the frame of the image; None takes what suits the method. device: "auto", "cpu", "cuda",
    "cuda:N" or "mps". dtype: "float32", "bfloat16" or "float16", the number format of the network. tile: "auto" makes
    large images in tiles, "off" never, a number in tiles of so many pixels of LR a side.

    Raises Misuse for an unknown method or option, for a missing reference, and for an array of another type; BenchError
    for a file that is no image, and for missing weights.
    """
    manner = Manner(method, None if weights is None else Path(weights), matching, views, device, dtype, str(tile))
    pictures = several(refs)
    check(manner, len(pictures))
    low, high = image_of(image), images_of(pictures)
    return upscaler(manner)(low, high).sr
