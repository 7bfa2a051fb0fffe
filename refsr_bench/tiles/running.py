"""Runs any method tile by tile, and goes on with smaller tiles when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image, Predict, Prediction
from refsr_bench.pixels.colour import eight_bits
from refsr_bench.tiles.cuts import SMALLEST, Tile, joined, spans
from refsr_bench.tiles.joining import Joining
from refsr_bench.tiles.places import Part, finder
from refsr_bench.tiles.sizes import Tiling

log = logging.getLogger(__name__)

Track = Callable[[int, int], None]
"""Is told how many tiles are done, and how many there are."""


def in_tiles(
    predict: Predict,
    tiling: Tiling,
    bytes_per_pixel: int | None = None,
    track: Track = lambda done, total: None,
    views: bool = True,
) -> Predict:
    """Return a method that works in tiles.

    predict: makes SR from a tile, and from parts of the references; LR is uint8 or, if it can, uint16, and SR the same.
    bytes_per_pixel: see ``Tiling.of``. views: keep those of tiles; they take 12 bytes for each pixel of SR. When memory
    runs out, the image is begun again in tiles of half the side; the prediction says which side was used. Raises
    BenchError when the smallest tiles are too much.
    """

    def run(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
        side = tiling.of(lr, refs, scale, bytes_per_pixel)
        while True:
            try:
                if side is None:
                    return predict(lr, refs, scale)
                return _Run(predict, lr, tuple(refs), scale, side).all(track, views)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                reason = str(error)
            # Only here the error, and the tensors of its frames, are gone.
            side = _smaller(side, max(lr.shape[:2]), reason)
            _emptied()
            log.warning("out of memory: going on in tiles of %d LR pixels.", side)

    return run


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out: Python's, PyTorch's on any device, or OpenCV's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    told = {"RuntimeError": ("can't allocate memory", "out of memory"), "error": ("Insufficient memory",)}  # cv2.error
    return any(words in str(error) for words in told.get(type(error).__name__, ()))


def _smaller(side: int | None, longest: int, reason: str) -> int:
    half = (side or longest) // 2
    if half < SMALLEST:
        raise BenchError(f"memory runs out even with the smallest tiles: {reason:.200}")
    return half


def _emptied() -> None:
    """Give memory back that PyTorch keeps for later, if it is loaded."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


class _Run:
    """One image, in tiles of one size."""

    def __init__(self, predict: Predict, lr: Image, refs: tuple[Image, ...], scale: int, side: int) -> None:
        self.predict, self.lr, self.scale, self.side = predict, lr, scale, side
        eight = eight_bits(lr)
        self.finders = tuple(finder(eight, ref, scale) for ref in refs)

    def all(self, track: Track, views: bool) -> Prediction:
        height, width = self.lr.shape[:2]
        total = len(spans(height, self.side)) * len(spans(width, self.side))
        joining, done = Joining((height * self.scale, width * self.scale), self.scale, views), count(1)
        track(0, total)

        def make(tile: Tile) -> np.ndarray:
            parts = [each.part(tile) for each in self.finders]
            made = self._one(tile, parts)
            joining.add(tile, parts, made)
            number = next(done)
            log.debug("tile %d of %d", number, total)
            track(number, total)
            return made.sr

        # Filled band by band: a list of bands would hold the image twice when it is put together.
        sr, top = np.empty((*joining.size, 3), self.lr.dtype), 0
        for band in joined((height, width), self.side, self.scale, make):
            sr[top : top + len(band)] = band
            top += len(band)
        return Prediction(sr, joining.correspondence(), *joining.seen(), tile=self.side)

    def _one(self, tile: Tile, parts: Sequence[Part]) -> Prediction:
        lr = np.ascontiguousarray(tile.of(self.lr))
        made = self.predict(lr, [part.image for part in parts], self.scale)
        expected = (lr.shape[0] * self.scale, lr.shape[1] * self.scale, 3)
        if made.sr.shape != expected or made.sr.dtype != lr.dtype:
            raise BenchError(f"a tile came back as {made.sr.dtype} {made.sr.shape}, not {lr.dtype} {expected}.")
        return made
