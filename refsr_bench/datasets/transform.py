"""The transformation-controlled split (the paper's section 5.4, Fig. 6): references made from the HR images themselves.

``transformed`` and ``unrelated`` make it in memory from any data set, ``build`` writes it to disk in a form that
Hugging Face ``datasets`` opens, ``truth_of`` says where every HR pixel lies in the reference. The ids of ``only`` are a
pair's in the source data set, so a subset chosen there (the texture subset of the ablation) is the same subset here.

Such a reference shows the ground truth: a leak by construction, for measuring robustness, never for a ranking.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from refsr_bench import __version__
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import write_text
from refsr_bench.core.reader import digest, dumps, to_json
from refsr_bench.core.types import Dataset, Image, ImageSource, RefPair
from refsr_bench.data.layout import absent, file_sha256, some
from refsr_bench.datasets import sample
from refsr_bench.geometry import transforms
from refsr_bench.geometry.transforms import Transformation, TransformationTruth, Truth
from refsr_bench.pixels.images import image_size, source, write_png

NAME, TITLE = "transform", "Transformation-controlled split"
HOME = "your own disk ('refsr-bench data build transform --from DATASET --transform KIND --out DIR' makes it)"
LAYOUT = "manifest.json with input/ID.png and ref/LEVEL/ID.png, as 'refsr-bench data build transform' writes them"
MANIFEST, METADATA, README = "manifest.json", "metadata.jsonl", "README.md"
FORMAT = "refsr-bench transform split, version 1"
UNRELATED = "unrelated"
LEVELS = (*transforms.GROUPS, UNRELATED)
LEAK = "references made from the ground truth: a leak by construction, never ranked"
NOTES = (LEAK, "there is no published set: numbers compare only with runs on the same manifest digest")

Progress = Callable[[int, int], None]


# -- in memory -----------------------------------------------------------------------------------------------------


def transformed(dataset: Dataset, kind: str, level: str | float, only: Iterable[str] | None = None) -> Dataset:
    """The same inputs, each with one reference: itself under a transformation (at level "unrelated": another input).

    kind, level: see ``transforms.draw``. only: ids of the pairs to keep; what a pair gets does not depend on others.
    Raises Misuse for a level out of range or an unknown id, BenchError naming a pair of which too little stays visible.
    """
    if level == UNRELATED:
        return unrelated(dataset, only)
    level = transforms.level_name(kind, level)
    pairs, drawn = [], []
    for pair in _chosen(dataset, only):
        made = transforms.draw(kind, level, pair.id, _size(pair.hr))
        ref = ImageSource(f"{pair.id}_{kind}_{level}.png", partial(_load, pair.hr, made), level=1)
        pairs.append(RefPair(pair.id, pair.hr, (ref,), _facts(pair, made)))
        drawn.append([pair.id, made.to_dict()])
    title = f"{dataset.title}, {kind}, {level}"
    return _made(dataset, f"{dataset.name}.{kind}.{level}", title, pairs, drawn)


def unrelated(dataset: Dataset, only: Iterable[str] | None = None) -> Dataset:
    """The same inputs, each with another pair's input as its reference: what a reference is worth that shows nothing.

    Who gets whom is seeded by the ids of the whole data set; nobody gets their own image. Raises BenchError when the
    data set has one image only.
    """
    others = _deranged(dataset)
    pairs = []
    for pair in _chosen(dataset, only):
        other = others[pair.id]
        ref = dataclasses.replace(other.hr, level=1)
        pairs.append(RefPair(pair.id, pair.hr, (ref,), {**pair.facts, "unrelated": other.id}))
    drawn = [[pair.id, pair.facts["unrelated"]] for pair in pairs]
    return _made(dataset, f"{dataset.name}.{UNRELATED}", f"{dataset.title}, unrelated references", pairs, drawn)


def _made(dataset: Dataset, name: str, title: str, pairs: list[RefPair], drawn: list[Any]) -> Dataset:
    content = [FORMAT, transforms.VERSION, dataset.manifest_sha256, drawn]
    return Dataset(name, title, tuple(pairs), digest(content), False, (*NOTES, f"made from {dataset.name}"))


def _chosen(dataset: Dataset, only: Iterable[str] | None) -> list[RefPair]:
    if only is None:
        return list(dataset.pairs)
    wanted = set(only)
    if strange := sorted(wanted - {pair.id for pair in dataset.pairs}):
        raise Misuse(f"{dataset.name} has no pair called {some(strange)}.")
    return [pair for pair in dataset.pairs if pair.id in wanted]


def _load(hr: ImageSource, made: Transformation) -> Image:
    return transforms.apply(hr.load(), made)


def _facts(pair: RefPair, made: Transformation) -> dict[str, str]:
    return {**pair.facts, "transformation": json.dumps(made.to_dict(), sort_keys=True)}


def _size(src: ImageSource) -> tuple[int, int]:
    """(height, width), from a file's header where there is a file."""
    if src.path is None:
        height, width = src.load().shape[:2]
    else:
        width, height = image_size(src.path)
    return height, width


