"""A study folder from result folders with saved SR images, or from any folders of images with the same names."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from refsr_bench.core import results, schema
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image
from refsr_bench.pixels.images import image_files, read_image
from refsr_bench.study import plan as plans
from refsr_bench.study.plan import BLURRED, CHECK, IMAGES, PAIR, SHARP, Item, Method, Plan

BLUR = 8  # checks: reduced by this factor, enlarged again
MOST_CHECKS = 20
PER_PERSON = 60
QUESTION = "Which of the two images looks better?"
Read = Callable[[], Image]


@dataclass(frozen=True)
class Source:
    """The images of one method, by the name that all methods share."""

    method: Method
    images: Mapping[str, Read]


@dataclass(frozen=True)
class Origin:
    """What is known beside the methods' images. hr, refs: by the same names; the rest as in Plan."""

    hr: Mapping[str, Read] = field(default_factory=dict)
    refs: Mapping[str, Read] = field(default_factory=dict)
    dataset: str = ""
    dataset_title: str = ""
    dataset_sha256: str = ""
    protocol: str = ""
    protocol_digest: str = ""


def folder_images(folder: Path) -> dict[str, Read]:
    """The images of a folder by their names without extension. Raises Misuse when two share one, or none is there."""
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
    """The saved SR images of methods. folder: ``results/<protocol>/<dataset>``; names: of folders in it.

    pictures: whether HR images and references are wanted; the data set is then opened. Raises Misuse for runs without
    saved images and for runs of different data or protocols.
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
    """HR and first reference of every pair, as the run's protocol prepares them."""
    from refsr_bench.core import catalogue
    from refsr_bench.core.names import stem
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.protocols.base import parse_label

    dataset = open_dataset(run.dataset.name, data_root)
    if dataset.manifest_sha256 != run.dataset.manifest_sha256:
        raise Misuse(f"The data set {run.dataset.name} here is not the one that was measured (its files differ).")
    protocol = parse_label(run.protocol.label, lambda label: catalogue.get("PROTOCOLS", label))
    if protocol.digest != run.protocol.digest:
        raise Misuse(f"Protocol {run.protocol.label} is not as it was when the results were measured; measure again.")
    hr: dict[str, Read] = {}
    refs: dict[str, Read] = {}
    for pair in dataset.pairs:
        hr[stem(pair.id)] = lambda pair=pair: protocol.prepare(pair, dataset.name).hr
        refs[stem(pair.id)] = lambda pair=pair: protocol.prepare(pair, dataset.name).refs[0]
    return hr, refs


@dataclass(frozen=True)
class Wish:
    """What a study shall be; see Plan. per_person 0: all comparisons, PER_PERSON at most. limit: images at most, chosen
    at random; 0 for all."""

    title: str = "User study"
    question: str = QUESTION
    focus: str = ""
    reference: str = "none"
    ties: bool = False
    crop: int = 0
    per_person: int = 0
    attention: float = 0.1
    repeats: float = 0.05
    pass_share: float = 0.75
    limit: int = 0
    seed: int = 0


