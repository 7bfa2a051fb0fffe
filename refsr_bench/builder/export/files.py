"""What is published: WR-SR's layout, which ``datasets.load_dataset`` opens too, Croissant metadata and a data card.

    input/NNN.png, ref/NNN_ref.png, pairs.txt    WR-SR's layout; NNN counts from 001
    metadata.jsonl                               one row per pair: columns hr and ref are images at Hugging Face
    sources.csv                                  per image: where from, whose, under which licence, what was changed
    README.md, figures/, croissant.json          the data card, its charts, the same for machines
    manifest.json                                SHA-256 of every file; 'refsr-bench data verify wrsr' reads it

By reference, images stay where they are on the web: references.csv and fetch.py take the place of the two folders.
"""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from refsr_bench import __version__
from refsr_bench.builder import stats
from refsr_bench.builder.export import fetch_script
from refsr_bench.builder.facts import pixels_sha256
from refsr_bench.builder.project import LICENSES, Project
from refsr_bench.builder.rows import Candidate, Cleaned, Query, Rescaled, Selected
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import write_text
from refsr_bench.core.reader import dumps
from refsr_bench.data.layout import file_sha256, some
from refsr_bench.data.leaks import describe, find_leaks
from refsr_bench.data.opening import open_dataset
from refsr_bench.pixels.images import EXTENSIONS, image_size, read_image

UNKNOWN = "unknown"
PUBLIC_DOMAIN = ("cc0", "pdm")


@dataclass(frozen=True)
class Pair:
    """One pair with everything known of it. name: NNN."""

    name: str
    query: Query
    candidate: Candidate
    cleaned: Cleaned
    selected: Selected
    rescaled: Rescaled

    @property
    def input(self) -> str:
        return f"input/{self.name}.png"

    @property
    def ref(self) -> str:
        return f"ref/{self.name}_ref.png"

    @property
    def cropped(self) -> bool:
        row = self.rescaled
        return (row.input_width, row.input_height) != (row.input_width_before, row.input_height_before)

    @property
    def reduced(self) -> bool:
        return self.rescaled.factor < 1

    def images(self) -> tuple[tuple[str, Query | Candidate, bool, str], ...]:
        """(file, row with its source, changed, what was changed) of input and reference."""
        row = self.rescaled
        crop = f"cut to {row.input_width}x{row.input_height}" if self.cropped else "none"
        reduced = f"reduced to {row.ref_width}x{row.ref_height} ({row.resampling})" if self.reduced else "none"
        return (self.input, self.query, self.cropped, crop), (self.ref, self.candidate, self.reduced, reduced)


def export(project: Project, by_reference: bool = False) -> Path:
    """Write ``export/`` anew, whole or not at all, and return it.

    Raises Misuse when pairs are missing, when a licence forbids what was done to an image (no derivatives), or when an
    image without a web address is to be published by reference; BenchError when a reference is a leak after all.
    """
    with project.lock("export"):
        pairs = _pairs(project)
        _allowed(pairs, by_reference)
        target, partial = project.path / "export", project.path / ".export.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            if by_reference:
                _references(project, pairs, partial)
                checks = ["digests of the pixels of every image, to be compared when they are fetched"]
            else:
                checks = _images(project, pairs, partial)
            _text(partial / "sources.csv", _sources(pairs))
            _charts(pairs, partial / "figures")
            _text(partial / "README.md", _card(project, pairs, checks, by_reference))
            if not by_reference:
                _text(partial / "croissant.json", dumps(_croissant(project, pairs, partial)))
                _text(partial / "manifest.json", dumps(_manifest(pairs, partial)))
            old = project.path / ".export.old"
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                target.replace(old)
            partial.replace(target)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise BenchError(f"{target}: cannot be written ({error.strerror or error}). Make room.") from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def push(project: Project, repository: str, public: bool = False, api: Any = None) -> str:
    """Upload ``export/`` as a data set repository of the Hugging Face Hub, private unless ``public``; returns its page.

    Refused while an image's licence is unknown or not among the project's, unless it was exported by reference. api: a
    ``huggingface_hub.HfApi``. Raises Misuse for that, BenchError when the Hub refuses.
    """
    folder = project.path / "export"
    if not (folder / "README.md").is_file():
        raise Misuse(f"{project.path}: nothing to publish yet. Export first: build wrsr export {project.path}")
    if not (folder / "references.csv").is_file():
        closed = [
            f"{name} ({row.license or UNKNOWN})"
            for pair in _pairs(project)
            for name, row, _, _ in pair.images()
            if row.license not in project.settings.licenses
        ]
        if closed:
            raise Misuse(
                f"{len(closed)} images may not be redistributed, as far as the tables say: {some(closed)}. State their "
                "licences (--facts), leave them out, or export with --by-reference."
            )
    if api is None:
        from huggingface_hub import HfApi

        api = HfApi()
    try:
        api.create_repo(repository, repo_type="dataset", private=not public, exist_ok=True)
        api.upload_folder(
            folder_path=str(folder),
            repo_id=repository,
            repo_type="dataset",
            commit_message=f"{project.settings.title}, made with refsr-bench {__version__}",
        )
    except (OSError, ValueError) as error:  # HTTP errors are OSErrors, bad names ValueErrors
        raise BenchError(f"{repository}: the Hub refused ({error}). Log in first: hf auth login") from None
    return f"https://huggingface.co/datasets/{repository}"


