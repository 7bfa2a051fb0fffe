"""Anyone's own pairs: a folder of HR images and a folder of references that match by name, or a pairs file."""

from __future__ import annotations

import re
from pathlib import Path

from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import natural, some
from refsr_bench.core.types import Dataset, RefPair
from refsr_bench.data.layout import absent, assemble, by_id, images_in, read_pairs_file, require
from refsr_bench.pixels.images import source

_HR, _REF = ("hr", "HR", "input"), ("ref", "refs", "Ref", "REF")
NOTES = ("own pairs, there is no published set: numbers compare only with runs on the same manifest digest",)


def _open(root: Path | None) -> Dataset:
    hr_folder = next((root / name for name in _HR if (root / name).is_dir()), None)
    ref_folder = next((root / name for name in _REF if (root / name).is_dir()), None)
    if (root / "pairs.txt").is_file():
        pairs = _listed(root, [folder for folder in (root, hr_folder) if folder], [f for f in (root, ref_folder) if f])
    elif hr_folder is None:
        raise absent(CARD, root)
    elif ref_folder is None:
        raise BenchError(f"{root}: there is {hr_folder.name}/ but no ref/ beside it. Expected {CARD.layout}.")
    else:
        pairs = _matched(hr_folder, ref_folder)
    return assemble(CARD, root, pairs, notes=NOTES)


def _matched(hr_folder: Path, ref_folder: Path) -> list[RefPair]:
    hr = by_id(images_in(hr_folder))
    if not hr:
        raise BenchError(f"{hr_folder}: holds no images. Expected {CARD.layout}.")
    by_stem = by_id(images_in(ref_folder))
    found = {stem: _references(stem, hr, by_stem, ref_folder) for stem in hr}
    require([hr[stem].name for stem, refs in found.items() if not refs], "references: none", ref_folder)
    return [RefPair(stem, source(path), tuple(source(ref) for ref in found[stem])) for stem, path in hr.items()]


def _references(stem: str, hr: dict[str, Path], by_stem: dict[str, Path], ref_folder: Path) -> list[Path]:
    """Return all references of one image: X, X_ref, X_1, X_2 .., then those of the folder X/, but no other image's."""
    numbered = [s for s in by_stem if re.fullmatch(re.escape(stem) + r"_\d+", s) and s not in hr]
    names = [s for s in (stem, f"{stem}_ref") if s in by_stem] + sorted(numbered, key=natural)
    inside = sorted(images_in(ref_folder / stem), key=lambda path: natural(path.name))
    return [by_stem[s] for s in names] + inside


def _listed(root: Path, hr_folders: list[Path], ref_folders: list[Path]) -> list[RefPair]:
    rows = read_pairs_file(root / "pairs.txt")

    def find(name: str, folders: list[Path]) -> Path | None:
        return next((folder / name for folder in folders if (folder / name).is_file()), None)

    missing = [row[0] for row in rows if find(row[0], hr_folders) is None]
    missing += [name for row in rows for name in row[1:] if find(name, ref_folders) is None]
    if missing:
        raise BenchError(f"{root / 'pairs.txt'}: {len(missing)} listed files do not exist: {some(missing)}.")
    hr = by_id([find(row[0], hr_folders) for row in rows])
    refs = [tuple(source(find(name, ref_folders)) for name in row[1:]) for row in rows]
    return [RefPair(stem, source(path), r) for (stem, path), r in zip(hr.items(), refs, strict=True)]


CARD = DatasetCard(
    name="folder",
    title="Own pairs",
    description="Your own photos: any sizes, any number of references per image.",
    open=_open,
    home="your own disk",
    terms="yours",
    layout=(
        "hr/X.png (or input/) with ref/X.png, ref/X_ref.png, ref/X_1.png, ref/X_2.png .. or a folder ref/X/ of "
        "several; or pairs.txt with lines 'hr ref [ref ...]'"
    ),
    refs_per_pair="1 or more",
)
DATASETS = (CARD,)
