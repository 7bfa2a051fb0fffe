"""The line of pictures that opens the first page: LR, references, every method and HR, the same part of one image.

The image is the one on which the methods of a table differ most, the part is that of the image's close-up
(``pictures.telling_crop``), and each picture leads to the page of the image, with the divider at that part.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import numpy as np

from leaderboard.pages.gallery import ImagePage, Lineup, Scene, Shot, Tile
from leaderboard.reading.pictures import Store
from leaderboard.text import clean, number

MOST_SHOTS = 12  # methods in one line; three lines of a wide window
MOST_REFS = 2  # references, of which some data sets have five


@dataclass(frozen=True)
class Pixels:
    """The pixels of a scene, uint8 RGB: of its shots, of HR, and of LR's part as ``lr_part`` makes it."""

    shots: tuple[np.ndarray, ...]
    hr: np.ndarray | None
    lr: np.ndarray | None


def most_telling(scenes: Iterable[Scene]) -> Scene | None:
    """Return the scene whose methods differ most, among those that show most methods; the first of equals."""
    return max(scenes, key=lambda scene: (len(scene.shots), scene.spread), default=None)


def lineup(scene: Scene, page: ImagePage, pixels: Pixels, store: Store) -> Lineup:
    """Return the line of a scene, whose parts are stored at once. Raises BenchError."""
    chosen = _best(scene, pixels)
    zoom = _zoom(scene)
    x, y, w, h = scene.crop
    first = scene.shots[chosen[0]].key
    other = "hr" if pixels.hr is not None else scene.shots[chosen[-1]].key
    parts = [] if pixels.lr is None else [("LR", pixels.lr, "lr", other, "")]
    for n, title in zip(chosen, _titles(scene.shots, chosen), strict=True):
        shot = scene.shots[n]
        line = "" if shot.crop_psnr is None else f"{number(shot.crop_psnr, 2)} dB"
        parts.append((title, pixels.shots[n][y : y + h, x : x + w], shot.key, other, line))
    if pixels.hr is not None:
        parts.append(("HR", pixels.hr[y : y + h, x : x + w], first, "hr", ""))
    tiles = tuple(
        Tile(title, store.part(part), (w, h), f"{title}: the framed part", _view(scene, left, right, zoom), line)
        for title, part, left, right, line in parts
    )
    return Lineup(scene, page, _whole(scene), tiles, len(scene.shots) - len(chosen))


def _titles(shots: Sequence[Shot], chosen: Sequence[int]) -> list[str]:
    """Return the titles of shots, with the name of the weights behind those that stand twice."""
    count = Counter(shots[n].title for n in chosen)
    weights = [clean(shots[n].cell.run.result.run.method.weights.name) for n in chosen]
    return [
        f"{shots[n].title} ({name})" if count[shots[n].title] > 1 else shots[n].title
        for n, name in zip(chosen, weights, strict=True)
    ]


def lr_part(lr: np.ndarray, scene: Scene, corner: tuple[int, int], scale: int) -> np.ndarray | None:
    """Return the framed part of LR as large as that of HR, each of its pixels a square; None if LR does not hold it.

    corner: (top, left) of HR in the frame that LR was made from.
    """
    from PIL import Image

    x, y, w, h = scene.crop
    top, left = corner
    box = ((left + x) / scale, (top + y) / scale, (left + x + w) / scale, (top + y + h) / scale)
    if box[2] > lr.shape[1] or box[3] > lr.shape[0]:
        return None
    return np.asarray(Image.fromarray(lr).resize((w, h), Image.Resampling.NEAREST, box=box))


def _best(scene: Scene, pixels: Pixels) -> list[int]:
    """Return the positions of the shots in the line, in their order: all, or those that restore the part best."""
    fitting = [n for n, image in enumerate(pixels.shots) if (image.shape[1], image.shape[0]) == scene.size]
    values = [shot.crop_psnr for shot in scene.shots]
    order = sorted(fitting, key=lambda n: (-math.inf if values[n] is None else values[n], -n))
    return sorted(order[-MOST_SHOTS:])


def _whole(scene: Scene) -> tuple[Tile, ...]:
    """Return HR, or the first SR, and the references."""
    shown = scene.hr or scene.shots[0].picture
    by = "" if scene.hr else f", {scene.shots[0].title}"
    alt = "The whole image with a frame around the part"
    tiles = [Tile(f"Whole image{by}", shown.thumb, shown.thumb_size, alt, _view(scene))]
    for n, (name, ref) in enumerate(scene.refs[:MOST_REFS], 1):
        title = f"Reference {n}" if len(scene.refs) > 1 else "Reference"
        tiles.append(Tile(title, ref.thumb, ref.thumb_size, f"{title}, {name}", _view(scene)))
    return tuple(tiles)


def _zoom(scene: Scene) -> str:
    """Return the zoom and centre of the part, as ``assets/gallery.js`` keeps them in an address."""
    x, y, w, h = scene.crop
    width, height = scene.size
    return ",".join(f"{value:.4f}" for value in (width / w, (x + w / 2) / width, (y + h / 2) / height))


def _view(scene: Scene, left: str = "", right: str = "", zoom: str = "") -> str:
    state = {"p": scene.table.key} | ({"a": left, "b": right, "v": zoom} if zoom else {})
    return urlencode(state, safe=",")
