"""Makes the pictures of the embedded data set from photographs inside scikit-image, in integer arithmetic.

Nothing is downloaded and nothing is copied into this package: the photographs ship in scikit-image's wheel and are
checked against their SHA-256. Every machine gets the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from refsr_bench.core.errors import BenchError
from refsr_bench.core.types import Image
from refsr_bench.geometry.truth import DisparityTruth
from refsr_bench.pixels.images import read_image

MANIFEST_SHA256 = "3fddcff0329ff5404fbe0d68572c2ea1fb27f08066487d0f81c2b27be6b8e7cb"
"""Digest over ids, names, levels and decoded pixels of all images; every machine must get this value."""

Box = tuple[int, int, int, int]  # left, top, width, height


@dataclass(frozen=True)
class Photo:
    """A file in scikit-image's data folder. terms: what scikit-image's documentation says about it."""

    file: str
    sha256: str
    terms: str


@dataclass(frozen=True)
class View:
    """A picture taken of a photo. Output pixel (x, y), counted from the output's middle (u, v), shows the photo at

        centre + zoom * (cos * u - sin * v, sin * u + cos * v) / (1 + tilt[0] * u + tilt[1] * v)

    size: (width, height); centre: in photo pixels; zoom: photo pixels per output pixel, above 1 the view is smaller
    and is averaged over 2x2 samples per pixel. Cosine and sine are written out, a library's may differ in a last bit.
    """

    size: tuple[int, int]
    centre: tuple[float, float]
    zoom: float = 1.0
    cos: float = 1.0
    sin: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Scene:
    """One pair: the input is ``hr`` (left, top, width, height) of ``photo``, the references are views of ``other``.

    near: a point of ``other`` that shows the middle of the input. aside: a crop of ``other`` beside the input.
    """

    photo: str
    other: str
    hr: Box
    near: tuple[int, int]
    aside: Box
    unrelated: tuple[str, Box]

    @property
    def real(self) -> bool:
        """True if input and references come from two photos of one stereo pair."""
        return self.photo != self.other


_MIDDLEBURY = "Middlebury 2014 stereo benchmark (Scharstein et al., GCPR 2014); scikit-image names no licence"
PHOTOS = {
    "left": Photo(
        "motorcycle_left.png", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179", _MIDDLEBURY
    ),
    "right": Photo(
        "motorcycle_right.png", "5fc913ae870e42a4b662314bc904d1786bcad8e2f0b9b67dba5a229406357797", _MIDDLEBURY
    ),
    "chelsea": Photo(
        "chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "CC0, Stefan van der Walt",
    ),
    "coffee": Photo(
        "coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7", "CC0, Rachel Michetti"
    ),
    "astronaut": Photo(
        "astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5", "public domain, NASA"
    ),
    "camera": Photo(
        "camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a", "CC0, Lav Varshney"
    ),
    "brick": Photo("brick.png", "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf", "CC0, CC0Textures"),
    "gravel": Photo(
        "gravel.png", "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12", "CC0, CC0Textures"
    ),
}
_DISPARITY = Photo(
    "motorcycle_disp.npz", "2e49c8cebff3fa20359a0cc6880c82e1c03bbb106da81a177218281bc2f113d7", _MIDDLEBURY
)

SCENES = {
    "motorcycle": Scene(
        "left", "right", (60, 150, 320, 240), (180, 270), (400, 200, 320, 240), ("chelsea", (24, 40, 256, 224))
    ),
    "shelf": Scene(
        "left", "right", (400, 40, 320, 240), (530, 160), (20, 240, 320, 240), ("coffee", (40, 40, 320, 240))
    ),
    "cat": Scene(
        "chelsea", "chelsea", (24, 40, 256, 224), (160, 146), (288, 40, 160, 224), ("gravel", (16, 16, 320, 240))
    ),
    "coffee": Scene(
        "coffee", "coffee", (40, 60, 320, 240), (210, 190), (368, 120, 224, 240), ("camera", (96, 60, 320, 240))
    ),
    "astronaut": Scene(
        "astronaut", "astronaut", (64, 24, 320, 240), (220, 154), (64, 268, 320, 240), ("brick", (16, 16, 320, 240))
    ),
    "camera": Scene(
        "camera", "camera", (96, 60, 320, 240), (250, 190), (96, 304, 320, 200), ("astronaut", (64, 24, 320, 240))
    ),
    "brick": Scene(
        "brick", "brick", (32, 32, 320, 240), (190, 160), (160, 276, 320, 232), ("coffee", (40, 60, 320, 240))
    ),
    "gravel": Scene(
        "gravel", "gravel", (32, 32, 320, 240), (190, 160), (160, 276, 320, 232), ("left", (400, 40, 320, 240))
    ),
}

# L1 .. L3 of a scene are turned, scaled, shifted and tilted more from level to level.
WARPS = (
    ("turned 5 degrees", View((288, 216), (8, -3), 1.0, 0.99619, 0.08716)),
    (
        "turned -15 degrees, 1.15 times smaller, tilted",
        View((224, 168), (-4, 4), 1.15, 0.96593, -0.25882, (0.0002, 0.0001)),
    ),
    (
        "turned 35 degrees, 1.25 times larger, tilted",
        View((256, 192), (18, 12), 0.8, 0.81915, 0.57358, (-0.0004, 0.0005)),
    ),
)


def render(photo: Image, view: View) -> Image:
    """Render the view of a photo, ``uint8 h x w x 3``: bicubic (a = -0.5), positions and weights in 64ths of a pixel.

    Only single IEEE operations and integers are used, so every processor gives the same bytes. Raises ValueError for a
    view that needs pixels outside the photo.
    """
    width, height = view.size
    samples = 2 if view.zoom > 1 else 1
    u = ((np.arange(width * samples) + 0.5) / samples - width / 2)[None, :]
    v = ((np.arange(height * samples) + 0.5) / samples - height / 2)[:, None]
    depth = 1 + view.tilt[0] * u + view.tilt[1] * v
    x = view.centre[0] + view.zoom * (view.cos * u - view.sin * v) / depth
    y = view.centre[1] + view.zoom * (view.sin * u + view.cos * v) / depth
    out = _bicubic(photo, np.floor(x * 64 + 0.5).astype(np.int64), np.floor(y * 64 + 0.5).astype(np.int64))
    if samples == 2:  # the rounded mean of 2x2 samples prevents aliasing
        out = (out[::2, ::2] + out[1::2, ::2] + out[::2, 1::2] + out[1::2, 1::2] + 2) >> 2
    return out.astype(np.uint8)


def _bicubic(photo: Image, x64: np.ndarray, y64: np.ndarray) -> np.ndarray:
    """Sample ``photo`` at (x64 / 64, y64 / 64), pixel centres at whole numbers: int64, rounded, 0 .. 255."""
    left, top = (x64 >> 6) - 1, (y64 >> 6) - 1
    if left.min() < 0 or top.min() < 0 or left.max() + 3 >= photo.shape[1] or top.max() + 3 >= photo.shape[0]:
        raise ValueError("the view reaches outside the photo")
    # Keys' cubic with a = -0.5 at the four taps around k / 64, in whole numbers
    k = np.arange(64)
    weights = np.stack(  # times 2 * 64**3 = 2**19
        (
            -(k**3) + 128 * k**2 - 4096 * k,
            3 * k**3 - 320 * k**2 + 2 * 64**3,
            -3 * k**3 + 256 * k**2 + 4096 * k,
            k**3 - 64 * k**2,
        )
    )
    across, down = weights[:, x64 & 63, None], weights[:, y64 & 63, None]
    pixels = photo.reshape(-1, 3).astype(np.int64)
    first = top * photo.shape[1] + left
    total = np.zeros((*x64.shape, 3), np.int64)
    for row in range(4):
        line = sum(pixels[first + (row * photo.shape[1] + col)] * across[col] for col in range(4))
        total += line * down[row]
    # Each of two axes has weights times 2**19; adding half a step makes the shift round to the nearest.
    return ((total + (1 << 37)) >> 38).clip(0, 255)


def disparity(pair_id: str = "motorcycle") -> np.ndarray:
    """Return the true disparity of a real pair (``motorcycle``, ``shelf``): float32 H x W at the HR crop, in HR pixels.

    The scene point at HR pixel (y, x) lies at (y, x - disparity[y, x]) of reference L1 if that is inside it; something
    nearer may hide it there. Unknown disparities are NaN. Raises BenchError for another pair or a changed source file.
    """
    scene = SCENES.get(pair_id)
    if scene is None or not scene.real:
        raise BenchError(f"sample: no true disparity for '{pair_id}'; it is known for motorcycle and shelf.")
    with np.load(_checked(_DISPARITY)) as file:
        whole = file["arr_0"]
    left, top, width, height = scene.hr
    cut = whole[top : top + height, left : left + width].astype(np.float32)
    return np.where(np.isfinite(cut), cut - np.float32(left - right_crop(scene)[0]), np.float32(np.nan))


@cache
def stereo_truth(pair_id: str) -> DisparityTruth:
    """Return the true places of the HR pixels of a real pair in its reference L1."""
    return DisparityTruth(disparity(pair_id), _made(pair_id, 1).shape[:2])


def right_crop(scene: Scene) -> Box:
    """Return reference L1 of a real pair: the right photo's crop of the input's size and rows, around ``near``."""
    _, top, width, height = scene.hr
    return (scene.near[0] - width // 2, top, width, height)


def _checked(photo: Photo) -> Path:
    """Return the file in scikit-image's data folder. Raises BenchError when it is absent or not the bytes we know."""
    with resources.as_file(resources.files("skimage") / "data" / photo.file) as path:
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    if found != photo.sha256:
        state = "lacks" if found is None else "has another version of"
        raise BenchError(
            f"sample: the installed scikit-image {state} data/{photo.file}, so the sample set cannot be made here. "
            "Install another scikit-image version (0.26 is known to work)."
        )
    return path


@cache
def _photo(key: str) -> Image:
    return read_image(_checked(PHOTOS[key]))


def _crop(key: str, box: Box) -> Image:
    left, top, width, height = box
    return _photo(key)[top : top + height, left : left + width].copy()


@cache
def _made(pair_id: str, level: int) -> Image:
    """Return an image of a pair, read-only: level 0 is the input, 1 .. 5 the references."""
    scene = SCENES[pair_id]
    if level == 0:
        image = _crop(scene.photo, scene.hr)
    elif level == 1 and scene.real:
        image = _crop(scene.other, right_crop(scene))
    elif level <= 3:
        warp = WARPS[level - 1][1]
        centre = (scene.near[0] + warp.centre[0], scene.near[1] + warp.centre[1])
        image = render(_photo(scene.other), View(warp.size, centre, warp.zoom, warp.cos, warp.sin, warp.tilt))
    else:
        image = _crop(scene.other, scene.aside) if level == 4 else _crop(*scene.unrelated)
    image.flags.writeable = False
    return image


def load(pair_id: str, level: int) -> Image:
    """Return an image of a pair as the caller's own array: level 0 is the input, 1 .. 5 the references."""
    return _made(pair_id, level).copy()


@cache
def digest() -> str:
    """Return SHA-256 over ids, levels, shapes and pixels of all images as they are made here."""
    content = [
        [pair_id, level, _made(pair_id, level).shape, hashlib.sha256(_made(pair_id, level).tobytes()).hexdigest()]
        for pair_id in SCENES
        for level in range(6)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