def forbids_changes(license: str) -> bool:
    """Whether a licence is one of those without derivatives."""
    return bool(re.search(r"\bnd\b|no.?deriv", license.lower().replace("_", "-")))


def _pairs(project: Project) -> list[Pair]:
    queries = {row.id: row for row in project.kept_queries}
    pool = {(row.query, row.file): row for row in reversed(project.pool)}
    cleaned = {(row.query, row.file): row for row in project.cleaned}
    rescaled = {(row.query, row.file): row for row in project.rescaled}
    chosen = [row for row in project.selected if row.file and row.query in queries]
    keys = [(row.query, row.file) for row in chosen]
    if not chosen or any(key not in rescaled for key in keys):
        todo = sum(key not in rescaled for key in keys)
        raise Misuse(f"{project.path}: {todo or 'all'} pairs not finished. First: build wrsr rescale {project.path}")
    width = max(3, len(str(len(chosen))))
    return [
        Pair(
            f"{n:0{width}d}",
            queries[row.query],
            pool.get(key, Candidate(*key)),
            cleaned.get(key, Cleaned(*key, kept=True)),
            row,
            rescaled[key],
        )
        for n, (row, key) in enumerate(sorted(zip(chosen, keys, strict=True), key=lambda item: item[1]), 1)
    ]


def _allowed(pairs: Sequence[Pair], by_reference: bool) -> None:
    images = [(name, row, changed) for pair in pairs for name, row, changed, _ in pair.images()]
    if by_reference:
        nowhere = [name for name, row, _ in images if not row.source_url.startswith(("http://", "https://"))]
        if nowhere:
            raise Misuse(f"{len(nowhere)} images have no web address to refer to: {some(nowhere)}.")
        return
    closed = [f"{name} ({row.license})" for name, row, changed in images if changed and forbids_changes(row.license)]
    if closed:
        raise Misuse(
            f"{len(closed)} images are under licences without derivatives and were cut or reduced: {some(closed)}. "
            "Choose others, or export with --by-reference."
        )


def _images(project: Project, pairs: Sequence[Pair], folder: Path) -> list[str]:
    """Copy the images, write the lists, and check the result as any data set is checked; returns what was checked."""
    for name in ("input", "ref"):
        (folder / name).mkdir()
    for pair in pairs:
        for target, made in ((pair.input, pair.rescaled.input), (pair.ref, pair.rescaled.ref)):
            shutil.copyfile(project.file(made), folder / target)
    _text(folder / "pairs.txt", "".join(f"{Path(p.input).name} {Path(p.ref).name}\n" for p in pairs))
    _text(folder / "metadata.jsonl", "".join(json.dumps(_row(p), sort_keys=True) + "\n" for p in pairs))
    dataset = open_dataset("wrsr", folder)
    if leaks := find_leaks(dataset.pairs):
        raise BenchError(f"{len(leaks)} references give the answer away: {describe(leaks)}. Choose others.")
    digests = Counter(pixels_sha256(pair.hr.load()) for pair in dataset.pairs)
    if twice := [digest for digest, count in digests.items() if count > 1]:
        raise BenchError(f"{len(twice)} inputs come more than once, the same pixels under two names.")
    scale, settings = project.settings.scale, project.settings
    return [
        f"{len(dataset.pairs)} pairs open in WR-SR's layout, every image decodes",
        "no reference is its input's copy or cut: thumbnails in eight orientations, cuts at the same scale "
        f"(refsr-bench data verify), pHash within {settings.hash_distance} of 64 bits in eight orientations, and "
        f"homographies under which {settings.leak_share:.0%} of the key points and the pixels to "
        f"{settings.leak_psnr:.0f} dB agree, mirrored too",
        "no two inputs have the same pixels",
        f"inputs are multiples of {scale} in both sides",
    ]


