"""Makes one self-contained page of any pictures: a divider between two of them, one zoom for all, close-ups.

It is the page of an image without a run behind it, and has the same template and script.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from markupsafe import Markup

from leaderboard.pages.pages import ASSETS, has, render_alone
from leaderboard.reading.pictures import luma, telling_crop
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.images import read_image

GENERATOR = '<meta name="generator" content="refsr-bench view">'
STYLES, SCRIPTS = ("style.css", "gallery.css"), ("page.js", "gallery.js")
NAMED = 4  # images in the heading
MOST_BYTES = 400 << 20  # of the page; browsers fail to open much larger ones
Enlarging = Literal["nearest", "bicubic"]


@dataclass(frozen=True)
class Picture:
    """A picture of the page. data: its PNG as an address. size: (width, height). note: the line below its label."""

    label: str
    data: str
    size: tuple[int, int]
    note: str


def page(
    images: Sequence[Path],
    labels: Sequence[str] = (),
    refs: Sequence[Path] = (),
    enlarging: Enlarging = "nearest",
    title: str = "",
) -> str:
    """Return the page of two images or more, and of references beside them, as HTML that needs no other file.

    labels: names of the images, in order; their file names if there are none. All images have one size; a smaller one,
    such as LR, is enlarged to it if it is a whole number of times smaller, and the page says so. Raises Misuse when the
    images or labels do not fit together, BenchError for an unreadable image and for a page larger than MOST_BYTES.
    """
    if len(images) < 2:
        raise Misuse("A view compares two images or more.")
    if labels and len(labels) != len(images):
        raise Misuse(f"There are {len(labels)} labels for {len(images)} images: give one for each, or none.")
    read = [read_image(path) for path in images]
    size = max(((image.shape[1], image.shape[0]) for image in read), key=lambda size: size[0] * size[1])
    shown, pictures = [], []
    for path, label, image in zip(images, labels or _names(images), read, strict=True):
        image, note = _fitted(image, size, path, enlarging)
        shown.append(luma(image))
        pictures.append(_picture(label, image, note))
    beside = [_picture(name, read_image(path)) for path, name in zip(refs, _names(refs), strict=True)]
    if sum(len(picture.data) for picture in (*pictures, *beside)) > MOST_BYTES:
        raise BenchError(f"The page would have more than {MOST_BYTES >> 20} MiB: view fewer or smaller images.")
    style, script = (_text(names) for names in (STYLES, SCRIPTS))
    return render_alone(
        "view.html.j2",
        title=title or ", ".join(picture.label for picture in pictures[:NAMED]) + " …" * (len(pictures) > NAMED),
        size=size,
        crop=telling_crop(shown, None)[0],
        pictures=pictures,
        refs=beside,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def ours(path: Path) -> bool:
    """Tell whether a file is a page that this module made, which may be replaced."""
    return has(path, GENERATOR)


def _fitted(image: Image, size: tuple[int, int], path: Path, enlarging: Enlarging) -> tuple[Image, str]:
    """Return an image in the common size, and what was done to it, in words."""
    from PIL import Image as PilImage

    own = (image.shape[1], image.shape[0])
    if own == size:
        return image, ""
    times = size[0] // own[0]
    if times < 2 or (own[0] * times, own[1] * times) != size:
        raise Misuse(
            f"{path} has {own[0]} x {own[1]} pixels and the largest image {size[0]} x {size[1]}. Images need one size; "
            "an LR image may be a whole number of times smaller, and a reference of any size goes behind --ref."
        )
    how = PilImage.Resampling.NEAREST if enlarging == "nearest" else PilImage.Resampling.BICUBIC
    enlarged = np.asarray(PilImage.fromarray(image).resize(size, how))
    return enlarged, f"{own[0]} × {own[1]}, enlarged {times} times ({enlarging})"


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the names of files, with their folders if names stand twice."""
    twice = len({path.name for path in paths}) < len(paths)
    return [str(path) if twice else path.name for path in paths]


def _picture(label: str, image: Image, note: str = "") -> Picture:
    from PIL import Image as PilImage

    data = io.BytesIO()
    PilImage.fromarray(image).save(data, "PNG")
    size = (image.shape[1], image.shape[0])
    address = f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
    return Picture(label, address, size, note or f"{size[0]} × {size[1]}")


def _text(names: Sequence[str]) -> Markup:
    return Markup("\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names))


def _hash(text: str) -> str:
    """Return what the page's Content-Security-Policy states of the one script, or style, that it admits."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
