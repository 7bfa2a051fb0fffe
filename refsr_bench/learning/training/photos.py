"""Photos for training, found in folders, drawn by number and read when needed.

Sample ``i`` of a stream depends on the seed and ``i`` alone, not on what was drawn before. Therefore a resumed
training continues exactly, and several processes together see what one would.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.learning.training.config import Training
from refsr_bench.learning.training.parallel import ALONE, Parallel
from refsr_bench.learning.training.views import restoration_pair, view_of
from refsr_bench.pixels.images import image_files, read_image
from refsr_bench.pixels.resize import resize_pil_bicubic

LARGE = 400  # photos whose short side exceeds this are reduced by ``photos.shrink`` first
ATTEMPTS = 100  # photos tried in a row before a training gives up


@dataclass(frozen=True)
class Photo:
    """A photo to train on. refs: photos of the same scene; paired: the data set itself names them its references."""

    path: Path
    refs: tuple[Path, ...] = ()
    paired: bool = False


@dataclass
class Sample:
    """One sample. tensors: by name; skipped: the errors of photos that could not be used while it was drawn."""

    tensors: dict[str, Tensor]
    skipped: list[str] = field(default_factory=list)


# -- finding photos ------------------------------------------------------------------------------------------------


def find_photos(folders: Sequence[Path]) -> list[Photo]:
    """List the photos in the folders, sorted within each.

    A folder holds pairs (``input/`` or ``hr/`` with ``ref/``, or ``pairs.txt``), or scenes (one folder of photos each)
    and single photos in any mixture. Raises Misuse for a folder without photos.
    """
    found = []
    for folder in folders:
        here = _photos_of(folder)
        if not here:
            raise Misuse(
                f"--data {folder}: no photos there. Expected image files, one folder of photos per scene, or pairs: "
                "input/ (or hr/) and ref/ with the same names, or pairs.txt."
            )
        found += here
    return found


def _photos_of(folder: Path) -> list[Photo]:
    if not folder.is_dir():
        raise Misuse(f"--data {folder}: there is no such folder.")
    hr = any((folder / name).is_dir() for name in ("hr", "HR", "input"))
    if (folder / "pairs.txt").is_file() or hr:
        pairs = catalogue.get("DATASETS", "folder").open(folder).pairs
        return [Photo(pair.hr.path, tuple(ref.path for ref in pair.refs), paired=True) for pair in pairs]
    photos = [Photo(path) for path in image_files(folder)]
    for scene in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        files = image_files(scene)
        photos += [Photo(path, tuple(other for other in files if other != path)) for path in files]
    return photos


def split(photos: Sequence[Photo], held_out: int) -> tuple[list[Photo], list[Photo]]:
    """Split photos into those for training and those for validation.

    ``held_out`` photos, at most a fifth, are chosen by a hash of their names and kept out of training, as references
    too. Fewer than five photos are all used for both.
    """
    n = min(held_out, len(photos) // 5)
    if not n:
        return list(photos), list(photos)
    chosen = sorted(photos, key=lambda photo: hashlib.sha256(photo.path.name.encode()).digest())[:n]
    kept = {photo.path for photo in chosen}
    training = [
        Photo(photo.path, tuple(ref for ref in photo.refs if ref not in kept), photo.paired)
        for photo in photos
        if photo.path not in kept
    ]
    return [photo for photo in training if photo.refs or not photo.paired], chosen


# -- drawing samples -----------------------------------------------------------------------------------------------


class Stream(Dataset):
    """A stream of samples by number. Every epoch visits the photos in a new order.

    crop: side of a crop, pixels. name: separates the streams of one seed.
    """

    def __init__(self, photos: Sequence[Photo], training: Training, crop: int, name: str) -> None:
        self.photos, self.training, self.crop = photos, training, crop
        self.key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")

    def _rng(self, *numbers: int) -> np.random.RandomState:
        seed = np.random.SeedSequence((self.training.run.seed, self.key, *numbers))
        return np.random.RandomState(np.random.MT19937(seed))

    def __getitem__(self, number: int) -> Sample:
        rng, skipped = self._rng(0, number), []
        epoch, position = divmod(number, len(self.photos))
        order = self._rng(1, epoch).permutation(len(self.photos))
        for attempt in range(min(ATTEMPTS, len(self.photos))):
            photo = self.photos[order[(position + attempt) % len(self.photos)]]
            try:
                return Sample(self.draw(photo, rng), skipped)
            except BenchError as error:
                skipped.append(str(error))
        raise BenchError(f"{len(skipped)} photos in a row cannot be used. The first: {skipped[0]}")

    def draw(self, photo: Photo, rng: np.random.RandomState) -> dict[str, Tensor]:
        raise NotImplementedError

    def read(self, path: Path, rng: np.random.RandomState) -> Image:
        """Read a photo, reduced if it is large. Raises BenchError when it is damaged or smaller than a crop."""
        image = read_image(path)
        height, width = image.shape[:2]
        factor = max(rng.uniform(self.training.photos.shrink, 1), self.crop / min(height, width))
        if min(height, width) > LARGE and factor < 1:
            image = resize_pil_bicubic(image, round(height * factor), round(width * factor))
        if min(height, width) < self.crop:
            raise BenchError(f"{path}: {width}x{height} pixels, smaller than a crop of {self.crop}x{self.crop}.")
        return image


def random_crop(image: Image, side: int, rng: np.random.RandomState) -> tuple[Image, tuple[int, int]]:
    """Cut a random ``side`` x ``side`` piece; return it and its (top, left)."""
    top, left = (rng.randint(0, n - side + 1) for n in image.shape[:2])
    return image[top : top + side, left : left + side], (top, left)


def flipped(images: Sequence[Image], rng: np.random.RandomState) -> list[Image]:
    """Flip left-right, flip up-down and transpose, each with probability 0.5, all images alike."""
    for flip in (np.fliplr, np.flipud, lambda image: image.transpose(1, 0, 2)):
        if rng.uniform() < 0.5:
            images = [flip(image) for image in images]
    return [np.ascontiguousarray(image) for image in images]


class ImageStream(Stream):
    """A stream of restoration samples: hr, ref, lr_up (3, S, S) and lr (3, S/4, S/4), float32 in [0, 1]."""

    def draw(self, photo: Photo, rng: np.random.RandomState) -> dict[str, Tensor]:
        image = self.read(photo.path, rng)
        hr, (top, left) = random_crop(image, self.crop, rng)
        shares = self.training.photos
        if rng.uniform() < shares.unrelated:
            stranger = self.photos[rng.randint(len(self.photos))].path
            ref = random_crop(self.read(stranger, rng), self.crop, rng)[0]
        elif photo.refs and (photo.paired or rng.uniform() < shares.same_scene):
            ref = self.beside(photo, image.shape[:2], (top, left), rng)
        else:
            centre = (left + self.crop / 2, top + self.crop / 2)
            ref = view_of(image, centre, self.crop, rng, self.training.views)
        pair = restoration_pair(*flipped([hr, ref], rng))
        return {name: getattr(pair, name) for name in ("hr", "lr", "lr_up", "ref")}

    def beside(
        self, photo: Photo, size: tuple[int, int], corner: tuple[int, int], rng: np.random.RandomState
    ) -> Image:
        """Cut a reference around the same relative place as the HR crop at ``corner`` of an image of ``size``.

        The whole reference is resized to a crop where the photo is itself the size of a crop, as in CUFED.
        """
        path = photo.refs[rng.randint(len(photo.refs))]
        if size == (self.crop, self.crop):
            return resize_pil_bicubic(read_image(path), self.crop, self.crop)
        ref = self.read(path, rng)
        top, left = (round(corner[n] / max(1, size[n] - self.crop) * (ref.shape[n] - self.crop)) for n in (0, 1))
        return ref[top : top + self.crop, left : left + self.crop]


# -- batches -------------------------------------------------------------------------------------------------------


@dataclass
class Batch:
    """A micro-batch. tensors: stacked (N, ...), by name; skipped: the errors of photos that could not be used."""

    tensors: dict[str, Tensor]
    skipped: list[str]


def collate(samples: Sequence[Sample]) -> Batch:
    tensors = {name: torch.stack([sample.tensors[name] for sample in samples]) for name in samples[0].tensors}
    return Batch(tensors, [why for sample in samples for why in sample.skipped])


def batches(
    stream: Stream, batch: int, first: int, last: int, accumulate: int = 1, parallel: Parallel = ALONE
) -> Iterator[list[Batch]]:
    """Draw the micro-batches of this process for each iteration first..last, counted from 1.

    An iteration uses ``batch`` consecutive samples of the stream, however many processes share them. Raises Misuse when
    they cannot be shared evenly.
    """
    process, processes = parallel.process, parallel.processes
    if batch % (accumulate * processes):
        raise Misuse(
            f"A batch of {batch} cannot be shared evenly by {processes} processes with {accumulate} micro-batches each."
        )
    size = batch // (accumulate * processes)

    def numbers() -> Iterator[list[int]]:
        for iteration in range(first, last + 1):
            start = (iteration - 1) * batch + process * size * accumulate
            for micro in range(accumulate):
                yield list(range(start + micro * size, start + (micro + 1) * size))

    workers = stream.training.run.workers
    loader: Any = DataLoader(stream, batch_sampler=numbers(), num_workers=workers, collate_fn=collate)
    micros = iter(loader)
    for _ in range(first, last + 1):
        yield [next(micros) for _ in range(accumulate)]


def validation_batches(stream: Stream, n: int, size: int = 4) -> Iterator[Batch]:
    """Draw samples 0 to n-1, the same every time, in batches of at most ``size``."""
    for start in range(0, n, size):
        yield collate([stream[number] for number in range(start, min(n, start + size))])
