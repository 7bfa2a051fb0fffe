"""Reading and writing image files: the one place where files become ``uint8 H x W x 3 RGB`` arrays and back.

The rules, the same for every data set and every photo a person brings:

* PNG, JPEG, BMP, WebP and TIFF; of a file with several frames or pages, the first;
* the EXIF orientation is applied (of a PNG, where it precedes the pixels); colour profiles are ignored: the stored
  values are what papers measure;
* grey becomes R = G = B, a palette its colours, a 1-bit image 0 and 255;
* an alpha channel is dropped and the stored colours stay, as OpenCV's and Pillow's readers do in published code;
* more than 8 bits per channel, and CMYK, Lab or HSV pixels, are refused: converting them silently would change values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import UnidentifiedImageError

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image, ImageSource

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")

MAX_PIXELS = 1 << 25
"""Pixels of the largest image that is read: 8K (7680x4320, the largest of DIV8K) fits.

Measuring takes 131 bytes a pixel, most of it for SSIM in float64, so a run stays within 4.2 GiB beside its method.
"""
Check = Callable[[Path, PilImage.Image, bytes], None]
MOST_BYTES = 256 << 20  # of an image file; as TIFF or BMP, MAX_PIXELS of RGB with alpha take half of it

EIGHT_BIT_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr"})
_ORIENTATION = 0x0112
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS_PER_SAMPLE = 256, 257, 258
_UPRIGHT = {
    2: PilImage.Transpose.FLIP_LEFT_RIGHT,
    3: PilImage.Transpose.ROTATE_180,
    4: PilImage.Transpose.FLIP_TOP_BOTTOM,
    5: PilImage.Transpose.TRANSPOSE,
    6: PilImage.Transpose.ROTATE_270,
    7: PilImage.Transpose.TRANSVERSE,
    8: PilImage.Transpose.ROTATE_90,
}


def read_image(path: str | Path) -> Image:
    """Read one image file: ``uint8 H x W x 3 RGB``, upright, freshly allocated.

    Raises BenchError naming the file when it is missing, not an image, truncated, larger than MAX_PIXELS, or of a kind
    that has no faithful 8-bit RGB form (see the module's rules).
    """
    with opened(Path(path)) as (image, _):
        orientation = orientation_of(image, load=True)
        rgb = image if image.mode == "RGB" else image.convert("RGB")  # convert() would copy
        if orientation in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[orientation])
        return np.array(rgb)


def image_size(path: str | Path) -> tuple[int, int]:
    """Return (width, height) of the upright image in pixels, from its header; raises BenchError like ``read_image``."""
    with opened(Path(path)) as (image, _):
        width, height = image.size
        if image.format == "TIFF":  # as stored, whether or not this Pillow swaps ``size``
            width, height = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
        return (height, width) if orientation_of(image) >= 5 else (width, height)


def image_files(folder: str | Path) -> list[Path]:
    """Return the image files directly inside a folder, sorted by name, without hidden files and other extensions.

    Raises BenchError when the folder cannot be listed, and for a name that is no UTF-8, which no record can hold.
    """
    folder = Path(folder)
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    except OSError as error:
        raise BenchError(f"{folder}: cannot be listed ({error.strerror}).") from None
    found = [e for e in entries if e.suffix.lower() in EXTENSIONS and not e.name.startswith(".") and e.is_file()]
    for path in found:
        if path.name.encode(errors="ignore").decode() != path.name:
            raise BenchError(f"{path}: this name is no UTF-8. Rename the file.")
    return found


def source(path: str | Path, level: int | None = None) -> ImageSource:
    """Return an image file that is read when asked for, called by its file name."""
    path = Path(path)
    return ImageSource(path.name, partial(read_image, path), path, level)


def write_png(path: str | Path, image: Image, below: Path | None = None) -> None:
    """Write ``uint8 H x W x 3 RGB`` as PNG, whole or not at all; missing folders are made.

    below: a folder that must exist, and only folders below it are made; None for any.
    Raises Misuse when the name does not end in .png, BenchError when the disk refuses (read-only, full).
    """
    path = png_path(path)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise TypeError(f"expected uint8 H x W x 3, got {image.dtype} {image.shape}")
    files.make_folder(path.parent, below)
    with files.saving(path) as partial:
        PilImage.fromarray(image).save(partial, format="PNG")


def png_path(path: str | Path) -> Path:
    """Return a path as such. Raises Misuse when its name does not end in .png."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise Misuse(f"{path}: images are written as PNG, without loss; give the file a name that ends in .png.")
    return path


@contextmanager
def opened(path: Path, check: Check | None = None) -> Iterator[tuple[PilImage.Image, bytes]]:
    """Open an image file, check its header, and yield it with its first bytes.

    check(path, image, head): raises BenchError for what is not to be read; by default, what is not measured. Any
    failure inside the block becomes a BenchError.
    """
    try:
        with files.opened(path, MOST_BYTES) as file:
            head = file.read(26)
            file.seek(0)
            with PilImage.open(file, formats=FORMATS) as image:
                (check or _check)(path, image, head)
                yield image, head
    except BenchError:
        raise
    except UnidentifiedImageError:
        raise BenchError(
            f"{path}: not a PNG, JPEG, BMP, WebP or TIFF image, whatever its name says ({_looks_like(head)}). "
            "Replace the file."
        ) from None
    except PilImage.DecompressionBombError as error:
        pixels = str(error).partition("(")[2].partition(" ")[0]
        raise too_large(path, f"{pixels} pixels") from None
    except FileNotFoundError:
        raise BenchError(f"{path}: no such file.") from None
    except IsADirectoryError:
        raise BenchError(f"{path}: is a folder, not an image file.") from None
    except MemoryError:
        raise BenchError(f"{path}: not enough memory to decode it. Use a smaller image.") from None
    # Decoders raise nearly anything on a damaged file (OSError, SyntaxError, ValueError, struct.error, ...).
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BenchError(f"{path}: damaged or cut short, cannot be read ({reason}). Copy the file again.") from None


def _check(path: Path, image: PilImage.Image, head: bytes) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise too_large(path, f"{width}x{height} pixels")
    if (depth := bits(image, head)) > 8 or image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BenchError(
            f"{path}: {depth} bits per channel (mode {image.mode}). Only 8-bit images are measured; "
            "convert the file to 8 bits yourself, so that the rounding is yours."
        )
    if image.mode not in EIGHT_BIT_MODES:
        raise BenchError(f"{path}: {image.mode} pixels. Convert the file to RGB first; there is no one right way.")


def bits(image: PilImage.Image, head: bytes) -> int:
    """Return the bits per channel of a file. head: its first bytes.

    Pillow silently reads 16-bit RGB files as 8-bit RGB, so the mode alone does not tell.
    """
    if image.format == "TIFF":
        return max(image.tag_v2.get(_TIFF_BITS_PER_SAMPLE, (1,)))
    return head[24] if image.format == "PNG" else 8


def too_large(path: Path, size: str, most: int = MAX_PIXELS) -> BenchError:
    return BenchError(f"{path}: {size} are too many, the limit is {most} in all. Crop or shrink the image first.")


def orientation_of(image: PilImage.Image, load: bool = False) -> int:
    """Return the EXIF orientation, 1..8. load: decode the image first.

    A PNG is not asked without an early eXIf chunk, which would decode all its pixels.
    """
    late_exif = image.format == "PNG" and "exif" not in image.info
    if load:
        image.load()  # newer Pillows turn a TIFF upright here, and then report orientation 1
    if late_exif:
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # unreadable EXIF in an otherwise sound photo counts as none
        return 1
    return value if value in _UPRIGHT else 1


def _looks_like(head: bytes) -> str:
    if not head:
        return "it is empty"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page"
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        return "it is text"
    return f"it starts with {head[:8].hex(' ')}"