def _deranged(dataset: Dataset) -> dict[str, RefPair]:
    """Another pair for every id, one round trip through all images in the order of their ids' SHA-256."""
    first: dict[str, RefPair] = {}  # several pairs may share one input
    for pair in sorted(dataset.pairs, key=lambda pair: pair.id):
        first.setdefault(str(pair.hr.path or pair.hr.name), pair)
    if len(first) < 2:
        raise BenchError(f"{dataset.name}: an unrelated reference needs a second image, and there is only one.")
    seed = f"{UNRELATED}|{transforms.VERSION}"
    images = sorted(first, key=lambda image: hashlib.sha256(f"{first[image].id}|{seed}".encode()).digest())
    after = {image: first[images[n - len(images) + 1]] for n, image in enumerate(images)}
    return {pair.id: after[str(pair.hr.path or pair.hr.name)] for pair in dataset.pairs}


# -- truth ---------------------------------------------------------------------------------------------------------


def truth_of(dataset: Dataset, pair_id: str) -> Truth:
    """Where the HR pixels of a pair lie in its first reference.

    Known for what ``transformed`` and ``unrelated`` made and ``build`` wrote, for pairs with a homography, and for the
    two stereo pairs of ``sample``. Raises BenchError for other pairs.
    """
    pair = next((pair for pair in dataset.pairs if pair.id == pair_id), None)
    if pair is None:
        raise BenchError(f"{dataset.name} has no pair called '{pair_id}'.")
    where = f"pair '{pair_id}' of {dataset.name}"
    if "transformation" in pair.facts:
        made = Transformation.from_dict(_json(pair.facts["transformation"], where), where)
        return TransformationTruth(made, _size(pair.hr))
    if "homography" in pair.facts:
        matrix = transforms.matrix_of(_json(pair.facts["homography"], where), where)
        return TransformationTruth(Transformation("homography", "given", matrix, _size(pair.refs[0])), _size(pair.hr))
    if UNRELATED in pair.facts:
        return NoTruth()
    if dataset.name == sample.NAME and pair.facts.get("kind") == "real stereo pair":
        return _stereo(pair_id, _size(pair.refs[0]))
    raise BenchError(f"No true correspondences are known for {where}.")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BenchError(f"{where}: damaged facts ({error}).") from None


@dataclass(frozen=True)
class NoTruth:
    """``Truth`` of an unrelated reference: nothing of the input is in it."""

    def targets(self, points: np.ndarray) -> np.ndarray:
        return np.full((len(points), 2), np.nan)

    def valid(self, points: np.ndarray) -> np.ndarray:
        return np.zeros(len(points), bool)


