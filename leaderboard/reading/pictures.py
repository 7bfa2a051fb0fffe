"""Keeps the pictures of a site: reads them with suspicion, stores each once by its digest, and makes small ones.

    files/<sha256>.png     a picture as the run left it, byte for byte
    thumbs/<sha256>.webp   the same, at most THUMB pixels wide and high
    icons/<sha256>.webp    the same, at most ICON pixels wide and high
    errors/<sha256>.webp   |SR - HR| of luma in colours; the digest is that of both pictures' digests
    crops/<sha256>.svg     the same crop of every method side by side, pictures embedded
    parts/<sha256>.webp    one of the crops that open the first page, without loss

Pictures and their small ones are written once the pages are known, and only those that a page refers to. A file that
exists is not made again, and all are written whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError
from refsr_bench.pixels.colour import luma_bt601

THUMB, ICON = 320, 96
MOST_BYTES = 256 * 2**20
MOST_PIXELS = 64_000_000
WIDEST = 96  # pixels of a close-up: in a larger part, details are smaller than a reader's screen shows
ERROR_MOST = 32  # luma levels of 8 bits; the brightest colour of error maps stands for this and more
MODES = ("all", "links", "files", "thumbs", "none")
"""The pictures that are kept: whole and small ones with error maps and crops, the same with links, whole ones alone,
small ones, none."""
_ERROR_VERSION = "1"
_REFERENCE = re.compile(r"(?:files|thumbs|icons)/([0-9a-f]{64})\.(?:png|webp)")
# Black to yellow through purple and orange, as matplotlib's "inferno": even steps of lightness, readable in grey.
_ANCHORS = ((0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85), (227, 89, 51), (249, 140, 10),
            (249, 201, 50), (252, 255, 164))  # fmt: skip


class PictureError(Exception):
    """A file that is not shown; the message says why, without its path."""


@dataclass(frozen=True)
class Picture:
    """A stored picture.

    digest: SHA-256 of its file. width, height: in pixels. size: in bytes. full: whether it is in ``files/`` and not
    only a thumbnail.
    """

    digest: str
    width: int
    height: int
    size: int
    full: bool

    @property
    def file(self) -> str:
        """The whole picture, from the site's root, or the thumbnail if there is nothing else."""
        return f"files/{self.digest}.png" if self.full else self.thumb

    @property
    def thumb(self) -> str:
        return f"thumbs/{self.digest}.webp"

    @property
    def thumb_size(self) -> tuple[int, int]:
        """The (width, height) of the thumbnail."""
        return self._within(THUMB)

    @property
    def icon(self) -> str:
        return f"icons/{self.digest}.webp"

    @property
    def icon_size(self) -> tuple[int, int]:
        """The (width, height) of the icon."""
        return self._within(ICON)

    def _within(self, most: int) -> tuple[int, int]:
        factor = min(1.0, most / max(self.width, self.height))
        return max(1, round(self.width * factor)), max(1, round(self.height * factor))


def read(path: Path, root: Path) -> tuple[bytes, np.ndarray]:
    """Return the bytes of a PNG file below ``root`` and its pixels, uint8 (H, W, 3) RGB.

    Raises PictureError for anything that is no plain 8-bit PNG file, leads out of ``root`` through a link, or is larger
    than MOST_BYTES or MOST_PIXELS.
    """
    from PIL import Image

    try:
        if path.is_symlink() or not path.resolve(strict=True).is_relative_to(root.resolve()):
            raise PictureError("is a link, and links are not followed")
        data = files.read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise PictureError(error.strerror or "cannot be read") from None
    except BenchError as error:
        raise PictureError(str(error).removeprefix(f"{path}: ").rstrip(".")) from None
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 26:
        raise PictureError("is not a PNG picture")
    width, height = struct.unpack(">II", data[16:24])
    if width * height > MOST_PIXELS:
        raise PictureError(f"has {width} x {height} pixels, more than {MOST_PIXELS // 10**6} million")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.mode != "RGB" or data[24] != 8 or getattr(image, "n_frames", 1) != 1:
                raise PictureError(f"is not a plain 8-bit RGB picture ({image.mode})")
            return data, np.asarray(image)
    except PictureError:
        raise
    except Exception as error:  # decoders raise nearly anything on a damaged file
        raise PictureError(f"is damaged ({type(error).__name__})") from None


def luma(image: np.ndarray) -> np.ndarray:
    """Return luma as PSNR-Y takes it, (H, W); float32, because a scene holds all its methods at once."""
    return luma_bt601(image).astype(np.float32)


class Store:
    """The pictures of one site, whose folder is made. Safe for use by several threads.

    mode: of MODES. "links": whole pictures are hard links to the runs' own where the disk has links, for a site beside
    its runs. With "none" nothing may be put.
    """

    def __init__(self, out: Path, mode: str) -> None:
        self.out, self.mode = files.make_folder(out), mode
        self.full = mode in ("all", "links", "files")  # whether whole pictures are kept
        self._found: dict[str, tuple[Picture, Path, Path]] = {}

    def put(self, path: Path, root: Path) -> tuple[Picture, np.ndarray]:
        """Read a PNG file below ``root``, which pages may refer to; return it with its pixels.

        Raises PictureError like ``read``.
        """
        data, image = read(path, root)
        height, width = image.shape[:2]
        picture = Picture(hashlib.sha256(data).hexdigest(), width, height, len(data), self.full)
        self._found[picture.digest] = picture, path, root
        return picture, image

    def keep(self, pages: Iterable[str]) -> None:
        """Write the pictures and thumbnails that the text of pages refers to.

        Raises PictureError for a picture that is another now, BenchError when the disk refuses.
        """
        named = {found[0]: found[1] for text in pages for found in _REFERENCE.finditer(text)}
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(self._keep, sorted(named), [named[name] for name in sorted(named)]))

    def _keep(self, name: str, digest: str) -> None:
        picture, path, root = self._found[digest]
        small = {picture.thumb: picture.thumb_size, picture.icon: picture.icon_size}.get(name)
        size = None if small else picture.size
        if self._there(name, size):
            return
        data, image = read(path, root)
        if hashlib.sha256(data).hexdigest() != digest:
            raise PictureError(f"({path.name}) is another picture now")
        self._write(name, lambda: _webp(image, small, 80) if small else data, size)
        if self.mode == "links" and not small:
            files.share(path, self.out / name)

    def error_map(self, hr: Picture, sr: Picture, difference: np.ndarray) -> str:
        """Store |SR - HR| of luma, float32 (H, W), as a picture of at most HR's size; return its path.

        Raises BenchError.
        """
        name = hashlib.sha256(f"{_ERROR_VERSION} {hr.digest} {sr.digest} {ERROR_MOST}".encode()).hexdigest()
        path = f"errors/{name}.webp"
        self._write(path, lambda: _webp(colours(difference), (difference.shape[1], difference.shape[0]), 60))
        return path

    def crops(self, text: str) -> str:
        """Store a figure; return its path. Raises BenchError."""
        data = text.encode()
        path = f"crops/{hashlib.sha256(data).hexdigest()}.svg"
        self._write(path, lambda: data, len(data))
        return path

    def part(self, image: np.ndarray) -> str:
        """Store a part of a picture, uint8 (H, W, 3), without loss; return its path. Raises BenchError."""
        data = _webp(image, (image.shape[1], image.shape[0]), 100, lossless=True)
        path = f"parts/{hashlib.sha256(data).hexdigest()}.webp"
        self._write(path, lambda: data, len(data))
        return path

    def _write(self, name: str, make: Callable[[], bytes], size: int | None = None) -> None:
        if not self._there(name, size):
            files.make_folder((self.out / name).parent, below=self.out)
            files.write_bytes(self.out / name, make())

    def _there(self, name: str, size: int | None) -> bool:
        target = self.out / name
        return target.is_file() and target.stat().st_size > 0 and size in (None, target.stat().st_size)


def _webp(image: np.ndarray, size: tuple[int, int], quality: int, lossless: bool = False) -> bytes:
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=quality, method=6 if lossless else 2, lossless=lossless)
    return data.getvalue()


