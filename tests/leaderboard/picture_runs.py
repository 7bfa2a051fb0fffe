"""A results folder with pictures, as runs leave it, for tests of the gallery; small, made without torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image
from runs import METRICS

from refsr_bench.core.names import stem
from refsr_bench.core.reader import digest, dumps
from refsr_bench.core.results import read_result, seal, write_result
from refsr_bench.core.schema import (
    NO_LEAK,
    NO_WEIGHTS,
    DatasetInfo,
    ImageRecord,
    Leak,
    Machine,
    MethodInfo,
    ProtocolInfo,
    Result,
    Run,
)
from refsr_bench.pixels.saved import pixels_digest

WIDTH, HEIGHT = 96, 64


def photo(seed: int) -> np.ndarray:
    """uint8 (HEIGHT, WIDTH, 3): smooth colours with a textured square that is hard to restore."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(40, 216, (5, 7, 3), np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).copy()
    image[32:56, 48:80] = generator.integers(0, 256, (24, 32, 3), np.uint8)
    return image


def degraded(image: np.ndarray, quality: int) -> np.ndarray:
    """The image as a method of some quality (0 .. 4) might restore it."""
    small = Image.fromarray(image).resize((WIDTH // (6 - quality), HEIGHT // (6 - quality)), Image.Resampling.BOX)
    return np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def protocol(label: str = "c2") -> ProtocolInfo:
    fields = {"name": label, "border": 4 if label == "c2" else 0, "scale": 4}
    about = f"As {label} measures."
    return ProtocolInfo(label, label.split("+")[0], 1, digest(fields), about, "psnr_y", "ssim_y", fields)


def write_run(
    root: Path,
    name: str,
    quality: int,
    *,
    title: str | None = None,
    ids: Sequence[str] = ("one", "two", "three"),
    dataset: str = "sample",
    label: str = "c2",
    folder: str | None = None,
    pictures: bool = True,
    matches: bool = False,
    failed: Sequence[str] = (),
    started: str = "2025-01-01T00:00:00Z",
    of_run: Mapping[str, Any] = MappingProxyType({}),
    leak: Leak = NO_LEAK,
    **method: object,
) -> Path:
    """One run with its pictures: numbers that fit them, HR, LR and a reference per image. Returns its folder."""
    place = root / label / dataset / (folder or name)
    data = DatasetInfo(dataset, dataset.title(), digest(dataset), True, (), len(ids))
    rules = protocol(label)
    records = {}
    for n, image_id in enumerate(ids):
        if image_id in failed:
            records[image_id] = ImageRecord(image_id, error="out of memory")
            continue
        hr = photo(n)
        sr = degraded(hr, quality)
        error = float(np.mean((hr.astype(float) - sr) ** 2))
        metrics = {"psnr_y": 10 * np.log10(255**2 / error), "ssim_y": 0.5 + quality / 10, "lpips": 0.4 - quality / 20}
        records[image_id] = ImageRecord(
            image_id, metrics, ("ref.png",), (WIDTH, HEIGHT), pixels_digest(sr), None, {"seconds": 0.5 + n}, leak
        )
        if pictures:
            save(place / "images" / f"{stem(image_id)}.png", sr)
            inputs(place.parent / "inputs", image_id, hr, data, rules, photo(n + 100))
        if matches:
            small = np.full((HEIGHT // 4, WIDTH // 4, 3), 60 * n, np.uint8)
            write_pictures(
                place / "matches" / stem(image_id), "matches",
                {"id": image_id, "sr_sha256": pixels_digest(sr), "reference": "ref.png", "points": 1, "cells": 1,
                 "longest": 12.0, "mean_confidence": 0.5},
                {"flow": small, "confidence": small, "patches": photo(n + 100)},
            )  # fmt: skip
    facts = {"group": "Ref-SR", "references": "one", "gan": False, "year": 2021, "paper": "", "parameters": 1_234_567,
             "weights": NO_WEIGHTS} | method  # fmt: skip
    machine = Machine("cpu", {"torch": "2.11.0"}, "Some processor", 2)
    run = Run(MethodInfo(name, title or name, **facts), data, rules, METRICS, tuple(ids), machine, started=started,
              **of_run)  # fmt: skip
    place.mkdir(parents=True, exist_ok=True)
    write_result(place / "result.json", seal(run, records, "2025-01-01T00:01:00Z"))
    return place


def inputs(
    folder: Path, image_id: str, hr: np.ndarray, data: DatasetInfo, rules: ProtocolInfo, ref: np.ndarray
) -> Path:
    """The files that ``refsr_bench.pixels.saved.save_inputs`` writes of one image."""
    lr = np.asarray(Image.fromarray(hr).resize((WIDTH // 4, HEIGHT // 4), Image.Resampling.BOX))
    facts = {
        "id": image_id,
        "refs": ["ref.png"],
        "scale": 4,
        "crop": [0, 0, HEIGHT, WIDTH],
        "dataset": data.name,
        "manifest_sha256": data.manifest_sha256,
        "protocol": rules.label,
        "protocol_digest": rules.digest,
    }
    place = folder / f"{stem(image_id)}-{digest(image_id)[:12]}"
    return write_pictures(place, "inputs", facts, {"hr": hr, "lr": lr, "ref": ref})


def write_pictures(place: Path, kind: str, facts: dict, images: dict[str, np.ndarray]) -> Path:
    files = []
    for role, image in images.items():
        file = "ref-1.png" if role == "ref" else f"{role}.png"
        save(place / file, image)
        files.append({"file": file, "role": role, "name": "ref.png" if role == "ref" else "",
                      "size": [image.shape[1], image.shape[0]], "sha256": pixels_digest(image)})  # fmt: skip
    (place / f"{kind}.json").write_text(dumps({"kind": kind, "schema_version": 1, "files": files, **facts}))
    return place


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def result_of(folder: Path) -> Result:
    return read_result(folder / "result.json")
