"""Photos as people have them, and SR that looks like one of them: 16 bits, alpha, grey, colour profiles.

``images`` reads what is measured, and changes no value. Here the picture counts:

* 16 bits stay 16 bits, in PNG and TIFF; references, which only lend their detail, are rounded to 8
* the EXIF orientation is applied; EXIF itself, which may tell a place, is not copied
* an alpha channel is kept, and enlarged by bicubic; a palette becomes its colours
* grey stays grey
* the colour profile of LR stays with its values, and SR gets it. A reference with another profile is converted to it.
  Values are not converted to sRGB, because that would cut off the colours of wide profiles
* CMYK becomes sRGB, by its profile if it has one
* SR is written as PNG, whole or not at all
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.pixels import images
from refsr_bench.pixels.colour import FULL_WEIGHTS, eight_bits
from refsr_bench.pixels.resize import resize_pil_bicubic

MOST_PIXELS = {8: 1 << 26, 16: 1 << 25}
"""Pixels of the largest photo, by bits per channel: cameras of 61 megapixels fit. More would take a gigabyte to read.
"""
MOST_PROFILE = 4 << 20  # bytes of a colour profile; printers' take 2 MB
ALIKE = 2  # grey levels; profiles that move no colour further are the same but for rounding
GRID = 9  # colours along each channel that tell whether two profiles are alike
COMPRESSION = 6  # of PNG; higher takes much longer and saves little

_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "RGB", "RGBA", "LA")


@dataclass(frozen=True)
class Photo:
    """A photo.

    pixels: uint8 or uint16 (H, W, 3) RGB. alpha: (H, W) of the same type, None if there is none. grey: the file holds
    no colours. profile: the ICC profile of the values; None for sRGB, or unknown.
    """

    pixels: Image
    alpha: np.ndarray | None = None
    grey: bool = False
    profile: bytes | None = None

    @property
    def bits(self) -> int:
        return 8 * self.pixels.itemsize

    def eight(self) -> Photo:
        """Return the photo rounded to 8 bits."""
        return replace(
            self, pixels=eight_bits(self.pixels), alpha=None if self.alpha is None else eight_bits(self.alpha)
        )

    def enlarged(self, sr: Image) -> Photo:
        """Return SR, of the same type as the pixels, with alpha, greyness and profile of this photo."""
        alpha = None if self.alpha is None else resize_pil_bicubic(self.alpha[..., None], *sr.shape[:2])[..., 0]
        return Photo(sr, alpha, self.grey, self.profile)


def read(path: str | Path) -> Photo:
    """Read a photo: PNG, JPEG, BMP, WebP or TIFF with 8 or 16 bits per channel.

    Raises BenchError naming the file when it is missing, no image, truncated, too large, or has values that are no
    colours (32 bits, floating point, Lab).
    """
    path = Path(path)
    with images.opened(path, _check) as (image, head):
        profile = image.info.get("icc_profile") or None
        if profile is not None and len(profile) > MOST_PROFILE:
            profile = None
        if images.bits(image, head) > 8:
            return _deep(path, image, profile)
        orientation = images.orientation_of(image, load=True)
        if image.mode == "CMYK":
            return Photo(_upright(_from_cmyk(image, profile), orientation))
        pixels, alpha, grey = _eight(image)
        return Photo(
            _upright(pixels, orientation), None if alpha is None else _upright(alpha, orientation), grey, profile
        )


def _check(path: Path, image: PilImage.Image, head: bytes) -> None:
    depth = images.bits(image, head)
    if depth > 16 or image.mode == "F" or (depth > 8 and image.mode not in _DEEP_MODES):
        raise BenchError(
            f"{path}: {depth} bits per channel (mode {image.mode}). Photos have 8 or 16; export it so."
        )
    width, height = image.size
    if width * height > (most := MOST_PIXELS[16 if depth > 8 else 8]):
        raise images.too_large(path, f"{width}x{height} pixels", most)
    if depth <= 8 and image.mode not in (*images.EIGHT_BIT_MODES, "CMYK"):
        raise BenchError(f"{path}: {image.mode} pixels. Convert the file to RGB first; there is no one right way.")


def _eight(image: PilImage.Image) -> tuple[Image, np.ndarray | None, bool]:
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        values = np.array(image if image.mode == "RGBA" else image.convert("RGBA"))
        return np.ascontiguousarray(values[..., :3]), values[..., 3].copy(), grey
    return np.array(image if image.mode == "RGB" else image.convert("RGB")), None, grey


def _deep(path: Path, image: PilImage.Image, profile: bytes | None) -> Photo:
    """Read 16 bits per channel, which Pillow would reduce to 8, by OpenCV."""
    import cv2

    orientation = 1 if image.format == "TIFF" else images.orientation_of(image)  # OpenCV turns TIFF upright, alone
    data = np.frombuffer(files.read_bytes(path, images.MOST_BYTES), np.uint8)
    values = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise BenchError(f"{path}: 16 bits per channel in a form that is not read. Export it as 16-bit PNG.")
    values = values if values.ndim == 3 else values[..., None]
    grey = values.shape[2] == 1 or image.mode == "LA"
    if values.shape[2] == 2:  # grey and alpha
        values = values[..., [0, 0, 0, 1]]
    colours = values[..., [0, 0, 0]] if values.shape[2] == 1 else values[..., 2::-1]
    alpha = _upright(values[..., 3], orientation) if values.shape[2] == 4 else None
    return Photo(_upright(colours, orientation), alpha, grey, profile)


def _upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turn (H, W, ...) as an EXIF orientation says, 1 to 8."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


# -- colour profiles -----------------------------------------------------------------------------------------------


def in_space_of(photo: Photo, other: Photo) -> Photo:
    """Convert a photo of 8 bits to the colour profile of another; one without a profile is taken for sRGB.

    Profiles that move no colour by more than ALIKE levels are left alone, and so are damaged ones.
    """
    if photo.profile == other.profile:
        return photo
    target = None if other.grey else other.profile  # a grey profile has no colours to convert to
    source = None if photo.grey else photo.profile
    step = np.linspace(0, 255, GRID).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(step, step, step), -1).reshape(1, -1, 3)
    probe = _converted(cube, source, target)
    if probe is None or np.abs(probe.astype(int) - cube).max() <= ALIKE:
        return photo
    converted = _converted(photo.pixels, source, target)
    return photo if converted is None else replace(photo, pixels=converted, profile=other.profile)


def _converted(pixels: Image, source: bytes | None, target: bytes | None) -> Image | None:
    """Convert RGB values of 8 bits between profiles; None for sRGB. Returns None for profiles that are not of RGB."""
    converted = _transformed(PilImage.fromarray(pixels), source, target)
    return None if converted is None else np.asarray(converted)


def _transformed(image: PilImage.Image, source: bytes | None, target: bytes | None) -> PilImage.Image | None:
    from PIL import ImageCms

    try:
        first, second = (
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB") if data is None else io.BytesIO(data))
            for data in (source, target)
        )
        return ImageCms.profileToProfile(image, first, second, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):  # a damaged profile, or one of another space
        return None


def _from_cmyk(image: PilImage.Image, profile: bytes | None) -> Image:
    converted = _transformed(image, profile, None) if profile else None
    return np.array(converted or image.convert("RGB"))


# -- writing -------------------------------------------------------------------------------------------------------


def write(path: str | Path, photo: Photo) -> None:
    """Write a photo as PNG, whole or not at all; missing folders are made.

    Raises Misuse when the name does not end in .png, BenchError when the disk refuses.
    """
    path = images.png_path(path)
    values = _values(photo)
    files.make_folder(path.parent)
    if photo.bits == 8:
        image = PilImage.fromarray(values[..., 0] if values.shape[2] == 1 else values)
        with files.saving(path) as partial:
            image.save(partial, format="PNG", icc_profile=photo.profile)
    else:
        files.write_bytes(path, _encoded(values, photo.profile))


def _values(photo: Photo) -> np.ndarray:
    """Return the channels that are written: (H, W, 1 to 4)."""
    pixels = photo.pixels
    if photo.grey:
        pixels = np.rint(pixels @ FULL_WEIGHTS).astype(pixels.dtype)[..., None]
    return pixels if photo.alpha is None else np.dstack((pixels, photo.alpha))


def _encoded(values: np.ndarray, profile: bytes | None) -> bytes:
    """Encode uint16 (H, W, 1 to 4) as PNG by OpenCV, which knows neither grey with alpha nor profiles."""
    import cv2

    if values.shape[2] == 2:
        values = values[..., [0, 0, 0, 1]]
    swapped = values if values.shape[2] == 1 else values[..., [2, 1, 0, 3][: values.shape[2]]]
    _, encoded = cv2.imencode(".png", swapped, [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    data = encoded.tobytes()
    if profile is None:
        return data
    header = 8 + 25  # the signature, and the chunk IHDR, after which iCCP may stand
    body = b"iCCP" + b"ICC profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[:header] + chunk + data[header:]
