"""Accepts images as people have them: a path, an array, or a Pillow image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import numpy as np

from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Image

if TYPE_CHECKING:
    from PIL import Image as PilImage

Picture: TypeAlias = Union[str, Path, Image, "PilImage.Image"]
"""An image: a path, an array ``uint8 H x W x 3 RGB``, or a Pillow image."""


def image_of(picture: Picture, what: str = "image") -> Image:
    """Return an image as ``uint8 H x W x 3 RGB``. what: its name in messages.

    A path is read as ``pixels.images.read_image`` does; a Pillow image is converted to RGB. Raises BenchError for a
    file that is no image, Misuse for an array of another type or shape.
    """
    if isinstance(picture, (str, Path)):
        from refsr_bench.pixels.images import read_image

        return read_image(picture)
    if not isinstance(picture, np.ndarray):
        return _converted(picture, what)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise Misuse(f"{what}: {_described(picture)}. Give uint8 H x W x 3 RGB; {_advice(picture)}.")
    return picture


def images_of(pictures: Picture | Iterable[Picture], what: str = "refs") -> list[Image]:
    """Return one or several images as ``image_of`` does. Raises like it."""
    return [image_of(picture, f"{what}[{number}]") for number, picture in enumerate(several(pictures))]


def several(pictures: Picture | Iterable[Picture]) -> list[Picture]:
    """Return one picture, or several, as a list. An array of four dimensions holds several."""
    if isinstance(pictures, (str, Path)) or not isinstance(pictures, Iterable):
        return [pictures]
    if isinstance(pictures, np.ndarray) and pictures.ndim < 4:
        return [pictures]
    return list(pictures)


def _converted(picture: object, what: str) -> Image:
    from PIL import Image as PilImage

    if not isinstance(picture, PilImage.Image):
        raise Misuse(f"{what}: {type(picture).__name__} is no image. Give a path, an array or a Pillow image.")
    if picture.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise Misuse(f"{what}: a Pillow image of mode {picture.mode}. Convert it to RGB; there is no one right way.")
    return np.array(picture.convert("RGB"))


def _described(array: np.ndarray) -> str:
    return f"an array of {array.dtype}, {' x '.join(map(str, array.shape)) or 'a single number'}"


def _advice(array: np.ndarray) -> str:
    if not array.size:
        return "this one is empty"
    if array.ndim == 2:
        return "np.stack([grey] * 3, axis=-1) makes three channels of one"
    if array.ndim == 3 and array.shape[2] != 3 and array.shape[0] == 3:
        return "array.transpose(1, 2, 0) moves the channels to the end"
    if array.dtype.kind == "f":
        return "(255 * array).round().clip(0, 255).astype('uint8') makes it of values from 0 to 1"
    return "other bits per channel and other channels are not measured"
