"""Writes the pages of images: HR, the methods' inputs, and their outputs. ``finder.collect`` finds the pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from leaderboard.pages.pages import Site, render
from leaderboard.reading import pictures
from leaderboard.reading.load import Problem, dataset_key
from leaderboard.reading.pictures import Picture, PictureError, Store
from leaderboard.tables.model import Cell, Table, method_path
from leaderboard.tables.timing import cost_of
from refsr_bench.core import catalogue
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import DatasetInfo, ImageRecord


@dataclass(frozen=True)
class Matches:
    """The correspondences that a method found in the reference.

    pictures: by role (flow, confidence, patches). longest: the displacement in pixels at full saturation. mean: of the
    confidence; None if there is none.
    """

    reference: str
    pictures: Mapping[str, Picture]
    longest: float
    mean: float | None


@dataclass(frozen=True)
class View:
    """A view of a reference that a method was given. reference: its name. text: what the record says of it."""

    reference: str
    picture: Picture
    text: str


@dataclass(frozen=True)
class Shot:
    """One method's SR of one image under one protocol.

    key: of the method with its weights, safe in an address. error_map: a path from the site's root; "" without HR.
    crop_psnr: of luma in the scene's crop, in dB. views: best first.
    """

    key: str
    title: str
    cell: Cell
    record: ImageRecord
    picture: Picture
    error_map: str = ""
    crop_psnr: float | None = None
    matches: Matches | None = None
    views: tuple[View, ...] = ()


@dataclass(frozen=True)
class Scene:
    """One image under one protocol.

    refs: names with pictures. size: (width, height) of SR. crop: (x, y, width, height), the part on which methods
    differ most; ``crops`` is its figure, spread the variance of their luma in it.
    """

    table: Table
    hr: Picture | None
    lr: Picture | None
    refs: tuple[tuple[str, Picture], ...]
    shots: tuple[Shot, ...]
    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    crops: str
    spread: float

    @property
    def aligned(self) -> bool:
        """True if LR covers what HR covers, with no padding beside it."""
        return self.lr is not None and all(
            abs(whole / part - self.size[0] / self.lr.width) < 1e-9
            for whole, part in zip(self.size, (self.lr.width, self.lr.height), strict=True)
        )


@dataclass(frozen=True)
class ImagePage:
    """One image of a data set. path: of its page, from the site's root; scenes: one per protocol."""

    dataset: DatasetInfo
    id: str
    path: str
    scenes: tuple[Scene, ...]

    @property
    def cover(self) -> Picture:
        """The picture that stands for the image in lists: HR, or the first SR."""
        return next((scene.hr for scene in self.scenes if scene.hr), self.scenes[0].shots[0].picture)

    @property
    def mean(self) -> float | None:
        """The mean PSNR over the methods of the first protocol, which says how hard the image is."""
        scene = self.scenes[0]
        name = scene.table.protocol.psnr
        values = [shot.record.metrics[name] for shot in scene.shots if name in shot.record.metrics]
        return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else None


@dataclass(frozen=True)
class Tile:
    """One picture of a line.

    path: from the site's root. size: (width, height) of the file. alt: what it shows. view: the state of the image's
    page, behind "#". line: the number below the title.
    """

    title: str
    path: str
    size: tuple[int, int]
    alt: str
    view: str
    line: str = ""


@dataclass(frozen=True)
class Lineup:
    """The line of pictures of one table. whole: whole pictures. tiles: the part. more: methods left out of it."""

    scene: Scene
    page: ImagePage
    whole: tuple[Tile, ...]
    tiles: tuple[Tile, ...]
    more: int = 0

    @property
    def columns(self) -> int:
        """The number of columns in a wide window: at most 7, and rows of nearly equal length."""
        count = len(self.whole) + len(self.tiles)
        return -(-count // -(-count // 7))


@dataclass(frozen=True)
class Gallery:
    """All pictures of a site.

    withheld: data sets whose pictures stay out, with the reason. lineups: of tables, by key, that have pictures.
    """

    images: tuple[ImagePage, ...] = ()
    problems: tuple[Problem, ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    lineups: Mapping[str, Lineup] = field(default_factory=dict)
    _paths: Mapping[tuple[Any, str], ImagePage] = field(default_factory=dict, repr=False)
    _store: Store | None = field(default=None, repr=False, compare=False)

    def keep(self, pages: Iterable[str]) -> None:
        """Write the pictures that the text of pages refers to. Raises BenchError when one cannot be kept."""
        try:
            if self._store:
                self._store.keep(pages)
        except PictureError as error:
            raise BenchError(f"a picture was changed while the site was built: it {error}") from None

    def page(self, cell: Cell, image_id: str) -> ImagePage | None:
        """Return the page of an image of a run, if it has one."""
        return self._paths.get((dataset_key(cell.run.result.run.dataset), image_id))

    @property
    def datasets(self) -> tuple[tuple[DatasetInfo, tuple[ImagePage, ...]], ...]:
        """Images by data set."""
        found = grouped(self.images, lambda image: dataset_key(image.dataset))
        return tuple((images[0].dataset, tuple(images)) for images in found.values())


def withheld(dataset: str) -> str | None:
    """Return the reason why pictures of a data set are not published unasked; None where they may be.

    A set made from another ("cufed5.small") has the terms of that one. SR images are withheld like HR: x4 SR shows all
    of it.
    """
    cards = (card for card in catalogue.collect("DATASETS").values() if card.withheld)
    return next((c.withheld for c in cards if re.match(rf"{re.escape(c.name)}(?![a-z0-9])", dataset)), None)


# -- pages ---------------------------------------------------------------------------------------------------------


def image_pages(gallery: Gallery, site: Site) -> Iterator[tuple[str, str]]:
    """Return (path, HTML) of the list of images and of every image; nothing without pictures."""
    if not gallery.images:
        return
    yield "images/index.html", render("images.html.j2", here="images", root="../", site=site, gallery=gallery)
    ramp = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in pictures.palette()[::51]]
    for _, images in gallery.datasets:
        for n, image in enumerate(images):
            before, after = images[n - 1] if n else None, images[n + 1] if n + 1 < len(images) else None
            yield image.path, render(
                "image.html.j2", here="images", root="../../", site=site, image=image, before=before, after=after,
                number_of=n + 1, count_of=len(images), method_path=method_path, lost=_failures(image),
                cost_of=cost_of, error_most=pictures.ERROR_MOST, ramp=ramp,
            )  # fmt: skip


def _failures(image: ImagePage) -> dict[str, list[tuple[Cell, str]]]:
    """Return the methods that failed on an image or left no picture of it, by protocol, with the reason."""
    found: dict[str, list[tuple[Cell, str]]] = {}
    for scene in image.scenes:
        shown = {shot.cell.anchor for shot in scene.shots}
        for cell in scene.table.cells:
            if dataset_key(cell.run.result.run.dataset) != dataset_key(image.dataset) or cell.anchor in shown:
                continue
            record = next((r for r in cell.run.result.images if r.id == image.id), None)
            why = "not measured" if record is None else "its picture was not kept"
            if record is not None and record.error is not None:
                why = f"failed: {record.error}"
            found.setdefault(scene.table.key, []).append((cell, why))
    return found
