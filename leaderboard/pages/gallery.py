"""The evidence behind the numbers: pictures beside the run files, a page per image and a page per method.

``collect`` finds the pictures that runs left (``refsr-bench run --save-images``), believes none of their names, and
stores those that are what they should be: an SR picture belongs to the record that states the digest of its pixels, HR,
LR and references to the data set and protocol that their ``inputs.json`` states. Everything else is a Problem.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from leaderboard.pages.pages import Site, render
from leaderboard.reading import pictures
from leaderboard.reading.load import Problem, dataset_key, method_key
from leaderboard.reading.pictures import Picture, PictureError, Store
from leaderboard.tables.model import Cell, Table, method_path
from leaderboard.text import anchor, clean, number
from refsr_bench.core.errors import BenchError
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import DatasetInfo, ImageRecord, MethodInfo
from refsr_bench.metrics.psnr import psnr
from refsr_bench.pixels.saved import pixels_digest

WITHHELD = {
    "bsd100": "no licence is known",
    "cufed-train": "no licence is known",
    "cufed5": "no licence is known, and private persons are in it",
    "hpatches": "the photographs have several owners",
    "manga109": "redistribution is forbidden",
    "set14": "no licence is known",
    "set5": "no licence is known",
    "sun80": "no licence is known",
    "transform": "the terms are those of the data set it was made from",
    "urban100": "no licence is known",
    "wrsr": "the copyright of the photographs is unknown",
}
"""Data sets of which nobody may publish pictures without a permission of their own: why, as their data cards say it. SR
images are withheld like HR: x4 SR shows all of it."""

MOST_JSON = 2**20
_SCENE_FILES = re.compile(r"(?:hr|lr|ref-\d{1,3})\.png")
_MATCH_FILES = ("flow.png", "confidence.png", "patches.png")


@dataclass(frozen=True)
class Matches:
    """Where a method found the reference. pictures: by role (flow, confidence, patches); longest: the displacement in
    pixels at full saturation; mean: of the confidence, None where there is none."""

    reference: str
    pictures: Mapping[str, Picture]
    longest: float
    mean: float | None


@dataclass(frozen=True)
class Shot:
    """One method's SR of one image under one protocol. key: of the method with its weights, safe in an address;
    error_map: a path from the site's root, "" without HR; crop_psnr: of luma in the scene's crop."""

    key: str
    title: str
    cell: Cell
    record: ImageRecord
    picture: Picture
    error_map: str = ""
    crop_psnr: float | None = None
    matches: Matches | None = None


@dataclass(frozen=True)
class Scene:
    """One image under one protocol. refs: names with pictures; size: (width, height) of SR; crop: (x, y, width,
    height), the part about which methods differ most, ``crops`` its figure."""

    table: Table
    hr: Picture | None
    lr: Picture | None
    refs: tuple[tuple[str, Picture], ...]
    shots: tuple[Shot, ...]
    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    crops: str

    @property
    def aligned(self) -> bool:
        """LR covers what HR covers, no padding beside it."""
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
        """What stands for it in lists: HR, or the first SR."""
        return next((scene.hr for scene in self.scenes if scene.hr), self.scenes[0].shots[0].picture)

    @property
    def mean(self) -> float | None:
        """Mean PSNR over the methods of the first protocol: how hard the image is."""
        scene = self.scenes[0]
        name = scene.table.protocol.psnr
        values = [shot.record.metrics[name] for shot in scene.shots if name in shot.record.metrics]
        return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else None


@dataclass(frozen=True)
class Gallery:
    """All pictures of a site. withheld: data sets whose pictures stay out, with the reason."""

    images: tuple[ImagePage, ...] = ()
    problems: tuple[Problem, ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    _paths: Mapping[tuple[Any, str], ImagePage] = field(default_factory=dict, repr=False)

    def page(self, cell: Cell, image_id: str) -> ImagePage | None:
        """The page of an image of a run, where it has one."""
        return self._paths.get((dataset_key(cell.run.result.run.dataset), image_id))

    @property
    def datasets(self) -> tuple[tuple[DatasetInfo, tuple[ImagePage, ...]], ...]:
        """Images by data set."""
        found: dict[Any, list[ImagePage]] = {}
        for image in self.images:
            found.setdefault(dataset_key(image.dataset), []).append(image)
        return tuple((images[0].dataset, tuple(images)) for images in found.values())


def withheld(dataset: str) -> str | None:
    """Why pictures of a data set are not published unasked; None where they may be."""
    return next((why for name, why in WITHHELD.items() if re.match(rf"{re.escape(name)}(?![a-z0-9])", dataset)), None)


# -- finding pictures ----------------------------------------------------------------------------------------------


def collect(
    results_dir: Path,
    tables: Sequence[Table],
    out: Path,
    mode: str = "all",
    publish: Collection[str] = (),
    workers: int | None = None,
) -> Gallery:
    """Find the pictures of all runs of ``tables``, write them into ``out`` and say which page shows which.

    mode: of ``pictures.MODES``. publish: names of data sets in WITHHELD whose pictures may be published. Holds a few
    pictures at a time. Raises BenchError when ``out`` cannot be written.
    """
    cells = [(table, cell) for table in tables for cell in table.cells]
    names = dict.fromkeys(cell.run.result.run.dataset.name for _, cell in cells)
    kept_back = {name: why for name in names if (why := withheld(name)) and name not in publish}
    if mode == "none":
        return Gallery()
    cells = [(table, cell) for table, cell in cells if cell.run.result.run.dataset.name not in kept_back]
    store = Store(out, mode)
    finder = _Finder(results_dir, store)
    try:
        with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
            finder.find([cell for _, cell in cells], pool)
            groups = _groups(cells, finder)
            scenes = list(pool.map(lambda group: finder.scene(*group), groups))
    except PictureError as error:
        raise BenchError(f"{results_dir}: a picture was changed while the site was built: it {error}") from None
    except OSError as error:
        raise BenchError(f"{error.filename or out}: cannot write pictures there ({error.strerror})") from None
    pages: dict[tuple[Any, str], list[Scene]] = {}
    datasets: dict[Any, DatasetInfo] = {}
    for (_, cells_of, image_id), scene in zip(groups, scenes, strict=True):
        dataset = cells_of[0].run.result.run.dataset
        datasets.setdefault(dataset_key(dataset), dataset)
        pages.setdefault((dataset_key(dataset), image_id), []).append(scene)
    found = {
        key: ImagePage(datasets[key[0]], key[1], _image_path(datasets[key[0]], key[1]), tuple(scenes))
        for key, scenes in pages.items()
    }
    order = {key: n for n, key in enumerate(datasets)}
    images = sorted(found.values(), key=lambda page: (order[dataset_key(page.dataset)], _natural(page.id)))
    return Gallery(
        tuple(images), tuple(sorted(finder.problems, key=lambda p: (p.path, p.reason))), tuple(kept_back.items()), found
    )


def _image_path(dataset: DatasetInfo, image_id: str) -> str:
    folder = f"{anchor(dataset.name)}-{digest(dataset_key(dataset))[:8]}"
    return f"images/{folder}/{anchor(image_id)}-{digest(image_id)[:8]}.html"


def _natural(text: str) -> list[tuple[int, int | str]]:
    """_2 before _10."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.findall(r"\d+|\D+", text[:200])]


