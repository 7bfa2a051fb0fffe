"""The pictures of one protocol as a folder that FiftyOne imports: a group per image, a slice per picture.

    fiftyone.Dataset.from_dir(dataset_dir=FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)

The format is FiftyOne's own ("FiftyOneDataset" in its user guide): ``metadata.json`` describes the fields,
``samples.json`` holds one document per picture in MongoDB's extended JSON. Nothing of FiftyOne is needed to write it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.exports.export import chosen
from leaderboard.pages.finder import collect
from leaderboard.pages.gallery import ImagePage, Scene, Shot, withheld
from leaderboard.reading.load import Problem, dataset_key, method_key, read_folder
from leaderboard.reading.pictures import Picture
from leaderboard.tables.model import Table
from leaderboard.text import anchor, clean
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.reader import digest

VERSION = "1.0.0"  # FiftyOne's first version with these documents; later ones convert them when they import
GROUP = "group"
STRING, NUMBER = "fiftyone.core.fields.StringField", "fiftyone.core.fields.FloatField"


@dataclass(frozen=True)
class Written:
    """A folder that was written. slices: in order. withheld: data sets whose pictures nobody may pass on, and why."""

    groups: int
    samples: int
    slices: tuple[str, ...]
    withheld: tuple[tuple[str, str], ...]
    problems: tuple[Problem, ...]


def write(results_dir: Path, out: Path, protocol: str | None = None) -> Written:
    """Write the pictures that runs saved, with the values of their metrics, into a new folder.

    protocol: as for ``export.export_folder``. Pictures of all data sets are taken, because the folder is for the person
    who holds them already. Raises Misuse when the folder is not empty and like ``export.chosen``, BenchError when no
    run saved pictures.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"{out} is there already and stays; choose a new folder with --out.")
    results = read_folder(results_dir)
    table = chosen(results, protocol)
    names = dict.fromkeys(cell.run.result.run.dataset.name for cell in table.cells)
    gallery = collect(results_dir, [table], out, "files", list(names))
    if not gallery.images:
        raise BenchError(f"{results_dir}: no run under {table.title} saved pictures. Measure with --save-images.")
    slices = _slices(table)
    groups = [(page, page.scenes[0]) for page in gallery.images]
    samples = [sample for page, scene in groups for sample in _samples(page, scene, slices)]
    text = json.dumps({"samples": samples}, ensure_ascii=False, indent=1, allow_nan=False)
    gallery.keep([text])
    files.write_text(out / "samples.json", text)
    used = [each for each in ("HR", "LR", *_references(samples), *slices.values()) if _shown(samples, each)]
    files.write_text(out / "metadata.json", json.dumps(_metadata(table, used, samples), ensure_ascii=False, indent=1))
    kept = tuple((name, why) for name in names if (why := withheld(name)))
    return Written(len(groups), len(samples), tuple(used), kept, (*results.problems, *gallery.problems))


def _slices(table: Table) -> dict[Any, str]:
    """Return the name of each method's slice, by ``method_key``; a dot may not stand in a key of MongoDB."""
    keys = list(dict.fromkeys(method_key(cell.run.result.run.method) for cell in table.cells))
    names = [anchor(name).replace(".", "-") for name, _ in keys]
    taken = ("HR", "LR", "Ref")
    return {
        key: f"{name}-{digest(key)[:6]}" if names.count(name) > 1 or name in taken else name
        for key, name in zip(keys, names, strict=True)
    }


def _samples(page: ImagePage, scene: Scene, slices: dict[Any, str]) -> Iterator[dict[str, Any]]:
    """Return the documents of one image: HR, LR, references, and the SR image of each method."""
    protocol = scene.table.digest
    group = {"_id": _id(protocol, dataset_key(page.dataset), page.id), "_cls": "Group"}
    about = {"pair": clean(page.id), "dataset": clean(page.dataset.name), "protocol": clean(scene.table.title)}

    def sample(name: str, picture: Picture, **facts: Any) -> dict[str, Any]:
        own = _id(protocol, dataset_key(page.dataset), page.id, name)
        return {
            "_id": own, "filepath": picture.file, "tags": [], "_media_type": "image",
            "_rand": int(own["$oid"][:12], 16) / 16**12, GROUP: {**group, "name": name}, **about, **facts,
        }  # fmt: skip

    if scene.hr:
        yield sample("HR", scene.hr)
    if scene.lr:
        yield sample("LR", scene.lr)
    for number, (name, picture) in enumerate(scene.refs, 1):
        yield sample("Ref" if number == 1 else f"Ref {number}", picture, reference=name)
    for shot in scene.shots:
        yield sample(slices[method_key(shot.cell.run.result.run.method)], shot.picture, **_facts(shot))


def _facts(shot: Shot) -> dict[str, Any]:
    """Return the fields of an SR image. A PSNR of infinity is left out, because JSON has no word for it."""
    run = shot.cell.run.result.run
    values = {name: value for name, value in shot.record.metrics.items() if math.isfinite(value)}
    return {"method": shot.title, "weights": clean(run.method.weights.name), **values}


def _id(*parts: Any) -> dict[str, str]:
    """Return an ObjectId made of facts, so that the same results give the same file."""
    return {"$oid": digest(parts)[:24]}


def _references(samples: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(sample[GROUP]["name"] for sample in samples if "reference" in sample))


def _shown(samples: list[dict[str, Any]], name: str) -> bool:
    return any(sample[GROUP]["name"] == name for sample in samples)


def _field(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "db_field": name, "ftype": kind, "embedded_doc_type": None, "subfield": None, "fields": [],
            "description": None, "info": None, "read_only": False} | more  # fmt: skip


def _metadata(table: Table, slices: list[str], samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the document of the data set: its slices and the kinds of its fields."""
    embedded = "fiftyone.core.fields.EmbeddedDocumentField"
    group = [_field("id", "fiftyone.core.fields.ObjectIdField", db_field="_id"), _field("name", STRING)]
    fields = [
        _field("id", "fiftyone.core.fields.ObjectIdField", db_field="_id"),
        _field("filepath", STRING),
        _field("tags", "fiftyone.core.fields.ListField", subfield=STRING),
        _field("metadata", embedded, embedded_doc_type="fiftyone.core.metadata.ImageMetadata"),
        _field(GROUP, embedded, embedded_doc_type="fiftyone.core.groups.Group", fields=group),
    ]
    known = {field["name"] for field in fields} | {"_id", "_media_type", "_rand"}
    found: dict[str, str] = {}
    for sample in samples:
        for name, value in sample.items():
            if name not in known:
                found.setdefault(name, NUMBER if isinstance(value, float) else STRING)
    default = next((name for name in slices if name not in ("HR", "LR") and not name.startswith("Ref")), slices[0])
    return {
        "name": f"refsr-bench {clean(table.title)}",
        "version": VERSION,
        "media_type": "group",
        "group_field": GROUP,
        "group_media_types": dict.fromkeys(slices, "image"),
        "default_group_slice": default,
        "info": {"protocol": clean(table.title), "protocol_digest": table.digest},
        "sample_fields": [*fields, *(_field(name, kind) for name, kind in found.items())],
    }
