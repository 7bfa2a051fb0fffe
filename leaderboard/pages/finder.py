"""Finds the pictures that runs left, and trusts none of their names.

A picture is stored if its digest fits: an SR picture belongs to the record that states the digest of its pixels; HR, LR
and references belong to the data set and protocol that their ``inputs.json`` states. Everything else is a Problem.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from leaderboard.pages import lineup
from leaderboard.pages.gallery import Gallery, ImagePage, Lineup, Matches, Scene, Shot, View, withheld
from leaderboard.reading import pictures
from leaderboard.reading.load import Problem, dataset_key, method_key
from leaderboard.reading.pictures import Picture, PictureError, Store
from leaderboard.tables.model import Cell, Table
from leaderboard.text import anchor, clean, number, view_text
from refsr_bench.core import reader
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import grouped, natural, some
from refsr_bench.core.reader import Format, digest
from refsr_bench.core.schema import DatasetInfo, ImageRecord
from refsr_bench.metrics.psnr import psnr
from refsr_bench.pixels import saved
from refsr_bench.pixels.saved import pixels_digest

Index = TypeVar("Index", bound=Format)
Stored = tuple[Path, Picture]


class Group(NamedTuple):
    """The runs of one protocol on one data set that have a picture of one image; they make one scene."""

    table: Table
    cells: list[Cell]
    image_id: str

    @property
    def dataset(self) -> tuple:
        """The identity of the data set."""
        return dataset_key(self.cells[0].run.result.run.dataset)


@dataclass
class Inputs:
    """The pictures of one image that were scored, and those that methods were given.

    corner: (top, left) of HR in the frame that LR was made from.
    """

    hr: Stored | None = None
    lr: Stored | None = None
    scale: int = 1
    corner: tuple[int, int] = (0, 0)
    refs: list[tuple[str, Picture]] = field(default_factory=list)


def collect(
    results_dir: Path,
    tables: Sequence[Table],
    out: Path,
    mode: str = "all",
    publish: Collection[str] = (),
    workers: int | None = None,
) -> Gallery:
    """Find the pictures of all runs of ``tables`` and say which page shows which.

    Error maps and crops are written into ``out`` at once, the others by ``Gallery.keep`` when the pages are known.

    mode: of ``pictures.MODES``. publish: names of withheld data sets whose pictures may be published. Holds only a
    few pictures at a time. Raises BenchError when ``out`` cannot be written.
    """
    if mode == "none":
        return Gallery()
    cells = [(table, cell) for table in tables for cell in table.cells]
    names = dict.fromkeys(cell.run.result.run.dataset.name for _, cell in cells)
    kept_back = {name: why for name in names if (why := withheld(name)) and name not in publish}
    cells = [(table, cell) for table, cell in cells if cell.run.result.run.dataset.name not in kept_back]
    finder = _Finder(results_dir, Store(out, mode))
    try:
        with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
            finder.find([cell for _, cell in cells], pool)
            groups = _groups(cells, finder)
            scenes = list(pool.map(finder.scene, groups))
        images = _pages(groups, scenes)
        lineups = {} if mode == "files" else dict(finder.lineups(groups, scenes, images))
    except PictureError as error:
        raise BenchError(f"{results_dir}: a picture was changed while the site was built: it {error}") from None
    problems = tuple(sorted(finder.problems, key=lambda problem: (problem.path, problem.reason)))
    return Gallery(tuple(images.values()), problems, tuple(kept_back.items()), lineups, images, finder.store)


def _pages(groups: Iterable[Group], scenes: Iterable[Scene]) -> dict[tuple[Any, str], ImagePage]:
    """Return pages by data set and image, data sets in the order of the tables, images by name."""
    by_image: dict[tuple[Any, str], list[Scene]] = {}
    datasets: dict[Any, DatasetInfo] = {}
    for group, scene in zip(groups, scenes, strict=True):
        dataset = group.cells[0].run.result.run.dataset
        datasets.setdefault(dataset_key(dataset), dataset)
        by_image.setdefault((dataset_key(dataset), group.image_id), []).append(scene)
    order = {key: n for n, key in enumerate(datasets)}

    def place(item: tuple[tuple[Any, str], list[Scene]]) -> tuple:
        key, image_id = item[0]
        return order[key], natural(image_id[:200])  # Python converts no number of thousands of digits

    return {
        (key, image_id): ImagePage(datasets[key], image_id, _image_path(datasets[key], image_id), tuple(found))
        for (key, image_id), found in sorted(by_image.items(), key=place)
    }


def _image_path(dataset: DatasetInfo, image_id: str) -> str:
    folder = f"{anchor(dataset.name)}-{digest(dataset_key(dataset))[:8]}"
    return f"images/{folder}/{anchor(image_id)}-{digest(image_id)[:8]}.html"


def _groups(cells: Iterable[tuple[Table, Cell]], finder: _Finder) -> list[Group]:
    groups: dict[tuple[str, Any, str], Group] = {}
    for table, cell in cells:
        run = cell.run.result.run
        for record in cell.run.result.images:
            if record.sr_sha256 and (cell.run.path, record.sr_sha256) in finder.shots:
                key = (table.key, dataset_key(run.dataset), record.id)
                groups.setdefault(key, Group(table, [], record.id)).cells.append(cell)
    return list(groups.values())


class _Finder:
    """Pictures by the digests of their pixels. shots: (run file, digest of the pixels) -> (file, Picture)."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store = root, store
        self.problems: list[Problem] = []
        self.shots: dict[tuple[str, str], Stored] = {}
        self.inputs: dict[tuple[str, str, str], Inputs] = {}
        self.matches: dict[tuple[str, str], Matches] = {}
        self.views: dict[tuple[str, str], tuple[View, ...]] = {}

    def find(self, cells: Sequence[Cell], pool: ThreadPoolExecutor) -> None:
        """Store every picture that some record or run asks for, and note what does not fit."""
        jobs: list[tuple[Callable[..., None], Path, Any]] = []
        shared: dict[Path, set[tuple[str, str]]] = {}
        for cell in cells:
            folder = self.root / Path(cell.run.path).parent
            shots = [path for path in _entries(folder / "images") if path.suffix == ".png"]
            jobs += [(self._shot, path, cell) for path in shots]
            jobs += [(self._match, path, cell) for path in _entries(folder / "matches") if shots]
            jobs += [(self._views, path, cell) for path in _entries(folder / "views") if shots]
            run = cell.run.result.run
            if (place := folder.parent / "inputs").is_dir():
                shared.setdefault(place, set()).add((run.dataset.manifest_sha256, run.protocol.digest))
        jobs += [(self._inputs, path, wanted) for place, wanted in shared.items() for path in _entries(place)]
        self.problems += filter(None, pool.map(lambda job: self._guarded(*job), jobs))
        self.problems += filter(None, map(self._lost, cells))

    def _lost(self, cell: Cell) -> Problem | None:
        """Note a run that saved pictures but not of every image."""
        folder = Path(cell.run.path).parent / "images"
        images = cell.run.result.images
        lost = [r.id for r in images if r.sr_sha256 and (cell.run.path, r.sr_sha256) not in self.shots]
        if not lost or not (self.root / folder).is_dir():
            return None
        what = f"no picture has the pixels measured for {some(list(map(repr, lost)), 3)}"
        return Problem(folder.as_posix(), what)

    def _guarded(self, job: Callable[..., None], path: Path, asked: Any) -> Problem | None:
        try:
            job(path, asked)
        except PictureError as error:
            return Problem(path.relative_to(self.root).as_posix(), f"{error}; left out")
        return None

    def _shot(self, path: Path, cell: Cell) -> None:
        picture, image = self.store.put(path, self.root)
        pixels = pixels_digest(image)
        record = _measured(cell).get(pixels)
        if record is None:
            raise PictureError("has pixels that no record of its run states")
        if record.hr_size is not None and tuple(record.hr_size) != (image.shape[1], image.shape[0]):
            raise PictureError("has another size than its record states")
        self.shots[cell.run.path, pixels] = (path, picture)

    def _inputs(self, folder: Path, wanted: Collection[tuple[str, str]]) -> None:
        facts = self._index(folder / saved.INPUTS, saved.Inputs)
        if (facts.manifest_sha256, facts.protocol_digest) not in wanted:
            return
        found = Inputs(scale=facts.scale, corner=facts.crop[:2])
        for item in facts.files:
            stored = self._stated(folder, item)
            if item.role == "ref":
                found.refs.append((clean(item.name), stored[1]))
            elif item.role in ("hr", "lr"):
                setattr(found, item.role, stored)
        if self.inputs.setdefault((facts.manifest_sha256, facts.protocol_digest, facts.id), found) is not found:
            raise PictureError(f"holds other pixels of {facts.id!r} than another folder beside it")

    def _match(self, folder: Path, cell: Cell) -> None:
        facts = self._index(folder / saved.MATCHES, saved.Matches)
        if facts.sr_sha256 not in _measured(cell):
            raise PictureError("belongs to an SR image that no record of its run states")
        found = {item.role: self._stated(folder, item)[1] for item in facts.files}
        self.matches[cell.run.path, facts.sr_sha256] = Matches(
            clean(facts.reference), found, facts.longest, facts.mean_confidence
        )

    def _views(self, folder: Path, cell: Cell) -> None:
        facts = self._index(folder / saved.VIEWS, saved.Views)
        record = _measured(cell).get(facts.sr_sha256)
        if record is None:
            raise PictureError("belongs to an SR image that no record of its run states")
        if len(record.views) != len(facts.files):
            raise PictureError("has other views than the record of its SR image")
        self.views[cell.run.path, facts.sr_sha256] = tuple(
            View(clean(item.name), self._stated(folder, item)[1], view_text(view))
            for item, view in zip(facts.files, record.views, strict=True)
        )

    def _index(self, path: Path, kind: type[Index]) -> Index:
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(self.root.resolve()):
            raise PictureError(f"has no {path.name}")
        try:
            return reader.read_json(path, kind, saved.MOST_BYTES)
        except BenchError as error:
            reason = str(error).removeprefix(f"{path}: ").rstrip(".")
            raise PictureError(f"has no {path.name} as a run writes it ({reason[:120]})") from None

    def _stated(self, folder: Path, item: saved.File) -> Stored:
        picture, image = self.store.put(folder / item.file, self.root)
        if pixels_digest(image) != item.sha256 or item.size != (image.shape[1], image.shape[0]):
            raise PictureError(f"has other pixels in {item.file} than it states")
        return folder / item.file, picture

    # -- one image under one protocol ------------------------------------------------------------------------------

    def scene(self, group: Group) -> Scene:
        """Return everything that is shown of one image; its pictures are read once more, a few at a time."""
        run = group.cells[0].run.result.run
        inputs = self.inputs.get((run.dataset.manifest_sha256, run.protocol.digest, group.image_id), Inputs())
        hr = pictures.read(inputs.hr[0], self.root)[1] if inputs.hr else None
        hr_luma = None if hr is None else pictures.luma(hr)
        shots = [self._shown(cell, group.image_id, inputs, hr_luma) for cell in group.cells]
        _, first, first_luma = shots[0]
        size = (first.shape[1], first.shape[0])
        if hr is not None and hr.shape != first.shape:
            hr = hr_luma = None
        box, spread = pictures.telling_crop([luma for _, _, luma in shots if luma.shape == first_luma.shape], hr_luma)
        x, y, w, h = box
        part = np.s_[y : y + h, x : x + w]
        tiles = [] if hr is None else [("HR", "", hr[part])]
        made = []
        for shot, image, luma in shots:
            fits = hr is not None and image.shape == hr.shape
            value = psnr(image[part], hr[part], "y", border=0) if fits else None
            made.append(replace(shot, crop_psnr=value))
            if luma.shape == first_luma.shape:
                below = f"{number(value, 2)} dB" if value is not None else ""
                tiles.append((shot.title, below, image[part]))
        figure = ""
        if self.store.mode in ("all", "links"):
            figure = self.store.crops(pictures.crops_figure(first if hr is None else hr, box, tiles))
        return Scene(
            group.table,
            inputs.hr[1] if inputs.hr and hr is not None else None,
            inputs.lr[1] if inputs.lr else None,
            tuple(inputs.refs),
            tuple(made),
            size,
            box,
            figure,
            spread,
        )

    def lineups(
        self, groups: Sequence[Group], scenes: Sequence[Scene], pages: Mapping[tuple[Any, str], ImagePage]
    ) -> Iterator[tuple[str, Lineup]]:
        """Return the line of pictures of every table, by its key: of its first data set that has pictures."""
        for own in grouped(zip(groups, scenes, strict=True), lambda item: item[0].table.key).values():
            table = own[0][0].table
            keys = [dataset_key(column.dataset) for column in table.columns]
            first = min(keys.index(group.dataset) for group, _ in own)
            found = {id(scene): group for group, scene in own if group.dataset == keys[first]}
            scene = lineup.most_telling(scene for _, scene in own if id(scene) in found)
            group = found[id(scene)]
            yield table.key, self._lineup(group, scene, pages[group.dataset, group.image_id])

    def _lineup(self, group: Group, scene: Scene, page: ImagePage) -> Lineup:
        """Return the line of one scene; its pictures are read once more."""
        run = group.cells[0].run.result.run
        inputs = self.inputs.get((run.dataset.manifest_sha256, run.protocol.digest, group.image_id), Inputs())
        places = [self.shots[shot.cell.run.path, shot.record.sr_sha256][0] for shot in scene.shots]
        lr = None
        if scene.lr and inputs.lr:
            lr = lineup.lr_part(pictures.read(inputs.lr[0], self.root)[1], scene, inputs.corner, inputs.scale)
        pixels = lineup.Pixels(
            tuple(pictures.read(path, self.root)[1] for path in places),
            pictures.read(inputs.hr[0], self.root)[1] if scene.hr and inputs.hr else None,
            lr,
        )
        return lineup.lineup(scene, page, pixels, self.store)

    def _shown(
        self, cell: Cell, image_id: str, inputs: Inputs, hr_luma: np.ndarray | None
    ) -> tuple[Shot, np.ndarray, np.ndarray]:
        """One method's SR of an image, with its pixels and their luma."""
        method = cell.run.result.run.method
        record = next(record for record in cell.run.result.images if record.id == image_id)
        path, picture = self.shots[cell.run.path, record.sr_sha256]
        image = pictures.read(path, self.root)[1]
        luma = pictures.luma(image)
        error_map = ""
        if self.store.mode != "files" and hr_luma is not None and hr_luma.shape == luma.shape:
            error_map = self.store.error_map(inputs.hr[1], picture, np.abs(luma - hr_luma))
        key = f"{anchor(method.name)[:24]}-{digest(method_key(method))[:6]}"
        matches = self.matches.get((cell.run.path, record.sr_sha256))
        views = self.views.get((cell.run.path, record.sr_sha256), ())
        shot = Shot(key, clean(method.title), cell, record, picture, error_map, matches=matches, views=views)
        return shot, image, luma


def _measured(cell: Cell) -> Mapping[str, ImageRecord]:
    return {record.sr_sha256: record for record in cell.run.result.measured if record.sr_sha256}


def _entries(folder: Path) -> list[Path]:
    """List a folder by name, without hidden entries; empty for a link, or where there is no folder."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda path: path.name)
