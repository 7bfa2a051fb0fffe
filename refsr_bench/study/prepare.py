"""Making a study folder: the images that people will see, under names that say nothing, and the plan beside them."""

from __future__ import annotations

import hashlib
import io
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.study import plan as plans
from refsr_bench.study.options import Wish
from refsr_bench.study.plan import BLURRED, CHECK, IMAGES, PAIR, SHARP, Item, Plan
from refsr_bench.study.sources import Origin, Source

BLUR = 8  # checks: reduced by this factor and enlarged again, which nobody who looks takes for the sharp image
MOST_CHECKS = 20  # different ones; who is asked more sees some again
PER_PERSON = 60  # comparisons, at most, unless somebody asks for more: about eight minutes

Progress = Callable[[int, int], None]


def init(
    folder: Path,
    sources: Sequence[Source],
    origin: Origin,
    wish: Wish,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """Make the study folder, whole or not at all. The same images and wishes make the same folder.

    Raises Misuse when ``folder`` exists, or nothing can be compared; BenchError for images that cannot be read or
    differ in size.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} exists already; studies are never overwritten. Choose another folder.")
    _check(wish, [source.method.name for source in sources], origin)
    names, notes = _chosen(sources, origin, wish)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        key = hashlib.blake2s(f"study/{wish.seed}".encode()).digest()
        shelf = _Shelf(files.make_folder(partial / IMAGES), key)
        plans.write(partial, _made(_Setting(sources, origin, wish, names), shelf, notes, progress))
        made = plans.read(partial)
        if folder.exists():
            folder.rmdir()  # it is empty; Windows renames onto nothing that exists
        files.move(partial, folder)
    except OSError as error:
        raise files.cannot_write(folder, error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return made


# -- what is compared ----------------------------------------------------------------------------------------------


def _check(wish: Wish, names: Sequence[str], origin: Origin) -> None:
    if len(names) < 2 or len(set(names)) != len(names):
        raise Misuse("A study compares at least two methods, each named once.")
    if wish.focus and wish.focus not in names:
        raise Misuse(f"{wish.focus} is not among the methods: {', '.join(names)}.")
    if reserved := {SHARP, BLURRED} & set(names):
        raise Misuse(f"{reserved.pop()} is what checks are called; give the method another name.")
    if not all(0 <= share <= 1 for share in (wish.attention, wish.repeats, wish.pass_share)):
        raise Misuse("Shares are between 0 and 1.")
    if wish.reference == "hr" and not origin.hr:
        raise Misuse("HR images are not known here: give --hr DIR.")
    if wish.reference == "ref" and not origin.refs:
        raise Misuse("References are not known here: give --refs DIR.")


def _chosen(sources: Sequence[Source], origin: Origin, wish: Wish) -> tuple[list[str], list[str]]:
    """The names of the images that every method has, cut to the limit, and notes of what is left out."""
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

    sharp: the image that a check is made of; beside: the reference that people see, None for none.
    """

    name: str
    shown: dict[str, Image]
    sharp: Image
    beside: Image | None


@dataclass(frozen=True)
class _Setting:
    """What a study is made of. names: of the images, in order."""

    sources: Sequence[Source]
    origin: Origin
    wish: Wish
    names: Sequence[str]

    @cached_property
    def duels(self) -> list[tuple[str, str]]:
        """The pairs of methods, each as (a, b) of "a preferred over b"."""
        methods, focus = [source.method.name for source in self.sources], self.wish.focus
        if focus:
            return [(focus, name) for name in methods if name != focus]
        return list(combinations(methods, 2))

    @cached_property
    def hr_is_known(self) -> bool:
        """Whether HR is there for every image; else checks are made of the first method's images, all of them."""
        return set(self.names) <= set(self.origin.hr)

    def scenes(self, progress: Progress) -> Iterator[Scene]:
        """Every image in all its versions. Raises BenchError for versions that differ in size."""
        for done, name in enumerate(self.names):
            progress(done, len(self.names))
            yield self._scene(name)
        progress(len(self.names), len(self.names))

    def _scene(self, name: str) -> Scene:
        read = {source.method.name: source.images[name]() for source in self.sources}
        hr = self.origin.hr[name]() if name in self.origin.hr else None
        sizes = {image.shape for image in (*read.values(), *(() if hr is None else (hr,)))}
        if len(sizes) > 1:
            words = ", ".join(f"{method} {image.shape[1]}x{image.shape[0]}" for method, image in read.items())
            raise BenchError(
                f"The images called {name} differ in size ({words}{'' if hr is None else ', or from HR'})."
            )
        # The window is the same for all methods and favours none: it follows HR, or the mean of them all.
        window = _window(hr if hr is not None else np.mean([*read.values()], axis=0), self.wish.crop)
        beside = None
        if self.wish.reference == "hr":
            beside = hr[window]
        elif self.wish.reference == "ref":
            beside = self.origin.refs[name]()  # whole: it shows something similar, not the same place
        shown = {method: image[window] for method, image in read.items()}
        sharp = hr[window] if self.hr_is_known else shown[self.sources[0].method.name]
        return Scene(name, shown, sharp, beside)


# -- the plan ------------------------------------------------------------------------------------------------------


def _made(setting: _Setting, shelf: _Shelf, notes: list[str], progress: Progress) -> Plan:
    """Store every image that may be shown; returns the plan."""
    wish, origin = setting.wish, setting.origin
    items: list[Item] = []
    checks: list[_Check] = []
    equal = 0
    for scene in setting.scenes(progress):
        shown = {method: shelf.store(image) for method, image in scene.shown.items()}
        beside = shelf.store(scene.beside)
        for a, b in setting.duels:
            if shown[a] == shown[b]:
                equal += 1
                continue
            items.append(Item(f"p{len(items) + 1:05d}", PAIR, scene.name, a, b, shown[a], shown[b], beside))
        if wish.attention:
            checks = sorted([*checks, _check_of(scene, beside)], key=_Check.order)[:MOST_CHECKS]
    pairs = len(items)
    if not pairs:
        raise Misuse("Every two images are the same, pixel for pixel: there is nothing to choose.")
    if wish.per_person > pairs:
        raise Misuse(f"--per-person {wish.per_person}: there are only {pairs} comparisons.")
    if equal:
        notes = [*notes, f"{equal} comparisons of identical images are left out"]
    for number, check in enumerate(checks, 1):
        stored = (shelf.keep(check.sharp), shelf.keep(check.blurred), check.beside)
        items.append(Item(f"c{number:02d}", CHECK, check.name, SHARP, BLURRED, *stored))
    made_from = "HR images" if setting.hr_is_known else f"the results of {setting.sources[0].method.title}"
    return Plan(
        title=wish.title,
        question=wish.question,
        methods=tuple(source.method for source in setting.sources),
        focus=wish.focus,
        reference=wish.reference,
        ties=wish.ties,
        crop=wish.crop,
        per_person=wish.per_person or min(pairs, PER_PERSON),
        attention=wish.attention,
        repeats=wish.repeats,
        pass_share=wish.pass_share,
        seed=wish.seed,
        checks_from=made_from if checks else "",
        items=tuple(items),
        dataset=origin.dataset,
        dataset_title=origin.dataset_title,
        dataset_sha256=origin.dataset_sha256,
        protocol=origin.protocol,
        protocol_digest=origin.protocol_digest,
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Check:
    """A check that may be asked. sharp, blurred: PNG data; loss: how much the blur takes, in mean grey levels."""

    loss: float
    name: str
    sharp: bytes
    blurred: bytes
    beside: str

    def order(self) -> tuple[float, str]:
        """The clearest checks first; of equals, by name."""
        return -self.loss, self.name


def _check_of(scene: Scene, beside: str) -> _Check:
    blurred = _blurred(scene.sharp)
    loss = float(np.abs(scene.sharp.astype(np.float32) - blurred).mean())
    return _Check(loss, scene.name, _png(scene.sharp), _png(blurred), beside)


# -- pictures ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shelf:
    """The folder of a study's images. key: of the digests that name them."""

    folder: Path
    key: bytes

    def store(self, image: Image | None) -> str:
        """Write an image; returns its name, "" for None."""
        return "" if image is None else self.keep(_png(image))

    def keep(self, data: bytes) -> str:
        """Write PNG data under a name that says nothing, the same content once; returns the name."""
        name = hashlib.blake2s(data, key=self.key, digest_size=16).hexdigest() + ".png"
        if not (self.folder / name).exists():
            files.write_bytes(self.folder / name, data)
        return name


def _window(guide: np.ndarray, side: int) -> tuple[slice, slice]:
    """The square window with most detail: the largest sum of absolute differences between neighbouring pixels.

    guide: (H, W, 3); side: in pixels at most, 0 for the whole image. The first of equals wins.
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
    # Rounded, because the four corners leave rounding noise that would decide between equals.
    top, left = np.unravel_index(np.argmax(sums.round(6)), sums.shape)
    return slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)


def _blurred(image: Image) -> Image:
    height, width = image.shape[:2]
    reduced, cubic = (max(1, width // BLUR), max(1, height // BLUR)), PilImage.Resampling.BICUBIC
    return np.asarray(PilImage.fromarray(image).resize(reduced, cubic).resize((width, height), cubic))


def _png(image: Image) -> bytes:
    """PNG data of the pixels alone, without any metadata."""
    data = io.BytesIO()
    PilImage.fromarray(np.ascontiguousarray(image)).save(data, format="PNG")
    return data.getvalue()