@dataclass(frozen=True)
class DisparityTruth:
    """``Truth`` of a rectified stereo pair. disparity: float32 (h, w), HR pixels to the left, NaN unknown.

    size: (height, width) of the reference. A point counts as hidden there when another one of its row, more than a
    pixel nearer, lands within half a pixel of it.
    """

    disparity: np.ndarray
    size: tuple[int, int]

    def targets(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, np.float64)
        row, column, _ = self._pixels(points)
        return points - np.stack((self.disparity[row, column], np.zeros(len(points))), axis=-1)

    def valid(self, points: np.ndarray) -> np.ndarray:
        row, column, inside = self._pixels(np.asarray(points, np.float64))
        there = self.targets(points)
        height, width = self.size
        with np.errstate(invalid="ignore"):
            inside &= (there[:, 0] >= -0.5) & (there[:, 0] < width - 0.5) & (there[:, 1] < height - 0.5)
        return inside & self._shown[row, column]

    def _pixels(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Nearest row and column, and whether the point is inside the HR image."""
        height, width = self.disparity.shape
        column, row = np.floor(points + 0.5).astype(np.int64).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return row.clip(0, height - 1), column.clip(0, width - 1), inside

    @cached_property
    def _shown(self) -> np.ndarray:
        """bool (h, w): disparity known, and nothing nearer in front."""
        known = np.isfinite(self.disparity)
        height, width = self.disparity.shape
        d = np.where(known, self.disparity, 0)
        column = np.floor(np.arange(width) - d + 0.5).astype(np.int64)
        offset = column.min()
        nearest = np.full((height, int(column.max() - offset) + 1), -np.inf)
        row = np.broadcast_to(np.arange(height)[:, None], d.shape)
        np.maximum.at(nearest, (row[known], column[known] - offset), d[known])
        return known & (nearest[row, column - offset] <= d + 1)


@cache
def _stereo(pair_id: str, size: tuple[int, int]) -> DisparityTruth:
    return DisparityTruth(sample.disparity(pair_id), size)


# -- on disk -------------------------------------------------------------------------------------------------------


def build(
    dataset: Dataset,
    kind: str,
    levels: Sequence[str | float],
    out: Path,
    only: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write the split of a data set: inputs, one reference per input and level, manifest, Hugging Face metadata, card.

    levels: groups, numbers, "unrelated". Work that was interrupted goes on; a folder that holds anything else is
    refused, and nothing in it is changed. progress: called with (images written or found, images in all).
    Raises Misuse for bad levels and a folder in use, BenchError naming a pair that cannot be made.
    """
    names = [UNRELATED if level == UNRELATED else transforms.level_name(kind, level) for level in levels]
    if not names or len(set(names)) < len(names):
        raise Misuse(f"--levels: name at least one level, each once; got {', '.join(names) or 'none'}.")
    only = None if only is None else list(only)
    sets = {name: transformed(dataset, kind, name, only) for name in names}
    plan = _plan(dataset, kind, sets)
    out = Path(out)
    _claim(out, plan)
    jobs: dict[str, ImageSource] = {}
    for entry, pair in zip(plan["pairs"], (pair for made in sets.values() for pair in made.pairs), strict=True):
        jobs[entry["hr"]] = pair.hr
        jobs[entry["ref"]] = pair.refs[0]
    recorded = _read(out)["files"]
    files: dict[str, dict[str, Any]] = {}
    for done, (name, src) in enumerate(jobs.items(), 1):
        path = out / name
        if not path.exists():
            write_png(path, src.load())  # whole or not at all, so that what exists is finished
        width, height = image_size(path)
        files[name] = {
            "sha256": file_sha256(path), "bytes": path.stat().st_size, "width": width, "height": height,
        }  # fmt: skip
        if name in recorded and recorded[name]["sha256"] != files[name]["sha256"]:
            raise BenchError(f"{path}: changed since it was written. Remove it, and the same command makes it again.")
        if progress:
            progress(done, len(jobs))
    try:
        write_text(out / METADATA, "".join(_row(entry) for entry in plan["pairs"]))
        write_text(out / README, _card(dataset, kind, names, plan))
        write_text(out / MANIFEST, dumps({**plan, "files": files}))
    except OSError as error:
        raise BenchError(f"{out}: cannot be written ({error.strerror or error}). Make room and repeat.") from None
    return out


def _plan(dataset: Dataset, kind: str, sets: Mapping[str, Dataset]) -> dict[str, Any]:
    """The manifest, all but the digests of the files."""
    edges = transforms.EDGES
    used = [kind, "scale"] if kind == "rotation+scale" else [kind]
    plan = {
        "format": FORMAT,
        "made_by": f"refsr-bench {__version__}",
        "source": {"name": dataset.name, "title": dataset.title, "manifest_sha256": dataset.manifest_sha256},
        "transform": kind,
        "levels": list(sets),
        "edges": {name: dataclasses.asdict(edges[name]) for name in used},
        "edges_from": "refsr-bench; the paper names three groups and no edges",
        "seed": transforms.SEED_RECIPE,
        "interpolation": transforms.INTERPOLATION,
        "pixels": "(x, y), the middle of the first pixel is (0, 0); matrix: input pixel to reference pixel",
        "note": LEAK,
        "pairs": [
            {
                "id": f"{pair.id}_{level}",
                "image": pair.id,
                "level": level,
                "hr": f"input/{_file(pair.id)}",
                "ref": f"ref/{level}/{_file(pair.id)}",
                "hr_size": list(_size(pair.hr)),
                "transformation": json.loads(pair.facts.get("transformation", "null")),
                "unrelated": pair.facts.get(UNRELATED),
            }
            for level, made in sets.items()
            for pair in made.pairs
        ],
        "files": {},
    }
    for entry in plan["pairs"]:
        entry["visible"] = 0.0
        if entry["transformation"]:
            made = Transformation.from_dict(entry["transformation"])
            entry["visible"] = round(float(transforms.visible(made, tuple(entry["hr_size"])).mean()), 6)
    return json.loads(dumps(plan))


def _file(pair_id: str) -> str:
    """A file name for any id; one that had to be changed is told apart by its digest."""
    name = re.sub(r"[^\w.=+-]+", "-", pair_id, flags=re.ASCII).strip("-.")
    plain = name == pair_id and len(name) <= 100
    return f"{name}.png" if plain else f"{name[:80]}-{hashlib.sha256(pair_id.encode()).hexdigest()[:12]}.png"


def _claim(out: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan into an empty folder, or see that the folder holds this very split, begun or done."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not any(path for path in out.iterdir() if not path.name.endswith(".partial")):
            write_text(out / MANIFEST, dumps(plan))
            return
    except OSError as error:
        raise Misuse(f"{out}: cannot be used ({error.strerror or error}). Choose another --out.") from None
    if not (out / MANIFEST).is_file():
        raise Misuse(f"{out} holds something else; nothing was changed. Choose another --out.")
    found = _read(out)
    differs = [key for key in plan if key not in ("files", "made_by") and found.get(key) != plan[key]]
    if differs:
        told = ", ".join(differs)
        raise Misuse(f"{out} holds another split ({told} differ); nothing was changed. Choose another --out.")


def _read(root: Path) -> dict[str, Any]:
    """The manifest. Raises BenchError when it is none of ours."""
    path = root / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise BenchError(f"{path}: {manifest['format']!r}; this refsr-bench reads {FORMAT!r}.")
        if not (isinstance(manifest["pairs"], list) and isinstance(manifest["files"], dict)):
            raise TypeError("pairs or files")
        return manifest
    except OSError as error:
        raise BenchError(f"{path}: cannot be read ({error.strerror}).") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"{path}: not the manifest of a transform split ({error}).") from None


def _row(entry: Mapping[str, Any]) -> str:
    """One line for Hugging Face's ImageFolder: columns hr and ref are images."""
    made = entry["transformation"]
    row = {
        "hr_file_name": entry["hr"],
        "ref_file_name": entry["ref"],
        "id": entry["id"],
        "image": entry["image"],
        "level": entry["level"],
        "matrix": made and made["matrix"],
        "visible": entry["visible"],
        "transformation": json.dumps(made, sort_keys=True),
    }
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def _card(dataset: Dataset, kind: str, levels: Sequence[str], plan: Mapping[str, Any]) -> str:
    edges = transforms.EDGES[kind]
    count = len({entry["image"] for entry in plan["pairs"]})
    shares = {level: [e["visible"] for e in plan["pairs"] if e["level"] == level] for level in levels}
    lines = "\n".join(
        f"| {level} | {_range(kind, level)} | {len(of)} | {sum(of) / len(of):.1%} |"
        for level, of in shares.items()
        if of
    )
    return f"""---
pretty_name: {json.dumps(f"{dataset.title}, {kind} of the reference controlled")}
license: other
task_categories:
- image-to-image
tags:
- super-resolution
- reference-based-super-resolution
- image-matching
- robustness
configs:
- config_name: default
  drop_labels: true
  data_files:
  - split: test
    path:
    - {METADATA}
    - input/*.png
    - ref/*/*.png
---

# {dataset.title}: {kind} of the reference, controlled

{count} inputs of {dataset.title}, each with one reference per level that is made from the input itself, so that every
pixel's place in the reference is known. For measuring robustness as section 5.4 and Fig. 6 of *Robust Reference-based
Super-Resolution via C2-Matching* (Jiang et al., CVPR 2021) do.

**{LEAK[0].upper() + LEAK[1:]}.**

| level | magnitude | pairs | of the input seen |
| --- | --- | --- | --- |
{lines}

Magnitudes: {edges.meaning}. The paper names three groups and no edges; these edges are refsr-bench's own: {edges.why}.
Within a group magnitudes are {"log-" if edges.logarithmic else ""}uniform, directions a coin's.

- Seed: {transforms.SEED_RECIPE}.
- Pixels: {transforms.INTERPOLATION}.
- The reference's size is the bounding box of the transformed input about its middle, at most the input's own size.
- Columns: `hr` and `ref` (images), `id`, `image`, `level`, `matrix` (3x3, input pixel (x, y, 1) to reference pixel, the
  middle of the first pixel is (0, 0); empty for unrelated references), `visible` (share of the input that the reference
  shows), `transformation` (all parameters, JSON).
- `{MANIFEST}` holds all of this and the SHA-256 of every file.
- Terms: those of {dataset.name}, whose images these are.

```python
from datasets import load_dataset
pairs = load_dataset("PATH_OF_THIS_FOLDER", split="test")
```
"""


def _range(kind: str, level: str) -> str:
    if level not in transforms.GROUPS:
        return "another input" if level == UNRELATED else level
    if level == "identity":
        return "none"
    return ", ".join(f"{low:.3g} to {high:.3g}" for low, high in transforms.EDGES[kind].ranges(level))


def _open(root: Path | None) -> Dataset:
    """One pair per image and level; ids are IMAGE_LEVEL. ``at_level`` takes one level out."""
    if not (root / MANIFEST).is_file() or not (root / "input").is_dir():
        raise absent(NAME, root, HOME, LAYOUT)
    manifest = _read(root)
    if missing := [name for name in manifest["files"] if not (root / name).is_file()]:
        raise BenchError(f"{root}: {len(missing)} files missing: {some(missing)}. Build the split again.")
    if not manifest["files"]:
        raise BenchError(f"{root}: begun and not finished. Give the command that began it again.")
    pairs = [_pair(root, entry) for entry in manifest["pairs"]]
    files = sorted(manifest["files"])
    content = [manifest["pairs"], [[name, file_sha256(root / name)] for name in files]]
    levels = ", ".join(manifest["levels"])
    notes = (*NOTES, f"made from {manifest['source']['name']}: {manifest['transform']}, {levels}")
    return Dataset(NAME, TITLE, tuple(pairs), digest(to_json(content)), False, notes, root)


def _pair(root: Path, entry: Mapping[str, Any]) -> RefPair:
    where = f"{root / MANIFEST}"
    try:
        pair_id, level, hr, ref = (str(entry[key]) for key in ("id", "level", "hr", "ref"))
        facts = {"level": level, "image": str(entry["image"])}
        for name in (hr, ref):
            if not re.fullmatch(r"(input|ref)(/[\w.=+-]+)+\.png", name) or ".." in name:
                raise BenchError(f"{where}: {name!r} is no file of a split.")
        if entry["transformation"] is None:
            facts[UNRELATED] = str(entry["unrelated"])
        else:
            made = Transformation.from_dict(entry["transformation"], f"{where}: pair '{pair_id}'")
            transforms.check(made, tuple(int(side) for side in entry["hr_size"]), f"pair '{pair_id}'")
            facts["transformation"] = json.dumps(made.to_dict(), sort_keys=True)
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{where}: a damaged pair ({type(error).__name__}: {error}).") from None
    return RefPair(pair_id, source(root / hr), (source(root / ref, 1),), facts)


def at_level(dataset: Dataset, level: str) -> Dataset:
    """Of an opened split, the pairs of one level under their images' own ids. Raises Misuse naming the levels there."""
    pairs = [dataclasses.replace(p, id=p.facts["image"]) for p in dataset.pairs if p.facts.get("level") == level]
    if not pairs:
        levels = dict.fromkeys(pair.facts.get("level", "") for pair in dataset.pairs)
        raise Misuse(f"{dataset.name} has no level '{level}'; it has {', '.join(levels)}.")
    return dataclasses.replace(
        dataset, name=f"{dataset.name}.{level}", title=f"{dataset.title}, {level}", pairs=tuple(pairs),
        manifest_sha256=digest([dataset.manifest_sha256, level]),
    )  # fmt: skip


DATASETS = (
    DatasetCard(
        name=NAME,
        title=TITLE,
        description="References made from the inputs: turned, scaled, tilted, spoiled; every pixel's place is known.",
        open=_open,
        home=HOME,
        terms="those of the data set it was made from",
        layout=LAYOUT,
        n_pairs=None,
        refs_per_pair="1",
        folder="",
    ),
)
