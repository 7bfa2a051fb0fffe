"""Small photographs that are views of a few scenes, and copies of them, for the builder's tests."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from refsr_bench.data.opening import open_dataset

WIDTH, HEIGHT = 240, 180


@lru_cache
def scene(which: int) -> Image.Image:
    """A real photograph, large enough for several views of it."""
    pairs = open_dataset("sample").pairs
    image = pairs[which % len(pairs)].hr.load()
    whole = Image.fromarray(image)
    factor = max(400 / whole.width, 300 / whole.height)
    return whole.resize((round(whole.width * factor), round(whole.height * factor)), Image.Resampling.BICUBIC)


SCENES = (0, 1, 4, 5, 7)
"""Those of the sample with texture enough for local matches at this size."""


@lru_cache
def view(which: int, n: int) -> Image.Image:
    """The n-th view (0 .. 2) of a scene: another place, angle and light; 0 is the query's."""
    whole = scene(which)
    if n:
        whole = whole.rotate((-1) ** n * (4 + n), Image.Resampling.BICUBIC)
    shift = 14 * n
    left, top = (whole.width - WIDTH) // 2 - 20 + shift, (whole.height - HEIGHT) // 2 - 10 + shift // 2
    cut = whole.crop((left, top, left + WIDTH, top + HEIGHT))
    if n:  # light that a gain cannot undo, as at another hour
        ramp = np.linspace(0.5, 1.25, WIDTH)[None, :, None]
        values = 255 * (np.asarray(cut) / 255.0) ** (1.5 if n % 2 else 0.65) * ramp
        cut = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    return cut


def jpeg(image: Image.Image, quality: int) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return data.getvalue()


def save(image: Image.Image, path: Path, quality: int = 95) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jpg":
        path.write_bytes(jpeg(image, quality))
    else:
        image.save(path)
    return path