def _groups(cells: Iterable[tuple[Table, Cell]], finder: _Finder) -> list[tuple[Table, list[Cell], str]]:
    """What one scene is made of: the runs of one protocol on one data set that have a picture of one image."""
    groups: dict[tuple[str, Any, str], tuple[Table, list[Cell], str]] = {}
    for table, cell in cells:
        run = cell.run.result.run
        for record in cell.run.result.images:
            if record.sr_sha256 and (cell.run.path, record.sr_sha256) in finder.shots:
                group = groups.setdefault((table.key, dataset_key(run.dataset), record.id), (table, [], record.id))
                group[1].append(cell)
    return list(groups.values())


class _Finder:
    """Pictures by what their pixels are. shots: (run file, digest of the pixels) -> (file, Picture)."""

    def __init__(self, root: Path, store: Store) -> None:
        self.root, self.store = root, store
        self.problems: list[Problem] = []
        self.shots: dict[tuple[str, str], tuple[Path, Picture]] = {}
        self.inputs: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.matches: dict[tuple[str, str], Matches] = {}

    def find(self, cells: Sequence[Cell], pool: ThreadPoolExecutor) -> None:
        jobs = []
        shared: dict[str, set[tuple[str, str]]] = {}
        for cell in cells:
            folder = self.root / Path(cell.run.path).parent
            wanted = {r.sr_sha256: r for r in cell.run.result.images if r.sr_sha256 and r.error is None}
            before = len(jobs)
            jobs += [(self._shot, cell, path, wanted) for path in _entries(folder / "images") if path.suffix == ".png"]
            if len(jobs) > before:
                jobs += [(self._match, cell, path, wanted) for path in _entries(folder / "matches")]
            run = cell.run.result.run
            if (place := folder.parent / "inputs").is_dir():
                shared.setdefault(place.as_posix(), set()).add((run.dataset.manifest_sha256, run.protocol.digest))
        jobs += [(self._inputs, path, wanted) for place, wanted in shared.items() for path in _entries(Path(place))]
        for problem in pool.map(lambda job: self._guarded(*job), jobs):
            self.problems += [problem] if problem else []
        for cell in cells:
            folder = Path(cell.run.path).parent
            if (self.root / folder / "images").is_dir():
                lost = [r.id for r in cell.run.result.images
                        if r.sr_sha256 and (cell.run.path, r.sr_sha256) not in self.shots]  # fmt: skip
                if lost:
                    what = f"no picture has the pixels measured for {', '.join(map(repr, lost[:3]))}"
                    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
                    self.problems.append(Problem((folder / "images").as_posix(), what + more))

    def _guarded(self, job, *arguments: Any) -> Problem | None:
        path = next(argument for argument in arguments if isinstance(argument, Path))
        name = path.relative_to(self.root).as_posix()
        try:
            job(*arguments)
        except PictureError as error:
            return Problem(name, f"{error}; left out")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return Problem(name, f"is not what a run writes ({type(error).__name__}: {str(error)[:80]}); left out")
        return None

    def _shot(self, cell: Cell, path: Path, wanted: Mapping[str, ImageRecord]) -> None:
        data, image = pictures.read(path, self.root)
        pixels = pixels_digest(image)
        record = wanted.get(pixels)
        if record is None:
            raise PictureError("has pixels that no record of its run states")
        if record.hr_size is not None and tuple(record.hr_size) != (image.shape[1], image.shape[0]):
            raise PictureError("has another size than its record states")
        self.shots[cell.run.path, pixels] = (path, self.store.put(data, image))

    def _inputs(self, folder: Path, wanted: Collection[tuple[str, str]]) -> None:
        facts = self._facts(folder, "inputs.json", "inputs")
        key = (str(facts["manifest_sha256"]), str(facts["protocol_digest"]))
        if key not in wanted:
            return
        found: dict[str, Any] = {"refs": []}
        for item in facts["files"]:
            if not _SCENE_FILES.fullmatch(item["file"]):
                raise PictureError(f"names a file {item['file'][:60]!r}")
            path = folder / item["file"]
            data, image = self._stated(path, item)
            picture = self.store.put(data, image)
            if path.stem in ("hr", "lr"):
                found[path.stem] = (path, picture)
            else:
                found["refs"].append((clean(str(item["name"])), picture))
        if self.inputs.setdefault((*key, str(facts["id"])), found) is not found:
            raise PictureError(f"holds other pixels of {facts['id']!r} than another folder beside it")

    def _match(self, cell: Cell, folder: Path, wanted: Mapping[str, ImageRecord]) -> None:
        facts = self._facts(folder, "matches.json", "matches")
        if facts["sr_sha256"] not in wanted:
            raise PictureError("belongs to an SR image that no record of its run states")
        found = {}
        for item in facts["files"]:
            if item["file"] not in _MATCH_FILES:
                raise PictureError(f"names a file {item['file'][:60]!r}")
            found[item["file"].removesuffix(".png")] = self.store.put(*self._stated(folder / item["file"], item))
        mean = facts.get("mean_confidence")
        self.matches[cell.run.path, facts["sr_sha256"]] = Matches(
            clean(str(facts["reference"])), found, float(facts["longest"]), None if mean is None else float(mean)
        )

    def _facts(self, folder: Path, name: str, kind: str) -> dict[str, Any]:
        path = folder / name
        if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(self.root.resolve()):
            raise PictureError(f"has no {name}")
        if path.stat().st_size > MOST_JSON:
            raise PictureError(f"has a {name} of more than 1 MiB")
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["kind"] != kind:
            raise PictureError(f"has a {name} of another kind")
        return facts

    def _stated(self, path: Path, item: Mapping[str, Any]) -> tuple[bytes, np.ndarray]:
        data, image = pictures.read(path, self.root)
        if pixels_digest(image) != item["sha256"] or list(item["size"]) != [image.shape[1], image.shape[0]]:
            raise PictureError(f"has other pixels in {path.name} than it states")
        return data, image

    # -- one image under one protocol ------------------------------------------------------------------------------

    def scene(self, table: Table, cells: Sequence[Cell], image_id: str) -> Scene:
        run = cells[0].run.result.run
        inputs = self.inputs.get((run.dataset.manifest_sha256, run.protocol.digest, image_id), {})
        hr = pictures.read(inputs["hr"][0], self.root)[1] if "hr" in inputs else None
        hr_luma = None if hr is None else pictures.luma(hr)
        records = [next(r for r in cell.run.result.images if r.id == image_id) for cell in cells]
        found, lumas, parts = [], [], []
        for cell, record in zip(cells, records, strict=True):
            path, picture = self.shots[cell.run.path, record.sr_sha256]
            image = pictures.read(path, self.root)[1]
            values = pictures.luma(image)
            fits = hr is not None and hr.shape == image.shape
            error = self.store.error_map(inputs["hr"][1], picture, np.abs(values - hr_luma)) if fits else ""
            found.append((cell, record, picture, error))
            lumas.append(values)
            parts.append(image)
        size = (parts[0].shape[1], parts[0].shape[0])
        alike = [values for values in lumas if values.shape == lumas[0].shape]
        if hr_luma is not None and hr_luma.shape != lumas[0].shape:
            hr = hr_luma = None
        box = pictures.telling_crop(alike, hr_luma)
        x, y, w, h = box
        shots, tiles = [], [] if hr is None else [("HR", "", hr[y : y + h, x : x + w])]
        for (cell, record, picture, error), values, image in zip(found, lumas, parts, strict=True):
            method = cell.run.result.run.method
            value = None
            if hr_luma is not None and values.shape == hr_luma.shape:
                value = psnr(image[y : y + h, x : x + w], hr[y : y + h, x : x + w], "y", border=0)
            matches = self.matches.get((cell.run.path, record.sr_sha256))
            shots.append(
                Shot(_method_key(method), clean(method.title), cell, record, picture, error, value, matches)
            )
            if image.shape[:2] == lumas[0].shape:
                below = f"{number(value, 2)} dB" if value is not None else ""
                tiles.append((clean(method.title), below, image[y : y + h, x : x + w]))
        figure = ""
        if self.store.mode == "all":
            figure = self.store.crops(pictures.crops_figure(parts[0] if hr is None else hr, box, tiles))
        lr = inputs.get("lr")
        return Scene(
            table,
            inputs["hr"][1] if hr is not None else None,
            lr[1] if lr else None,
            tuple(inputs.get("refs", ())),
            tuple(shots),
            size,
            box,
            figure,
        )