def _row(pair: Pair) -> dict[str, Any]:
    """One line for Hugging Face's ImageFolder: hr and ref become images."""
    row, found = pair.rescaled, pair.cleaned
    facts = {"hr": pair.query, "ref": pair.candidate}
    told = {
        f"{side}_{name}": getattr(source, name)
        for side, source in facts.items()
        for name in ("license", "license_version", "license_url", "creator", "landing_url", "source_url")
    }
    return {
        "hr_file_name": pair.input,
        "ref_file_name": pair.ref,
        "id": pair.name,
        "category": pair.selected.category or pair.query.category,
        **told,
        "similarity": round(found.similarity, 4),
        "inliers": found.inliers,
        "scale": round(found.scale * row.factor, 4),
        "rotation": round(found.rotation, 2),
        "overlap": round(found.overlap, 4),
        "hr_sharpness": round(pair.query.sharpness, 1),
        "ref_sharpness": round(found.sharpness, 1),
        "hr_jpeg_quality": pair.query.jpeg_quality,
        "ref_jpeg_quality": found.jpeg_quality,
        "ref_factor": round(row.factor, 4),
        "annotators": len([name for name in pair.selected.annotators.split(",") if name]),
        "agreement": round(pair.selected.agreement, 4),
    }


def _references(project: Project, pairs: Sequence[Pair], folder: Path) -> None:
    rows = []
    for pair in pairs:
        made = pair.rescaled
        crop = (made.input_width, made.input_height), (made.ref_width_before, made.ref_height_before)
        size = (made.input_width, made.input_height), (made.ref_width, made.ref_height)
        for (name, source, _, _), cut, final in zip(pair.images(), crop, size, strict=True):
            digest = source.sha256 or pixels_sha256(read_image(project.file(source.file)))
            rows.append((name, source.source_url, digest, *cut, *final, source.license, source.landing_url))
    head = ("file", "url", "sha256", "crop_width", "crop_height", "width", "height", "license", "landing_url")
    _text(folder / "references.csv", _csv(head, rows))
    _text(folder / "pairs.txt", "".join(f"{Path(p.input).name} {Path(p.ref).name}\n" for p in pairs))
    shutil.copyfile(Path(fetch_script.__file__), folder / "fetch.py")


def _sources(pairs: Sequence[Pair]) -> str:
    names = ("source_url", "landing_url", "creator", "creator_url", "license", "license_version", "license_url")
    rows = [
        (name, *(getattr(row, field) for field in names), row.retrieved, row.sha256, row.width, row.height, changes)
        for pair in pairs
        for name, row, _, changes in pair.images()
    ]
    return _csv(("file", *names, "retrieved", "sha256_before", "width_before", "height_before", "changes"), rows)


def _charts(pairs: Sequence[Pair], folder: Path) -> None:
    folder.mkdir()
    categories = _categories(pairs)
    stats.bars(categories, "What the inputs show", folder / "categories.png")
    inliers = [float(pair.cleaned.inliers) for pair in pairs]
    likeness = [pair.cleaned.similarity for pair in pairs]
    stats.histogram({"matches": inliers}, "Verified matches of input and reference", "matches", folder / "matches.png")
    stats.histogram({"cosine": likeness}, "Similarity of the whole images", "cosine", folder / "similarity.png")


def _categories(pairs: Sequence[Pair]) -> Counter[str]:
    return Counter(pair.selected.category or pair.query.category or UNKNOWN for pair in pairs)


def _license_of(pairs: Sequence[Pair]) -> str:
    """One word for the Hub: the only licence there is, else 'other' and the table per image."""
    found = {row.license for pair in pairs for _, row, _, _ in pair.images()}
    versions = {row.license_version for pair in pairs for _, row, _, _ in pair.images()}
    if found == {"cc0"}:
        return "cc0-1.0"
    if len(found) == len(versions) == 1 and found <= {"by", "by-sa"} and versions <= {"2.0", "2.5", "3.0", "4.0"}:
        return f"cc-{found.pop()}-{versions.pop()}"
    return "other"


