"""Makes a study folder: the images that people will see, under names that reveal nothing, and the plan beside them."""

from __future__ import annotations

import hashlib
import io
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import MOST_DIGITS
from refsr_bench.core.types import Image
from refsr_bench.study import plan as plans
from refsr_bench.study.options import Wish
from refsr_bench.study.plan import BLURRED, CHECK, IMAGES, PAIR, SHARP, Item, Plan
from refsr_bench.study.sources import Origin, Source

BLUR = 8  # Checks: an image reduced by this factor and enlarged again, which nobody who looks takes for the sharp one.
MOST_CHECKS = 20  # number of different ones; a participant who is asked more sees some again
PER_PERSON = 60  # most comparisons by default: about eight minutes
WISHED = ("title", "question", "focus", "reference", "ties", "crop", "attention", "repeats", "pass_share", "seed")
KNOWN = ("dataset", "dataset_title", "dataset_sha256", "protocol", "protocol_digest")

Progress = Callable[[int, int], None]


def init(
    folder: Path,
    sources: Sequence[Source],
    origin: Origin,
    wish: Wish,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """Make the study folder, whole or not at all. The same images and wishes give the same folder.

    Raises Misuse when ``folder`` exists or nothing can be compared; BenchError for images that cannot be read or differ
    in size.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} exists already; studies are never overwritten. Choose another folder.")
    _check(wish, [source.method.name for source in sources], origin)
    names, notes = _chosen(sources, origin, wish)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        images = files.make_folder(partial / IMAGES)
        items, equal = _items(images, _scenes(sources, origin, wish, names, progress), sources, wish)
        if equal:
            notes.append(f"{equal} comparisons of identical images are left out")
        plans.write(partial, _plan(sources, origin, wish, names, items, notes))
        made = plans.read(partial)
        if folder.exists():
            folder.rmdir()  # it is empty; Windows cannot rename onto an existing folder
        files.move(partial, folder)
    except OSError as error:
        raise files.cannot_write(folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


def _check(wish: Wish, names: Sequence[str], origin: Origin) -> None:
    if len(names) < 2 or len(set(names)) != len(names):
        raise Misuse("A study compares at least two methods, each named once.")
    if wish.focus and wish.focus not in names:
        raise Misuse(f"{wish.focus} is not among the methods: {', '.join(names)}.")
    if reserved := {SHARP, BLURRED} & set(names):
        raise Misuse(f"{reserved.pop()} is what checks are called; give the method another name.")
    if not all(0 <= share <= 1 for share in (wish.attention, wish.repeats, wish.pass_share)):
        raise Misuse("Shares are between 0 and 1.")
    if not 0 <= wish.seed < 10**MOST_DIGITS:
        raise Misuse(f"--seed is a whole number of at most {MOST_DIGITS} digits.")
    if wish.reference == "hr" and not origin.hr:
        raise Misuse("HR images are not known here: give --hr-images DIR.")
    if wish.reference == "ref" and not origin.refs:
        raise Misuse("References are not known here: give --ref-images DIR.")


def _chosen(sources: Sequence[Source], origin: Origin, wish: Wish) -> tuple[list[str], list[str]]:
    """Return the names of the images that every method has, cut to the limit, and notes on what is left out."""
    common = sorted(set.intersection(*(set(source.images) for source in sources)))
    if not common:
        raise Misuse("The methods have no image in common: images belong together by their file names.")
    notes = [
        f"{len(source.images) - len(common)} images of {source.method.title} have no counterpart and are left out"
        for source in sources
        if len(source.images) > len(common)
    ]
    if wish.limit and wish.limit < len(common):
        notes.append(f"{wish.limit} of {len(common)} images, chosen at random (seed {wish.seed})")
        rng = np.random.default_rng(wish.seed)
        common = sorted(rng.choice(common, wish.limit, replace=False).tolist())
    if wish.reference != "none":
        known = {"hr": origin.hr, "ref": origin.refs}[wish.reference]
        if missing := [name for name in common if name not in known]:
            raise Misuse(f"There is no {wish.reference.upper()} image called {missing[0]} to show beside the methods'.")
    return common, notes


@dataclass(frozen=True)
class Scene:
    """One image in all its versions, cut to the window that is shown. shown: the methods' images by method.

    sharp: the image that a check is made from. beside: the reference that people see, or None.
    """

    name: str
    shown: dict[str, Image]
    sharp: Image
    beside: Image | None


def _scenes(
    sources: Sequence[Source], origin: Origin, wish: Wish, names: Sequence[str], progress: Progress
) -> Iterator[Scene]:
    """Yield every image in all its versions, one after the other.

    Raises BenchError for versions that differ in size.
    """
    checks_show_hr = _hr_is_known(origin, names)
    for done, name in enumerate(names):
        progress(done, len(names))
        read = {source.method.name: source.images[name]() for source in sources}
        hr = origin.hr[name]() if name in origin.hr else None
        sizes = {image.shape for image in (*read.values(), *(() if hr is None else (hr,)))}
        if len(sizes) > 1:
            words = ", ".join(f"{method} {image.shape[1]}x{image.shape[0]}" for method, image in read.items())
            raise BenchError(
                f"The images called {name} differ in size ({words}{'' if hr is None else ', or from HR'})."
            )
        # All methods share one window that favours none: it follows HR, or the mean of all versions.
        window = _window(hr if hr is not None else np.mean([*read.values()], axis=0), wish.crop)
        beside = None
        if wish.reference == "hr":
            beside = hr[window]
        elif wish.reference == "ref":
            beside = origin.refs[name]()  # whole, because it shows something similar, not the same place
        sharp = hr if checks_show_hr else read[sources[0].method.name]
        yield Scene(name, {method: image[window] for method, image in read.items()}, sharp[window], beside)
    progress(len(names), len(names))


def _hr_is_known(origin: Origin, names: Sequence[str]) -> bool:
    """Tell whether every image has HR; otherwise all checks are made from the first method's images."""
    return all(name in origin.hr for name in names)


class _Check(NamedTuple):
    """A check that may be asked. Sorting puts the clearest first; names break ties.

    gain: minus the mean grey levels that the blur takes away. sharp, blurred: PNG data.
    """

    gain: float
    name: str
    sharp: bytes
    blurred: bytes
    beside: str


def _items(folder: Path, scenes: Iterable[Scene], sources: Sequence[Source], wish: Wish) -> tuple[list[Item], int]:
    """Store every image that may be shown; return the comparisons, and how many pairs are left out as identical."""
    key = hashlib.blake2s(f"study/{wish.seed}".encode()).digest()  # another seed gives the images other names
    items: list[Item] = []
    checks: list[_Check] = []
    equal = 0
    for scene in scenes:
        shown = {method: _store(folder, _png(image), key) for method, image in scene.shown.items()}
        beside = "" if scene.beside is None else _store(folder, _png(scene.beside), key)
        for a, b in _duels([source.method.name for source in sources], wish.focus):
            if shown[a] == shown[b]:
                equal += 1
                continue
            items.append(Item(f"p{len(items) + 1:05d}", PAIR, scene.name, a, b, shown[a], shown[b], beside))
        if wish.attention:
            blurred = _blurred(scene.sharp)
            loss = float(np.abs(scene.sharp.astype(np.float32) - blurred).mean())
            checks.append(_Check(-loss, scene.name, _png(scene.sharp), _png(blurred), beside))
            checks = sorted(checks)[:MOST_CHECKS]
    if not items:
        raise Misuse("Every two images are the same, pixel for pixel: there is nothing to choose.")
    if wish.per_person > len(items):
        raise Misuse(f"--per-person {wish.per_person}: there are only {len(items)} comparisons.")
    for number, check in enumerate(checks, 1):
        pair = [_store(folder, data, key) for data in (check.sharp, check.blurred)]
        items.append(Item(f"c{number:02d}", CHECK, check.name, SHARP, BLURRED, *pair, check.beside))
    return items, equal


def _duels(methods: Sequence[str], focus: str) -> list[tuple[str, str]]:
    """Return the pairs of methods, each as (a, b) of "a preferred over b"."""
    return [(focus, name) for name in methods if name != focus] if focus else list(combinations(methods, 2))


def _store(folder: Path, data: bytes, key: bytes) -> str:
    """Write an image under a name that reveals nothing, the same content once; return the name."""
    name = hashlib.blake2s(data, key=key, digest_size=16).hexdigest() + ".png"
    if not (folder / name).exists():
        files.write_bytes(folder / name, data)
    return name


def _plan(
    sources: Sequence[Source],
    origin: Origin,
    wish: Wish,
    names: Sequence[str],
    items: Sequence[Item],
    notes: Sequence[str],
) -> Plan:
    pairs = sum(item.kind == PAIR for item in items)
    made_from = "HR images" if _hr_is_known(origin, names) else f"the results of {sources[0].method.title}"
    return Plan(
        methods=tuple(source.method for source in sources),
        per_person=wish.per_person or min(pairs, PER_PERSON),
        checks_from=made_from if len(items) > pairs else "",
        items=tuple(items),
        notes=tuple(notes),
        **{name: getattr(wish, name) for name in WISHED},
        **{name: getattr(origin, name) for name in KNOWN},
    )


def _window(guide: np.ndarray, side: int) -> tuple[slice, slice]:
    """Return the square window with most detail: the largest sum of absolute differences between neighbouring pixels.

    guide: (H, W, 3). side: in pixels at most; 0 for the whole image. The first of equal windows wins.
    """
    height, width = guide.shape[:2]
    if not side or (side >= height and side >= width):
        return slice(0, height), slice(0, width)
    grey = guide.astype(np.float64).mean(2)
    edges = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    detail = np.zeros((height + 1, width + 1))  # the integral image: each window's sum comes from its four corners
    detail[1:, 1:] = edges.cumsum(0).cumsum(1)
    rows, columns = min(side, height), min(side, width)
    sums = detail[rows:, columns:] - detail[:-rows, columns:] - detail[rows:, :-columns] + detail[:-rows, :-columns]
    # Rounding removes the noise of the four corners' sums, which would decide between equals.
    top, left = np.unravel_index(np.argmax(sums.round(6)), sums.shape)
    return slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)


def _blurred(image: Image) -> Image:
    height, width = image.shape[:2]
    reduced, cubic = (max(1, width // BLUR), max(1, height // BLUR)), PilImage.Resampling.BICUBIC
    return np.asarray(PilImage.fromarray(image).resize(reduced, cubic).resize((width, height), cubic))


def _png(image: Image) -> bytes:
    """Return PNG data of the pixels alone, without any metadata."""
    data = io.BytesIO()
    PilImage.fromarray(np.ascontiguousarray(image)).save(data, format="PNG")
    return data.getvalue()
