"""Makes pairs and data sets of what people have: files, arrays, folders, Hugging Face tables."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np

from refsr_bench.api.inputs import Picture, image_of, several
from refsr_bench.core import catalogue
from refsr_bench.core.cards import DatasetCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.lists import some
from refsr_bench.core.names import slug
from refsr_bench.core.reader import parse_json
from refsr_bench.core.types import Dataset, Image, ImageSource, RefPair

if TYPE_CHECKING:
    import datasets

DatasetLike: TypeAlias = Union[str, Path, Dataset, Sequence[RefPair], "datasets.Dataset"]
"""A data set: its name in the catalogue, a folder of own pairs, pairs, or a Hugging Face table."""

OWN = "pairs"
"""The name of a data set of own pairs that was given none."""
OWN_NOTES = ("own pairs, there is no published set: numbers compare only with runs on the same manifest digest",)


def pair(hr: Picture, refs: Picture | Iterable[Picture] = (), id: str | None = None) -> RefPair:
    """Make one pair of an HR image and its references, the most similar first.

        pairs = [refsr_bench.pair("hr/1.png", "ref/1.jpg"), refsr_bench.pair(array, [first, second])]

    hr, refs: paths, which are read when the pixels are asked for; arrays ``uint8 H x W x 3 RGB``; Pillow images. id: a
    name that no other pair of the data set has; None takes the name of the file without its suffix, or a digest of the
    pixels. Raises Misuse for an array of another type or shape, BenchError for a file that is not there.
    """
    source = _source(hr, "hr")
    name = id or (Path(source.name).stem if source.path else f"image-{_digest(source.load())[:12]}")
    if source.path is None:
        source = dataclasses.replace(source, name=f"{slug(name)}.png")
    found = [_source(ref, f"refs[{number}]") for number, ref in enumerate(several(refs))]
    named = [
        ref if ref.path else dataclasses.replace(ref, name=f"{slug(name)}_ref{number}.png")
        for number, ref in enumerate(found, 1)
    ]
    return RefPair(name, source, tuple(named))


def load_dataset(source: DatasetLike, root: str | Path | None = None, *, name: str | None = None) -> Dataset:
    """Open a data set.

        data = refsr_bench.load_dataset("wrsr", root="data")
        data = refsr_bench.load_dataset([refsr_bench.pair("hr/1.png", "ref/1.jpg")], name="mine")

    source: a name that ``refsr-bench data list`` shows; a folder of own pairs (``hr/X.png`` with ``ref/X.png``, or
    ``pairs.txt``); a list of ``RefPair``; a Hugging Face ``Dataset`` with the columns of ``to_hf``, of which ``hr`` and
    ``refs`` are enough. root: the folder that holds a data set of the catalogue; None looks in ``REFSR_DATA`` and the
    platform's data folder. name: what results call own pairs; "pairs" if not given.

    Returns a ``Dataset``, which counts, yields and slices its pairs. Raises Misuse for an unknown name, an absent data
    set and a source of another kind, BenchError naming damaged files and pairs with the same id.
    """
    if isinstance(source, (str, Path)) and not _is_folder(source):
        from refsr_bench.data.opening import open_dataset

        if name is not None:
            raise Misuse(f"name={name!r}: {source} has a name of its own. Give a name to own pairs alone.")
        return open_dataset(str(source), root=None if root is None else Path(root))
    if root is not None:
        raise Misuse(f"root={str(root)!r} is for a data set of the catalogue, which is given by its name.")
    if isinstance(source, Dataset):
        return _renamed(source, name)
    if isinstance(source, (str, Path)):
        card: DatasetCard = catalogue.get("DATASETS", "folder")
        if not Path(source).is_dir():
            raise Misuse(f"There is no folder {source}. A folder of own pairs holds {card.layout}.")
        return _renamed(card.open(Path(source)), name)
    return _own(_pairs(source), name or OWN)


def to_hf(dataset: Dataset, streaming: bool = False) -> datasets.Dataset | datasets.IterableDataset:
    """Turn the pairs of a data set into a Hugging Face ``Dataset``, or an ``IterableDataset`` when streaming.

        table = refsr_bench.to_hf(refsr_bench.load_dataset("sample"))

    dataset: as ``load_dataset`` opens it. streaming: make rows when they are asked for.

    Columns: id, hr (image), refs (list of images), hr_name, ref_names, levels, facts (JSON text). Files stay where they
    are; images without a file are held as PNG. Raises BenchError for an image that cannot be read.
    """
    from refsr_bench.data import hf

    return hf.to_hf(dataset, streaming=streaming)


# -- the kinds of sources ------------------------------------------------------------------------------------------


def _is_folder(source: str | Path) -> bool:
    """Tell whether a source is a folder of own pairs; a name of the catalogue never is."""
    if isinstance(source, Path):
        return True
    return source not in catalogue.collect("DATASETS") and (Path(source).is_dir() or "/" in source or "\\" in source)


def _renamed(dataset: Dataset, name: str | None) -> Dataset:
    if name is None:
        return dataset
    if dataset.name in catalogue.collect("DATASETS") and dataset.name != "folder":
        raise Misuse(f"name={name!r}: {dataset.name} has a name of its own. Give a name to own pairs alone.")
    return dataclasses.replace(dataset, name=_own_name(name), title=name)


def _own_name(name: str) -> str:
    known = catalogue.collect("DATASETS")
    if name in known:
        raise Misuse(f"name={name!r}: a data set of the catalogue is called so. Choose another name.")
    return name


def _own(pairs: Sequence[RefPair], name: str) -> Dataset:
    from refsr_bench.data.layout import manifest_digest

    if not pairs:
        raise Misuse("A data set needs at least one pair; this list is empty.")
    if twice := [found for found, count in Counter(one.id for one in pairs).items() if count > 1]:
        raise BenchError(f"Pair ids must differ, found more than once: {some(twice)}. Give pair(..., id=...).")
    return Dataset(_own_name(name), name, tuple(pairs), manifest_digest(pairs), False, OWN_NOTES)


def _pairs(source: Any) -> list[RefPair]:
    if hasattr(source, "column_names") and hasattr(source, "features"):
        return _rows(source)
    if isinstance(source, RefPair):
        return [source]
    if isinstance(source, Iterable):
        pairs = list(source)
        if strange := [type(one).__name__ for one in pairs if not isinstance(one, RefPair)]:
            raise Misuse(f"A data set is a list of RefPair; this one holds {strange[0]}. Make them by pair(hr, refs).")
        return pairs
    raise Misuse(
        f"{type(source).__name__} is no data set. Give a name, a folder, a list of RefPair or a Hugging Face Dataset."
    )


def _rows(table: Any) -> list[RefPair]:
    """Return the pairs of a Hugging Face table, whose images are decoded when asked for."""
    columns = table.column_names
    if columns is None or not hasattr(table, "select"):
        raise Misuse("This Hugging Face data set is a stream. Give one with a length: load it without streaming.")
    if missing := [column for column in ("hr", "refs") if column not in columns]:
        raise Misuse(f"The table has no column {' and '.join(missing)}, only {', '.join(columns)}. See to_hf.")
    facts = table.select_columns([column for column in columns if column not in ("hr", "refs")])
    return [_row(table, number, facts[number] if facts.column_names else {}) for number in range(len(table))]


def _row(table: Any, number: int, facts: dict[str, Any]) -> RefPair:
    name = str(facts.get("id") or number)
    count = len(facts["ref_names"]) if facts.get("ref_names") is not None else len(_cell(table, number, "refs"))
    names = facts.get("ref_names") or [f"{slug(name)}_ref{n}.png" for n in range(1, count + 1)]
    levels = facts.get("levels") or [None] * count
    refs = tuple(
        ImageSource(ref_name, partial(_picture, table, number, n), level=level)
        for n, (ref_name, level) in enumerate(zip(names, levels, strict=True))
    )
    hr = ImageSource(facts.get("hr_name") or f"{slug(name)}.png", partial(_picture, table, number, None))
    said = parse_json(facts["facts"], f"facts of row {number}") if facts.get("facts") else {}
    return RefPair(name, hr, refs, {str(key): str(value) for key, value in said.items()})


def _cell(table: Any, number: int, column: str) -> Any:
    return table.select_columns([column])[number][column]


def _picture(table: Any, number: int, ref: int | None) -> Image:
    if ref is None:
        return image_of(_cell(table, number, "hr"), f"hr of row {number}")
    return image_of(_cell(table, number, "refs")[ref], f"reference {ref} of row {number}")


def _source(picture: Picture, what: str) -> ImageSource:
    if isinstance(picture, (str, Path)):
        from refsr_bench.pixels.images import source

        if not Path(picture).is_file():
            raise BenchError(f"{what}: {picture}: no such file.")
        return source(picture)
    image = np.array(image_of(picture, what))  # a copy, so that what is written into the array later changes nothing
    return ImageSource(f"{what}.png", lambda: image)


def _digest(image: Image) -> str:
    from refsr_bench.pixels.saved import pixels_digest

    return pixels_digest(image)