def _entries(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing hidden, nothing where there is no folder or a link."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda path: path.name)


def _method_key(method: MethodInfo) -> str:
    return f"{anchor(method.name)[:24]}-{digest(method_key(method))[:6]}"


# -- pages ---------------------------------------------------------------------------------------------------------


def image_pages(gallery: Gallery, site: Site) -> Iterator[tuple[str, str]]:
    """(path, HTML) of the list of images and of every image; nothing without pictures."""
    if not gallery.images:
        return
    yield "images/index.html", render(
        "images.html.j2", here="images", root="../", site=site, gallery=gallery, exact=_exact
    )
    for _, images in gallery.datasets:
        for n, image in enumerate(images):
            before, after = images[n - 1] if n else None, images[n + 1] if n + 1 < len(images) else None
            yield image.path, render(
                "image.html.j2", here="images", root="../../", site=site, image=image, before=before, after=after,
                number_of=n + 1, count_of=len(images), method_path=method_path, lost=_failures(image),
                error_most=pictures.ERROR_MOST, ramp=_ramp(),
            )  # fmt: skip


def _ramp() -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in pictures.palette()[::51]]


def _exact(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _failures(image: ImagePage) -> dict[str, list[tuple[Cell, str]]]:
    """By protocol, methods that failed on an image or of which no picture is here, with the reason."""
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