def _card(project: Project, pairs: Sequence[Pair], checks: Sequence[str], by_reference: bool) -> str:
    settings, queries, cleaned = project.settings, project.queries, project.cleaned
    licence = _license_of(pairs)
    named = "" if licence != "other" else "license_name: per-image\nlicense_link: sources.csv\n"
    size = "n<1K" if len(pairs) < 1000 else "1K<n<10K" if len(pairs) < 10_000 else "10K<n<100K"
    configs = """configs:
- config_name: default
  drop_labels: true
  data_files:
  - split: test
    path:
    - metadata.jsonl
    - input/*.png
    - ref/*.png
"""
    sizes = [
        _sizes("inputs", [(p.rescaled.input_width, p.rescaled.input_height) for p in pairs]),
        _sizes("references", [(p.rescaled.ref_width, p.rescaled.ref_height) for p in pairs]),
    ]
    licences = Counter((row.license or UNKNOWN, row.license_version) for p in pairs for _, row, _, _ in p.images())
    providers = Counter(pair.candidate.provider or UNKNOWN for pair in pairs)
    reasons = Counter(row.reason.partition(":")[0] for row in cleaned if not row.kept)
    verified = sum(pair.cleaned.inliers >= settings.min_inliers for pair in pairs)
    scales = [p.cleaned.scale * p.rescaled.factor for p in pairs if p.cleaned.scale > 0]
    reduced, jpeg = sum(p.reduced for p in pairs), [p.query.jpeg_quality for p in pairs if p.query.jpeg_quality]
    people = sorted({name for p in pairs for name in p.selected.annotators.split(",") if name})
    by = "the most similar candidate, no person looked" if people == ["auto"] else f"{len(people)} annotators"
    load = """```python
from datasets import load_dataset
pairs = load_dataset("PATH_OF_THIS_FOLDER", split="test")
```

`refsr-bench run --dataset wrsr --data-root THIS_FOLDER --method bicubic` measures on it.
"""
    fetch = """The images are not here: `python fetch.py` fetches them from where they are, checks that they are still
the same pixels, and makes `input/` and `ref/` (some will have vanished).
"""
    return f"""---
pretty_name: {json.dumps(settings.title)}
license: {licence}
{named}task_categories:
- image-to-image
tags:
- super-resolution
- reference-based-super-resolution
- test-set
annotations_creators:
- {"machine-generated" if people == ["auto"] else "expert-generated"}
source_datasets:
- original
size_categories:
- {size}
{"" if by_reference else configs}---

# {settings.title}

{len(pairs)} pairs of an input and one reference for reference-based super-resolution (x{settings.scale}), collected
after the recipe of WR-SR (Jiang et al., *Robust Reference-based Super-Resolution via C2-Matching*, CVPR 2021, section
4): query photos, a pool of similar images for each, cleaning, a choice, references brought to a comparable scale.

{fetch if by_reference else load}
## Motivation

To evaluate Ref-SR where references are found by search and not in the album of the input.

## Composition

{_markdown(("category", "inputs"), _categories(pairs).most_common())}

![categories](figures/categories.png)

{_markdown(("", "long side, min", "median", "max"), sizes)}

Similarity: {verified} of {len(pairs)} references have {settings.min_inliers} or more verified matches with their input,
median {median(p.cleaned.inliers for p in pairs):.0f}. Pixels of the reference per pixel of the input, where matches
allow an estimate: {_range(scales)}.

![verified matches](figures/matches.png)

![similarity](figures/similarity.png)

`metadata.jsonl` has, per pair, category, licences and sources, similarity, verified matches (`inliers`), scale,
rotation (degrees) and overlap.

## Collection process

- {len(queries)} query photos looked at, {sum(q.state == "kept" for q in queries)} kept \
({_counted(Counter(q.reason.partition(":")[0] for q in queries if q.state != "kept"))}).
- Up to {settings.top} candidates per query; the references chosen came from: {_counted(providers)}.
- Reference rule: {by}; queries without a proper reference were dropped. Mean agreement of annotators: \
{sum(p.selected.agreement for p in pairs) / len(pairs):.2f}.

## Preprocessing and cleaning

- {len(cleaned)} candidates cleaned, {sum(row.kept for row in cleaned)} kept; dropped: {_counted(reasons)}.
- Inputs cut to multiples of {settings.scale}: {sum(p.cropped for p in pairs)} of {len(pairs)}.
- References reduced to a comparable scale (Pillow's bicubic, antialiased): {reduced} of {len(pairs)}.
- JPEG ground truth: {len(jpeg)} inputs, quality at least {min(jpeg, default="-")}.

Checks passed:

{chr(10).join(f"- {check}" for check in checks)}

## Uses

Testing. Do not train on it. Out of scope: identifying people or places.

## Distribution

{_markdown(("licence", "version", "images"), [(name, version, n) for (name, version), n in sorted(licences.items())])}

Source, author, licence and changes of every image: `sources.csv`. Licences are as the source stated them; verify them
at the landing page before you redistribute. A licence is not consent of the people shown.

## Maintenance

Made with refsr-bench {__version__} on {datetime.now(UTC).date().isoformat()}. Contact, also for removal of an image: \
{settings.contact or "not stated"}.
"""


