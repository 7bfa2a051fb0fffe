"""Sound files, for cases to spoil: images, a data set, a run file, and a run in progress."""

from __future__ import annotations

import functools
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 48
BICUBIC = ["run", "--method", "bicubic", "--device", "cpu"]


def png(path: Path, side: int = SIDE, seed: int = 1) -> Path:
    """Write a picture of noise."""
    import numpy as np
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    Image.fromarray(pixels).resize((side, side)).save(path, "PNG")
    return path


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width: int, height: int, rows: bytes = b"\0", bits: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    """Return a PNG of any header. rows: deflated already. extra: chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@functools.cache
def zeros(size: int, level: int = 9) -> bytes:
    """Return so many zero bytes, deflated, without holding them all."""
    packer = zlib.compressobj(level)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    return b"".join([*parts, packer.compress(bytes(size & 0xFFFFF)), packer.flush()])


def pairs(folder: Path, count: int = 1, side: int = SIDE) -> Path:
    """Write a data set of the layout 'folder': hr/ and ref/."""
    for number in range(count):
        png(folder / "hr" / f"{number}.png", side, number)
        png(folder / "ref" / f"{number}.png", side, number + 7)
    return folder


def result() -> dict[str, Any]:
    """Return the values of a sound result.json."""
    import runs

    from refsr_bench.core.reader import to_json

    return to_json(runs.make("mine"))


def record() -> dict[str, Any]:
    """Return the values of a sound line of images.jsonl."""
    return {"id": "0", "metrics": {"psnr_y": 30.0, "ssim_y": 0.9}, "refs": ["0.png"], "hr_size": [48, 48]}


def begun(root: Path) -> str:
    """Return the run.json of bicubic on the data set 'folder' at ``root``, measured where LPIPS has no weights."""
    from refsr_bench.core import catalogue, reader
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation.metrics import Metric
    from refsr_bench.evaluation.plan import Plan
    from refsr_bench.evaluation.predictors import method_predictor

    card, protocol = catalogue.get("METHODS", "bicubic"), catalogue.get("PROTOCOLS", "c2")
    cards = [catalogue.get("METRICS", name) for name in protocol.metrics]
    metrics = tuple(
        Metric(each, None, "weights") if each.file else Metric(each, each.load("cpu", None)) for each in cards
    )
    predictor = method_predictor(card, card.load(None, "cpu"), "cpu")
    return reader.dumps(Plan(predictor, open_dataset("folder", root), protocol, metrics).describe())


def put(values: Any, place: str, value: Any) -> Any:
    """Set a place such as 'run.method.name' or 'images.0.metrics' in nested values; return the values."""
    at = values
    *way, last = place.split(".")
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    at[int(last) if last.isdigit() else last] = value
    return values


def spoiled(place: str, value: Any) -> Callable[[], bytes]:
    """Return a maker of a result.json with one value replaced."""
    return lambda: json.dumps(put(result(), place, value)).encode("utf-8", "surrogatepass")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth
