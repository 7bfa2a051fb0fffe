"""The published folder: WR-SR's layout, which ``datasets.load_dataset`` opens too, with documents and checks.

    input/NNN.png, ref/NNN_ref.png, pairs.txt    WR-SR's layout; NNN counts from 001
    metadata.jsonl                               one row per pair: columns hr and ref are images at Hugging Face
    sources.csv                                  per image: where from, whose, under which licence, what was changed
    README.md, figures/, croissant.json          the data card, its charts, the same for machines
    manifest.json                                SHA-256 of every file; ``refsr-bench data verify wrsr`` reads it

By reference, images stay where they are on the web: references.csv and fetch.py take the place of the two folders.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from refsr_bench.builder import stats
from refsr_bench.builder.export import fetch_script
from refsr_bench.builder.export.card import card
from refsr_bench.builder.export.croissant import croissant
from refsr_bench.builder.export.pairs import Pair, categories, check_licenses, finished, pictures
from refsr_bench.builder.facts import pixels_sha256
from refsr_bench.builder.project import Project
from refsr_bench.builder.rows import SOURCE
from refsr_bench.core import files
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError
from refsr_bench.core.lists import csv_text
from refsr_bench.core.reader import dumps
from refsr_bench.data.leaks import describe, find_leaks
from refsr_bench.data.opening import open_dataset
from refsr_bench.data.prepare import write_manifest
from refsr_bench.pixels.images import read_image


def export(project: Project, by_reference: bool = False) -> Path:
    """Write ``export/`` anew, whole or not at all, and return it.

    Raises Misuse when pairs are missing or licences do not allow it, BenchError when a reference is a leak after all or
    the disk refuses.
    """
    with project.lock("export"):
        pairs = finished(project)
        check_licenses(pairs, by_reference)
        target, partial, old = (project.path / name for name in ("export", ".export.partial", ".export.old"))
        shutil.rmtree(partial, ignore_errors=True)
        try:
            files.make_folder(partial)
            if by_reference:
                _references(project, pairs, partial)
                checks = ["digests of the pixels of every image, to be compared when they are fetched"]
            else:
                checks = _images(project, pairs, partial)
            files.write_text(partial / "sources.csv", _sources(pairs))
            _charts(pairs, partial / "figures")
            files.write_text(partial / "README.md", card(project, pairs, checks, by_reference))
            if not by_reference:
                about = croissant(project.settings, pairs, metadata(pairs[0]), partial)
                files.write_text(partial / "croissant.json", dumps(about))
                write_manifest(open_dataset("wrsr", partial), partial)
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                files.move(target, old)
            files.move(partial, target)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            raise files.cannot_write(target, error) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return target


def _images(project: Project, pairs: Sequence[Pair], folder: Path) -> list[str]:
    """Copy the images, write the lists and check the result as every data set is checked; return the checks."""
    for name in ("input", "ref"):
        files.make_folder(folder / name)
    for picture in pictures(pairs):
        shutil.copyfile(project.file(picture.stored), folder / picture.file)
    files.write_text(folder / "pairs.txt", _pairs_text(pairs))
    lines = (json.dumps(metadata(pair), sort_keys=True) + "\n" for pair in pairs)
    files.write_text(folder / "metadata.jsonl", "".join(lines))
    dataset = open_dataset("wrsr", folder)
    if leaks := find_leaks(dataset.pairs):
        raise BenchError(f"{len(leaks)} references give the answer away: {describe(leaks)}. Choose others.")
    digests = Counter(pixels_sha256(pair.hr.load()) for pair in dataset.pairs)
    if twice := [digest for digest, count in digests.items() if count > 1]:
        raise BenchError(f"{len(twice)} inputs come more than once, the same pixels under two names.")
    settings = project.settings
    verify = command("data", "verify", "wrsr", "--data-root", "THIS_FOLDER")
    return [
        f"{len(dataset.pairs)} pairs open in WR-SR's layout, every image decodes",
        "no reference is its input's copy or cut: thumbnails in eight orientations, cuts at the same scale "
        f"({verify}), pHash within {settings.hash_distance} of 64 bits in eight orientations, and "
        f"homographies under which {settings.leak_share:.0%} of the key points and the pixels to "
        f"{settings.leak_psnr:.0f} dB agree, mirrored too",
        "no two inputs have the same pixels",
        f"inputs are multiples of {settings.scale} in both sides",
    ]


def metadata(pair: Pair) -> dict[str, Any]:
    """Return one line for Hugging Face's ImageFolder, which turns hr and ref into images."""
    made, found = pair.rescaled, pair.cleaned
    told = {
        f"{side}_{name}": getattr(picture.row, name)
        for side, picture in zip(("hr", "ref"), pair.pictures, strict=True)
        for name in ("license", "license_version", "license_url", "creator", "landing_url", "source_url")
    }
    return {
        "hr_file_name": pair.input.file,
        "ref_file_name": pair.ref.file,
        "id": pair.name,
        "category": pair.category,
        **told,
        "similarity": round(found.similarity, 4),
        "inliers": found.inliers,
        "scale": round(found.scale * made.factor, 4),
        "rotation": round(found.rotation, 2),
        "overlap": round(found.overlap, 4),
        "hr_sharpness": round(pair.query.sharpness, 1),
        "ref_sharpness": round(found.sharpness, 1),
        "hr_jpeg_quality": pair.query.jpeg_quality,
        "ref_jpeg_quality": found.jpeg_quality,
        "ref_factor": round(made.factor, 4),
        "annotators": len(pair.selected.people),
        "agreement": round(pair.selected.agreement, 4),
    }


def _references(project: Project, pairs: Sequence[Pair], folder: Path) -> None:
    """Write the addresses and digests of the images, and the script that makes the images from them."""
    rows = []
    for picture in pictures(pairs):
        source = picture.row
        digest = source.sha256 or pixels_sha256(read_image(project.file(source.file)))
        where = picture.file, source.source_url, digest
        rows.append((*where, *picture.cut, *picture.size, source.license, source.landing_url))
    head = ("file", "url", "sha256", "crop_width", "crop_height", "width", "height", "license", "landing_url")
    files.write_text(folder / "references.csv", csv_text(head, rows))
    files.write_text(folder / "pairs.txt", _pairs_text(pairs))
    files.write_bytes(folder / "fetch.py", Path(fetch_script.__file__).read_bytes())


def _pairs_text(pairs: Sequence[Pair]) -> str:
    names = ([PurePosixPath(picture.file).name for picture in pair.pictures] for pair in pairs)
    return "".join(f"{' '.join(pair)}\n" for pair in names)


def _sources(pairs: Sequence[Pair]) -> str:
    head = ("file", *SOURCE, "retrieved", "sha256_before", "width_before", "height_before", "changes")
    told = (*SOURCE, "retrieved", "sha256", "width", "height")
    return csv_text(head, ((p.file, *(getattr(p.row, name) for name in told), p.changes) for p in pictures(pairs)))


def _charts(pairs: Sequence[Pair], folder: Path) -> None:
    files.make_folder(folder)
    inliers = {"matches": [float(pair.cleaned.inliers) for pair in pairs]}
    likeness = {"cosine": [pair.cleaned.similarity for pair in pairs]}
    stats.bars(categories(pairs), "What the inputs show", folder / "categories.png")
    stats.histogram(inliers, "Verified matches of input and reference", "matches", folder / "matches.png")
    stats.histogram(likeness, "Similarity of the whole images", "cosine", folder / "similarity.png")