def _sizes(name: str, sizes: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    sides = [max(size) for size in sizes]
    return name, str(min(sides)), f"{median(sides):.0f}", str(max(sides))


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}, median {median(values):.2f}" if values else "none does"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.most_common()) or "none"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in lines)


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([head, *rows])
    return text.getvalue()


def _text(path: Path, text: str) -> None:
    write_text(path, text)


def _manifest(pairs: Sequence[Pair], folder: Path) -> dict[str, Any]:
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix.lower() in (*EXTENSIONS, ".txt"):
            entry: dict[str, Any] = {"sha256": file_sha256(path), "bytes": path.stat().st_size}
            if path.suffix.lower() in EXTENSIONS:
                entry |= dict(zip(("width", "height"), image_size(path), strict=True))
            files[path.relative_to(folder).as_posix()] = entry
    return {
        "dataset": "wrsr",
        "made_by": f"refsr-bench {__version__}",
        "pairs": len(pairs),
        "manifest_sha256": open_dataset("wrsr", folder).manifest_sha256,
        "files": files,
    }


_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "repeated": "cr:repeated",
    "sc": "https://schema.org/",
    "source": "cr:source",
    "transform": "cr:transform",
}


def _croissant(project: Project, pairs: Sequence[Pair], folder: Path) -> dict[str, Any]:
    """Croissant 1.0 with its RAI extension (docs.mlcommons.org/croissant)."""
    settings = project.settings
    listed = folder / "metadata.jsonl"
    kinds = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"pairs/{name}",
            "name": name,
            "dataType": kinds[type(value)],
            "source": {"fileObject": {"@id": "metadata"}, "extract": {"column": name}},
        }
        for name, value in _row(pairs[0]).items()
    ]
    images = [
        {
            "@type": "cr:RecordSet",
            "@id": f"{side}-images",
            "name": f"{side}-images",
            "field": [
                {
                    "@type": "cr:Field",
                    "@id": f"{side}-images/{name}",
                    "name": name,
                    "dataType": kind,
                    "source": {"fileSet": {"@id": f"{side}-files"}, "extract": {"fileProperty": what}},
                }
                for name, kind, what in (("file", "sc:Text", "fullpath"), ("image", "sc:ImageObject", "content"))
            ],
        }
        for side in ("hr", "ref")
    ]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": settings.name,
        "description": f"{settings.title}: {len(pairs)} pairs of an input and a reference for super-resolution.",
        "license": sorted({_license_url(row) for pair in pairs for _, row, _, _ in pair.images()}),
        "url": "https://huggingface.co/datasets",
        "version": "1.0.0",
        "datePublished": datetime.now(UTC).date().isoformat(),
        "citeAs": "Jiang et al., Robust Reference-based Super-Resolution via C2-Matching, CVPR 2021 (the recipe)",
        "rai:dataCollection": "Query photos; similar images from search; automatic cleaning; a choice per query.",
        "rai:dataBiases": "What search finds and people photograph: landmarks and daylight are over-represented.",
        "rai:personalSensitiveInformation": "Photos may show people in public places; see the contact for removal.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "folder",
                "name": "folder",
                "contentUrl": "./",
                "encodingFormat": "git+https",
            },
            {
                "@type": "cr:FileObject",
                "@id": "metadata",
                "name": "metadata",
                "contentUrl": "metadata.jsonl",
                "encodingFormat": "application/jsonlines",
                "sha256": file_sha256(listed),
            },
            *(
                {
                    "@type": "cr:FileSet",
                    "@id": f"{side}-files",
                    "name": f"{side}-files",
                    "containedIn": {"@id": "folder"},
                    "encodingFormat": "image/png",
                    "includes": f"{where}/*.png",
                }
                for side, where in (("hr", "input"), ("ref", "ref"))
            ),
        ],
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": "pairs", "name": "pairs", "key": {"@id": "pairs/id"}, "field": fields},
            *images,
        ],
    }


def _license_url(row: Query | Candidate) -> str:
    """An address for the licence, its name where none is known."""
    if row.license_url:
        return row.license_url
    if row.license in PUBLIC_DOMAIN:
        kind = {"cc0": "zero", "pdm": "mark"}[row.license]
        return f"https://creativecommons.org/publicdomain/{kind}/1.0/"
    if row.license in LICENSES and row.license_version:
        return f"https://creativecommons.org/licenses/{row.license}/{row.license_version}/"
    return row.license or UNKNOWN