def colours(difference: np.ndarray) -> np.ndarray:
    """Return luma differences (H, W) as uint8 (H, W, 3): black for none, light yellow for ERROR_MOST and more."""
    return palette()[np.minimum(difference * (255 / ERROR_MOST) + 0.5, 255).astype(np.uint8)]


def palette() -> np.ndarray:
    """Return the colours of error maps, uint8 (256, 3)."""
    anchors = np.array(_ANCHORS, np.float64)
    at = np.linspace(0, len(anchors) - 1, 256)
    return np.stack([np.interp(at, range(len(anchors)), channel) for channel in anchors.T], 1).round().astype(np.uint8)


def telling_crop(images: Sequence[np.ndarray], hr: np.ndarray | None) -> tuple[tuple[int, int, int, int], float]:
    """Return (x, y, width, height) of the part of an image on which its SR images disagree most, and their variance.

    images: luma (H, W) each, at least one; a single one is compared with HR. The part is a fifth of the image wide, at
    most WIDEST pixels. The variance is the mean over the part, in squared levels.
    """
    height, width = images[0].shape
    compared = [*images, *([hr] if len(images) < 2 and hr is not None else [])]
    total, squares = np.zeros((height, width)), np.zeros((height, width))
    for image in compared:
        total += image
        squares += np.square(image, dtype=np.float64)
    spread = np.maximum(squares / len(compared) - np.square(total / len(compared)), 0)
    w = min(width, max(24, min(WIDEST, round(width / 5))))
    h = min(height, max(18, round(w * 0.75)))
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = spread.cumsum(0).cumsum(1)
    windows = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    windows = windows[::4, ::4]
    y, x = np.unravel_index(int(windows.argmax()), windows.shape)
    return (int(x) * 4, int(y) * 4, w, h), float(windows[y, x]) / (w * h)


def crops_figure(
    overview: np.ndarray, box: tuple[int, int, int, int], tiles: Sequence[tuple[str, str, np.ndarray]]
) -> str:
    """Return an SVG like the paper's Fig. 4: the image with a frame, then the framed part of every tile, enlarged.

    overview: uint8 (H, W, 3). box: (x, y, width, height). tiles: (name, number below it, the part as uint8 (h, w, 3)).
    All pictures are embedded, so the file stands alone.
    """
    from html import escape

    x, y, w, h = box
    height, width = overview.shape[:2]
    tile = 150
    tile_height = round(tile * h / w)
    step = tile_height + 40
    columns = min(len(tiles), 5)
    rows = -(-len(tiles) // columns)
    left_height = min(360, max(200, rows * step - 40))
    left = round(left_height * width / height)
    if left > 420:
        left, left_height = 420, round(420 * height / width)
    across, down = left + 2 + columns * (tile + 10), max(left_height, rows * step)
    factor = left / width
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {down}" width="{across}" height="{down}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{across}" height="{down}" fill="#fff"/>',
        f'<image x="0" y="0" width="{left}" height="{left_height}" '
        f'href="{_data(overview, "JPEG", (2 * left, 2 * left_height))}"/>',
        f'<rect x="{x * factor:.1f}" y="{y * factor:.1f}" width="{w * factor:.1f}" height="{h * factor:.1f}" '
        'fill="none" stroke="#d55e00" stroke-width="2"/>',
    ]
    for number, (name, below, part) in enumerate(tiles):
        a, b = left + 12 + (number % columns) * (tile + 10), (number // columns) * step
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        parts += [
            f'<image x="{a}" y="{b}" width="{tile}" height="{tile_height}" preserveAspectRatio="none" '
            f'image-rendering="pixelated" href="{_data(part, "PNG")}"/>',
            f'<text x="{a + tile / 2:g}" y="{b + tile_height + 14}" text-anchor="middle">{escape(shown)}</text>',
            f'<text x="{a + tile / 2:g}" y="{b + tile_height + 28}" text-anchor="middle" fill="#555" font-size="11">'
            f"{escape(below)}</text>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def _data(image: np.ndarray, kind: str, size: tuple[int, int] | None = None) -> str:
    import base64

    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    if size and size[0] < picture.width:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    data = io.BytesIO()
    picture.save(data, kind, **({"quality": 85} if kind == "JPEG" else {}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"