def init(
    folder: Path,
    sources: Sequence[Source],
    origin: Origin,
    wish: Wish,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Make the study folder, whole or not at all. The same images and wishes make the same folder.

    Raises Misuse when ``folder`` exists, or nothing can be compared; BenchError for images that cannot be read or
    differ in size.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Misuse(f"{folder} exists already; studies are never overwritten. Choose another folder.")
    names = [source.method.name for source in sources]
    _check(wish, names, origin)
    common = sorted(set.intersection(*(set(source.images) for source in sources)))
    if not common:
        raise Misuse("The methods have no image in common: images belong together by their file names.")
    notes = [
        f"{len(source.images) - len(common)} images of {source.method.title} have no counterpart and are left out"
        for source in sources
        if len(source.images) > len(common)
    ]
    rng = np.random.default_rng(wish.seed)
    if wish.limit and wish.limit < len(common):
        notes.append(f"{wish.limit} of {len(common)} images, chosen at random (seed {wish.seed})")
        common = sorted(rng.choice(common, wish.limit, replace=False).tolist())
    if wish.reference != "none":
        known = {"hr": origin.hr, "ref": origin.refs}[wish.reference]
        if missing := [name for name in common if name not in known]:
            raise Misuse(f"There is no {wish.reference.upper()} image called {missing[0]} to show beside the methods'.")
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        try:
            (partial / IMAGES).mkdir(parents=True)
            made = _made(partial / IMAGES, sources, origin, wish, common, notes, progress)
            plans.write(partial, made)
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
        except OSError as error:
            raise BenchError(f"{folder}: cannot be written ({error.strerror or error}).") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return plans.read(folder)


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


def _made(
    folder: Path,
    sources: Sequence[Source],
    origin: Origin,
    wish: Wish,
    common: Sequence[str],
    notes: list[str],
    progress: Callable[[int, int], None],
) -> Plan:
    key = hashlib.blake2s(f"study/{wish.seed}".encode()).digest()
    duels = [(a, b) for a, b in combinations([source.method.name for source in sources], 2)]
    if wish.focus:  # the focus first: "a preferred over b"
        duels = [(wish.focus, a if b == wish.focus else b) for a, b in duels if wish.focus in (a, b)]
    checks_from = "HR images" if set(common) <= set(origin.hr) else f"the results of {sources[0].method.title}"
    items: list[Item] = []
    checks: list[tuple[float, str, str, str, str]] = []  # how much the blur takes, image, sharp, blurred, reference
    equal = 0
    for done, name in enumerate(common):
        progress(done, len(common))
        read = {source.method.name: source.images[name]() for source in sources}
        hr = origin.hr[name]() if name in origin.hr else None
        sizes = {image.shape for image in (*read.values(), *(() if hr is None else (hr,)))}
        if len(sizes) > 1:
            words = ", ".join(f"{method} {image.shape[1]}x{image.shape[0]}" for method, image in read.items())
            raise BenchError(
                f"The images called {name} differ in size ({words}{'' if hr is None else ', or from HR'})."
            )
        guide = hr if hr is not None else np.mean([*read.values()], axis=0)
        window = _window(guide, wish.crop)
        shown = {method: _store(folder, image[window], key) for method, image in read.items()}
        beside = ""
        if wish.reference == "hr":
            beside = _store(folder, hr[window], key)
        elif wish.reference == "ref":
            beside = _store(folder, origin.refs[name](), key)
        for a, b in duels:
            if shown[a] == shown[b]:
                equal += 1
                continue
            items.append(Item(f"p{len(items) + 1:05d}", PAIR, name, a, b, shown[a], shown[b], beside))
        if wish.attention:
            sharp = (hr if checks_from == "HR images" else read[sources[0].method.name])[window]
            blurred = _blurred(sharp)
            loss = float(np.abs(sharp.astype(np.float32) - blurred).mean())
            checks.append((loss, name, *(_encoded(image) for image in (sharp, blurred)), beside))
            checks = sorted(checks, key=lambda check: (-check[0], check[1]))[:MOST_CHECKS]
    progress(len(common), len(common))
    if not items:
        raise Misuse("Every two images are the same, pixel for pixel: there is nothing to choose.")
    if equal:
        notes.append(f"{equal} comparisons of identical images are left out")
    for number, (_, name, sharp, blurred, beside) in enumerate(checks, 1):
        files = [_keep(folder, data, key) for data in (sharp, blurred)]
        items.append(Item(f"c{number:02d}", CHECK, name, SHARP, BLURRED, *files, beside))
    pairs = sum(item.kind == PAIR for item in items)
    if wish.per_person > pairs:
        raise Misuse(f"--per-person {wish.per_person}: there are only {pairs} comparisons.")
    return Plan(
        title=wish.title,
        question=wish.question,
        methods=tuple(source.method for source in sources),
        focus=wish.focus,
        reference=wish.reference,
        ties=wish.ties,
        crop=wish.crop,
        per_person=wish.per_person or min(pairs, PER_PERSON),
        attention=wish.attention,
        repeats=wish.repeats,
        pass_share=wish.pass_share,
        seed=wish.seed,
        checks_from=checks_from if checks else "",
        items=tuple(items),
        dataset=origin.dataset,
        dataset_title=origin.dataset_title,
        dataset_sha256=origin.dataset_sha256,
        protocol=origin.protocol,
        protocol_digest=origin.protocol_digest,
        notes=tuple(notes),
    )


def _window(guide: np.ndarray, side: int) -> tuple[slice, slice]:
    """The square window (of at most ``side`` pixels; 0: the whole image) with most detail: the largest sum of absolute
    differences between neighbouring pixels of HR, or of the methods' mean. The first of equals."""
    height, width = guide.shape[:2]
    if not side or (side >= height and side >= width):
        return slice(0, height), slice(0, width)
    grey = guide.astype(np.float64).mean(2)
    detail = np.zeros((height + 1, width + 1))
    edges = np.abs(np.diff(grey, axis=0, prepend=grey[:1])) + np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    detail[1:, 1:] = edges.cumsum(0).cumsum(1)
    rows, columns = min(side, height), min(side, width)
    sums = detail[rows:, columns:] - detail[:-rows, columns:] - detail[rows:, :-columns] + detail[:-rows, :-columns]
    top, left = np.unravel_index(np.argmax(sums.round(6)), sums.shape)
    return slice(int(top), int(top) + rows), slice(int(left), int(left) + columns)


def _blurred(image: Image) -> Image:
    height, width = image.shape[:2]
    reduced, cubic = (max(1, width // BLUR), max(1, height // BLUR)), PilImage.Resampling.BICUBIC
    return np.asarray(PilImage.fromarray(image).resize(reduced, cubic).resize((width, height), cubic))


def _encoded(image: Image) -> bytes:
    """PNG without any metadata: pixels alone."""
    data = io.BytesIO()
    PilImage.fromarray(np.ascontiguousarray(image)).save(data, format="PNG")
    return data.getvalue()


def _store(folder: Path, image: Image, key: bytes) -> str:
    return _keep(folder, _encoded(image), key)


def _keep(folder: Path, data: bytes, key: bytes) -> str:
    """Write an image under a name that says nothing; the same content once."""
    name = hashlib.blake2s(data, key=key, digest_size=16).hexdigest() + ".png"
    if not (folder / name).exists():
        with (folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    return name
