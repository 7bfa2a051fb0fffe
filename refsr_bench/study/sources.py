"""Finds the images of a study in result folders with saved SR images, or in folders with shared file names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refsr_bench.core import results, schema
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import slug, stem
from refsr_bench.core.types import Image, RefPair
from refsr_bench.pixels.images import image_files, read_image
from refsr_bench.study.options import Places
from refsr_bench.study.plan import Method

Read = Callable[[], Image]


@dataclass(frozen=True)
class Source:
    """The images of one method, by the name that all methods share."""

    method: Method
    images: Mapping[str, Read]


@dataclass(frozen=True)
class Origin:
    """The facts known besides the methods' images. hr, refs: by the same names. The rest: see ``plan.Plan``."""

    hr: Mapping[str, Read] = field(default_factory=dict)
    refs: Mapping[str, Read] = field(default_factory=dict)
    dataset: str = ""
    dataset_title: str = ""
    dataset_sha256: str = ""
    protocol: str = ""
    protocol_digest: str = ""


def gather(places: Places, pictures: bool) -> tuple[list[Source], Origin]:
    """Return the methods' images, runs before folders, with the facts known about them.

    pictures: whether HR images and references of the runs are wanted; their data set is then opened. Raises Misuse for
    sources that cannot be combined.
    """
    sources, origin = [], Origin()
    if places.methods:
        if not places.dataset:
            raise Misuse("--methods needs --dataset: results lie in <results>/<protocol>/<dataset>/<method>/.")
        if places.hr or places.refs:
            raise Misuse("--hr-images and --ref-images are for --images alone; results know their data set.")
        folder = places.results / slug(places.protocol) / slug(places.dataset)
        names = [name.strip() for name in places.methods.split(",") if name.strip()]
        sources, origin = from_results(folder, names, places.data_root, pictures)
    elif places.hr or places.refs:
        hr, refs = (folder_images(place) if place else {} for place in (places.hr, places.refs))
        origin = Origin(hr, refs)
    for option in places.images:
        name, equals, path = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise Misuse(f"--images {option}: write NAME=DIR.")
        sources.append(Source(Method(name, name), folder_images(Path(path))))
    return sources, origin


def folder_images(folder: Path) -> dict[str, Read]:
    """Return the images of a folder by their names without extension.

    Raises Misuse when two share one, or there is none.
    """
    found: dict[str, Read] = {}
    for path in image_files(folder):
        if path.stem in found:
            raise Misuse(f"{folder}: two images are called {path.stem}; keep one of them.")
        found[path.stem] = lambda path=path: read_image(path)
    if not found:
        raise Misuse(f"{folder}: there is no image in this folder.")
    return found


def from_results(
    folder: Path, names: Sequence[str], data_root: Path | None, pictures: bool
) -> tuple[list[Source], Origin]:
    """Return the saved SR images of runs.

    folder: ``results/<protocol>/<dataset>``. names: of folders in it. pictures: see ``gather``. Raises Misuse for runs
    without saved images and for runs of different data or protocols.
    """
    sources, first = [], None
    for name in names:
        place = folder / name
        try:
            run = results.read_run(place / "run.json")
        except BenchError as error:
            known = sorted(path.parent.name for path in folder.glob("*/run.json"))
            raise Misuse(f"{error}. Runs here: {', '.join(known) or 'none'}.") from None
        if not (place / "images").is_dir():
            raise Misuse(f"{place} has no images; measure it again with --save-images.")
        first = first or run
        if (run.dataset.manifest_sha256, run.protocol.digest) != (first.dataset.manifest_sha256, first.protocol.digest):
            raise Misuse(f"{place}: measured on other data or under another protocol than {names[0]}.")
        sources.append(Source(Method(name, run.method.title, run.method.weights.name), folder_images(place / "images")))
    if first is None:
        return [], Origin()
    hr, refs = _pictures(first, data_root) if pictures else ({}, {})
    data, protocol = first.dataset, first.protocol
    return sources, Origin(hr, refs, data.name, data.title, data.manifest_sha256, protocol.label, protocol.digest)


def _pictures(run: schema.Run, data_root: Path | None) -> tuple[dict[str, Read], dict[str, Read]]:
    """Return HR and the first reference of every pair, as the runs' protocol prepares them."""
    from refsr_bench.core import catalogue
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.protocols.base import parse_label

    dataset = open_dataset(run.dataset.name, data_root)
    if dataset.manifest_sha256 != run.dataset.manifest_sha256:
        raise Misuse(f"The data set {run.dataset.name} here is not the one that was measured (its files differ).")
    protocol = parse_label(run.protocol.label, lambda label: catalogue.get("PROTOCOLS", label))
    if protocol.digest != run.protocol.digest:
        raise Misuse(f"Protocol {run.protocol.label} is not as it was when the results were measured; measure again.")

    def first_ref(pair: RefPair) -> Image:
        prepared = protocol.prepare(pair, dataset.name)
        if not prepared.refs:
            raise Misuse(f"Protocol {run.protocol.label} gives methods no reference: there is none to show.")
        return prepared.refs[0]

    pairs = {stem(pair.id): pair for pair in dataset.pairs}
    hr = {name: lambda pair=pair: protocol.prepare(pair, dataset.name).hr for name, pair in pairs.items()}
    return hr, {name: lambda pair=pair: first_ref(pair) for name, pair in pairs.items()}
