"""Writes the split to disk: inputs, one reference per input and level, manifest, Hugging Face metadata, data card."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from refsr_bench import __version__
from refsr_bench.core import files, reader
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Dataset, ImageSource
from refsr_bench.data import manifests
from refsr_bench.data.leaks import BY_CONSTRUCTION
from refsr_bench.data.manifests import MANIFEST, File
from refsr_bench.data.split import manifest
from refsr_bench.data.split.making import Made, references
from refsr_bench.data.split.manifest import FORMAT, Edges, Entry, Source, SplitManifest
from refsr_bench.geometry.drawing import SEED_RECIPE
from refsr_bench.geometry.kinds import EDGES, GROUPS, UNRELATED, level_names
from refsr_bench.geometry.transformation import visible
from refsr_bench.geometry.warping import INTERPOLATION
from refsr_bench.pixels.images import write_png

METADATA, README = "metadata.jsonl", "README.md"
_LONGEST_NAME = 100  # characters of an id that serves as a file name unchanged; file systems take 255 bytes

Progress = Callable[[int, int], None]


def build(
    dataset: Dataset,
    kind: str,
    levels: Sequence[str | float],
    out: Path,
    only: Iterable[str] | None = None,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Write the split of a data set into ``out``, and return that.

    levels: groups, numbers, "wide", "unrelated". Interrupted work continues; a folder that holds anything else is
    refused, and nothing in it is changed. progress: called with (images written or found, images in all). Raises Misuse
    for bad levels and a folder in use, BenchError naming a pair that cannot be made.
    """
    names = level_names(kind, levels)
    if not names or len(set(names)) < len(names):
        raise Misuse(f"--levels: name at least one level, each once; got {', '.join(names) or 'none'}.")
    only = None if only is None else list(only)
    made = {name: references(dataset, kind, name, only) for name in names}
    plan = _plan(dataset, kind, made)
    recorded = _claim(out, plan)
    jobs: dict[str, ImageSource] = {}
    for entry, each in zip(plan.pairs, (each for level in made.values() for each in level), strict=True):
        jobs[entry.hr] = each.original.hr
        jobs[entry.ref] = each.pair().refs[0]
    written: dict[str, File] = {}
    for done, (name, src) in enumerate(jobs.items(), 1):
        written[name] = _write(out / name, src, recorded.get(name))
        progress(done, len(jobs))
    files.write_text(out / METADATA, "".join(_row(entry) for entry in plan.pairs))
    files.write_text(out / README, _card(dataset, plan))
    manifests.write(out, msgspec.structs.replace(plan, files=written))
    return out


def _write(path: Path, src: ImageSource, recorded: File | None) -> File:
    """Write an image that does not exist yet, whole or not at all, so every existing file is finished."""
    if not path.exists():
        write_png(path, src.load())
    found = manifests.describe(path)
    if recorded is not None and recorded.sha256 != found.sha256:
        raise BenchError(f"{path}: changed since it was written. Remove it, and the same command makes it again.")
    return found


def _plan(dataset: Dataset, kind: str, made: Mapping[str, Sequence[Made]]) -> SplitManifest:
    """Return the manifest, except for the digests of the files."""
    used = [kind, "scale"] if kind == "rotation+scale" else [kind]
    return SplitManifest(
        format=FORMAT,
        made_by=f"refsr-bench {__version__}",
        source=Source(dataset.name, dataset.title, dataset.manifest_sha256),
        transform=kind,
        levels=tuple(made),
        edges={name: _edges(name) for name in used},
        edges_from="refsr-bench; the paper names three groups and no edges",
        seed=SEED_RECIPE,
        interpolation=INTERPOLATION,
        pixels="(x, y), the middle of the first pixel is (0, 0); matrix: input pixel to reference pixel",
        note=BY_CONSTRUCTION,
        pairs=tuple(_entry(level, each) for level, of_level in made.items() for each in of_level),
    )


def _edges(kind: str) -> Edges:
    edges = EDGES[kind]
    facts = {name: getattr(edges, name) for name in Edges.__struct_fields__ if name != "unit"}
    return Edges(unit=edges.meaning, **facts)


def _entry(level: str, made: Made) -> Entry:
    image, change = made.original.id, made.transformation
    return Entry(
        id=f"{image}_{level}",
        image=image,
        level=level,
        hr=f"input/{_file(image)}",
        ref=f"ref/{level}/{_file(image)}",
        hr_size=made.size,
        transformation=change,
        unrelated=made.other and made.other.id,
        visible=round(float(visible(change, made.size).mean()), 6) if change else 0.0,
    )


def _file(pair_id: str) -> str:
    """Return a file name for any id; a changed one has a digest appended."""
    name = re.sub(r"[^\w.=+-]+", "-", pair_id, flags=re.ASCII).strip("-.")
    plain = name == pair_id and len(name) <= _LONGEST_NAME
    return f"{name}.png" if plain else f"{name[:80]}-{hashlib.sha256(pair_id.encode()).hexdigest()[:12]}.png"


def _claim(out: Path, plan: SplitManifest) -> Mapping[str, File]:
    """Write the plan into an empty folder, or check that it holds this very split; return the files so far."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        empty = not any(path for path in out.iterdir() if not path.name.endswith(".partial"))
    except OSError as error:
        raise Misuse(f"{out}: cannot be used ({error.strerror or error}). Choose another --out.") from None
    if empty:
        manifests.write(out, plan)
        return {}
    if not (out / MANIFEST).is_file():
        raise Misuse(f"{out} holds something else; nothing was changed. Choose another --out.")
    found = manifest.read(out)
    fields = [name for name in SplitManifest.__struct_fields__ if name not in ("files", "made_by")]
    if differs := [name for name in fields if getattr(found, name) != getattr(plan, name)]:
        told = ", ".join(sorted(differs))
        raise Misuse(f"{out} holds another split ({told} differ); nothing was changed. Choose another --out.")
    return found.files


def _row(entry: Entry) -> str:
    """Return one line for Hugging Face's ImageFolder: columns hr and ref are images."""
    made = reader.to_json(entry.transformation)
    row = {
        "hr_file_name": entry.hr,
        "ref_file_name": entry.ref,
        "id": entry.id,
        "image": entry.image,
        "level": entry.level,
        "matrix": made and made["matrix"],
        "visible": entry.visible,
        "transformation": json.dumps(made, sort_keys=True),
    }
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def _card(dataset: Dataset, plan: SplitManifest) -> str:
    """Return the README of the split, which is also its page at Hugging Face."""
    import jinja2

    shares = {level: [entry.visible for entry in plan.pairs if entry.level == level] for level in plan.levels}
    template = resources.files("refsr_bench.data.split").joinpath("card.md.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    return environment.from_string(template).render(
        dataset=dataset,
        pretty_name=json.dumps(f"{dataset.title}, {plan.transform} of the reference controlled"),
        plan=plan,
        edges=plan.edges[plan.transform],
        images=len({entry.image for entry in plan.pairs}),
        rows=[
            (level, _range(plan.transform, level), len(of), f"{sum(of) / len(of):.1%}")
            for level, of in shares.items()
            if of
        ],
        warning=plan.note[0].upper() + plan.note[1:],
        metadata=METADATA,
        manifest=MANIFEST,
    )


def _range(kind: str, level: str) -> str:
    if level not in GROUPS:
        return "another input" if level == UNRELATED else level
    if level == "identity":
        return "none"
    return ", ".join(f"{low:.3g} to {high:.3g}" for low, high in EDGES[kind].ranges(level))
