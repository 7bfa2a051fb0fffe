"""Super-resolves photos in files: which photo gets which references, where SR goes, and one after the other.

    photos, references ─► jobs ─► restore (for each job) ─► SR in a file
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from refsr_bench.api.upscaling import Upscaler, require_refs
from refsr_bench.core.cards import MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import FoundBy
from refsr_bench.core.types import Image, Prediction
from refsr_bench.pixels import images, photos
from refsr_bench.pixels.photos import Photo
from refsr_bench.tiles.running import Track

PATTERN = "*?["  # characters that make a name a pattern
SUFFIX = ".png"


@dataclass(frozen=True)
class Job:
    """One photo to restore. refs: its references, in order. there: SR exists already, and stays as it is."""

    lr: Path
    refs: tuple[Path, ...]
    out: Path
    there: bool = False


class Seen(NamedTuple):
    """A view of a reference. reference: its number. share: of the image that was taken from it, or that it shows."""

    reference: int
    found_by: FoundBy
    share: float


@dataclass(frozen=True)
class Restored:
    """The outcome of one photo.

    size: (width, height) of SR. tile: the side of the tiles, LR pixels; None for the whole image at once. views: those
    that were used of a whole image. bits: per channel, as written; lr_bits: as read.
    """

    size: tuple[int, int]
    tile: int | None
    views: tuple[Seen, ...]
    bits: int
    lr_bits: int


def jobs(lr: Sequence[Path], refs: Sequence[Path], out: Path, card: MethodCard, overwrite: bool) -> list[Job]:
    """Decide which photos are restored with which references, and where each result goes.

    lr: files, folders, and patterns such as ``photos/*.jpg``. With one file, ``out`` is a .png, or a folder that
    exists. With anything else it is a folder, which gets a .png for each photo; what is there already stays, unless
    ``overwrite``.
    refs: a file or a pattern is for every photo. A folder is for one photo as a whole; for several, a photo gets the
    images that are called like it, with or without something after "_", "-" or ".", and those in a folder called so.

    Raises Misuse for a path that does not exist, a pattern or a folder without images, two photos with one result, a
    single result that exists, and a method that needs references and gets none at all.
    """
    found = [path for given in lr for path in _images(given)]
    single = len(lr) == 1 and _is_file(lr[0])
    require_refs(card, len(refs))
    if single and not out.is_dir():
        if out.suffix.lower() != SUFFIX:
            raise Misuse(f"--out {out}: SR is written as PNG, without loss. Give a name that ends in {SUFFIX}.")
        if out.exists() and not overwrite:
            raise Misuse(f"{out} exists. Choose another --out, or give --overwrite to replace it.")
        return [Job(found[0], _for_all(refs), out)]
    if out.exists() and not out.is_dir():
        raise Misuse(f"--out {out}: a folder is needed for {len(found)} photos, and this is a file.")
    shared = _for_all([ref for ref in refs if not (len(found) > 1 and ref.is_dir())])
    folders = [ref for ref in refs if len(found) > 1 and ref.is_dir()]
    places: dict[Path, Path] = {}
    planned = []
    for path in found:
        target = out / f"{path.stem}{SUFFIX}"
        if target in places:
            raise Misuse(f"{places[target]} and {path} would both be written to {target}. Rename one.")
        if target.resolve() == path.resolve():
            raise Misuse(f"--out {out}: SR would replace the photo {path}. Choose another folder.")
        places[target] = path
        own = tuple(ref for folder in folders for ref in _called_like(path, folder))
        planned.append(Job(path, (*own, *shared), target, target.exists() and not overwrite))
    return planned


def _is_file(given: Path) -> bool:
    """Tell whether a person named one file; a name that exists is no pattern, whatever its characters."""
    return given.exists() and not given.is_dir()


def _images(given: Path) -> list[Path]:
    """Return the image files that a path names: itself, those of a folder, or those that fit a pattern."""
    if _is_file(given):
        return [given]
    if given.is_dir():
        found = images.image_files(given)
    elif any(character in str(given) for character in PATTERN):
        fitting = (Path(name) for name in glob.glob(str(given), recursive=True))
        found = sorted(path for path in fitting if path.is_file() and path.suffix.lower() in images.EXTENSIONS)
    else:
        raise Misuse(f"{given}: no such file or folder.")
    if not found:
        raise Misuse(f"{given}: no PNG, JPEG, BMP, WebP or TIFF image is there.")
    return found


def _for_all(refs: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(path for ref in refs for path in _images(ref))


def _called_like(photo: Path, folder: Path) -> list[Path]:
    """Return the images of a folder that belong to a photo by their names, and those in a folder of its name."""
    like = re.compile(rf"{re.escape(photo.stem)}(?:[_.-].*)?\Z")
    found = [path for path in images.image_files(folder) if like.match(path.stem)]
    own = folder / photo.stem
    return found + (images.image_files(own) if own.is_dir() else [])


@dataclass
class Restorer:
    """Restores photos one after the other with one method. References of the photo before are kept in memory."""

    upscaler: Upscaler
    kept: tuple[tuple[Path, ...], list[Photo]] = field(default=((), []))

    def __call__(self, job: Job, track: Track = lambda done, total: None) -> Restored:
        """Restore one photo and write SR. track: is told of tiles.

        Raises BenchError for files that cannot be read or written, and when the photo has no reference.
        """
        card = self.upscaler.card
        if card.references != "none" and not job.refs:
            raise BenchError(f"{job.lr}: no reference is called like it.")
        photo = photos.read(job.lr)
        low = photo if self.upscaler.loaded.deep else photo.eight()
        made = self.upscaler(low.pixels, self._references(job, photo), track)
        photos.write(job.out, low.enlarged(made.sr))
        height, width = made.sr.shape[:2]
        return Restored((width, height), made.tile, _seen(made), low.bits, photo.bits)

    def _references(self, job: Job, photo: Photo) -> list[Image]:
        """Return the references in the colours of a photo; a broken one is told even if the method looks at none."""
        if self.kept[0] != job.refs:
            self.kept = ((), [])  # lets the old ones go first
            self.kept = (job.refs, [photos.read(path).eight() for path in job.refs])
        return [photos.in_space_of(ref, photo).pixels for ref in self.kept[1]]


def _seen(made: Prediction) -> tuple[Seen, ...]:
    shares = made.shares or [float(view.valid.mean()) for view in made.views]
    return tuple(Seen(v.reference, v.found_by, share) for v, share in zip(made.views, shares, strict=True))


def restored(
    planned: Sequence[Job], restorer: Restorer, track: Track = lambda done, total: None
) -> Iterator[tuple[Job, Restored | str]]:
    """Restore what is not there yet; yield each job with what became of it, or the reason why it failed.

    One photo that fails does not stop the others.
    """
    for job in planned:
        if job.there:
            continue
        try:
            yield job, restorer(job, track)
        except Exception as error:  # whatever a method raises is its photo's failure
            yield job, str(error) if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
