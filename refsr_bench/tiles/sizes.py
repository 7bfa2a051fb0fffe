"""The size of tiles that a person asks for, and the one that ``auto`` takes: by the sizes of images alone.

What ``auto`` does depends on no machine, so that two of them make the same image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Image
from refsr_bench.tiles.cuts import SMALLEST, STEP
from refsr_bench.tiles.places import MOST

VERSION = 1
"""Raised when the same size of tiles gives other images; part of the identity of every run in tiles."""

MEMORY = 3 << 29
"""Bytes that a method may take beside the program and its images, 1.5 GiB; all together then stay within 3 GB."""
UNKNOWN = 4096  # bytes per SR pixel of a method that nobody measured: 64 channels of float32, sixteen times
LARGEST = 1 << 14  # LR pixels of a side that a person may ask for


@dataclass(frozen=True)
class Tiling:
    """The tiles that a person asks for. side: in LR pixels; None for ``auto``."""

    side: int | None = None

    @property
    def name(self) -> str:
        """The spelling that ``parse`` reads back."""
        return "auto" if self.side is None else str(self.side)

    @property
    def title(self) -> str:
        """A few words for the titles of rows."""
        return "in tiles" if self.side is None else f"tiles of {self.side}"

    @property
    def options(self) -> dict[str, str]:
        """The facts that a run's identity holds."""
        return {"tile": self.name, "tile_version": str(VERSION)}

    def of(self, lr: Image, refs: Sequence[Image], scale: int, bytes_per_pixel: int | None) -> int | None:
        """Return the side of the tiles of an image, in LR pixels; None for the whole image.

        bytes_per_pixel: see ``LoadedMethod``.
        """
        height, width = lr.shape[:2]
        if self.side is not None:
            return self.side if self.side < max(height, width) else None
        if bytes_per_pixel == 0:
            return None
        at_once = MEMORY // (bytes_per_pixel or UNKNOWN)  # SR pixels
        largest = max((ref.shape[0] * ref.shape[1] for ref in refs), default=0)
        if scale * scale * height * width <= at_once and largest <= MOST * at_once:
            return None
        return max(SMALLEST, int(at_once**0.5) // scale // STEP * STEP)


def parse(text: str) -> Tiling | None:
    """Parse ``off``, ``auto`` or the side of tiles in LR pixels. Raises Misuse for anything else."""
    if text in ("off", "auto"):
        return None if text == "off" else Tiling()
    if not text.isdecimal() or not SMALLEST <= int(text[:9]) <= LARGEST:
        raise Misuse(f"--tile {text:.40}: give auto, off, or a side of {SMALLEST} to {LARGEST} pixels of LR.")
    return Tiling(int(text))
