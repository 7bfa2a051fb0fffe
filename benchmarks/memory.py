"""Memory and time of large images: a photo in tiles within a limit, what methods take for a pixel, what tiles cost.

    python benchmarks/memory.py photo --scene FOLDER       a 12-megapixel photo with a 12-megapixel reference
    python benchmarks/memory.py methods NAME ...           bytes for each pixel of SR, method by method
    python benchmarks/memory.py cost --scenes FOLDER       dB that tiles cost on real photographs

Every measurement runs in a process of its own, whose resident memory is read ten times a second; a process that takes
more than its limit is killed. FOLDER holds photographs of one thing; with --scenes, a folder of such folders.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from refsr_bench.pixels.images import image_files

EVERY = 0.1  # seconds
PAGE = os.sysconf("SC_PAGE_SIZE")
PHOTO = (4000, 3000)
SIDES = (128, 64)  # of LR; the difference of both leaves out what does not grow with the image


def watched(command: Sequence[str], limit: float = float("inf")) -> tuple[float, float, float, str]:
    """Run a command; return its peak memory in MiB, wall and processor seconds, and its output.

    Raises SystemExit when it fails or takes more than ``limit`` MiB.
    """
    start, peak, before = time.perf_counter(), 0.0, os.times()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        while process.poll() is None:
            with suppress(OSError, IndexError):  # it ended meanwhile
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
                peak = max(peak, pages * PAGE / 2**20)
            if peak > limit:
                process.kill()
                raise SystemExit(f"killed at {peak:.0f} MiB, the limit is {limit:.0f}")
            time.sleep(EVERY)
        said.seek(0)
        output = said.read()
    after = os.times()
    if process.returncode:
        raise SystemExit(output[-2000:])
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return peak, time.perf_counter() - start, used, output


def photo(scene: Path, limit: float, more: Sequence[str]) -> None:
    first, second = (Image.open(path).convert("RGB") for path in image_files(scene)[:2])
    with tempfile.TemporaryDirectory() as folder:
        lr, ref, out = (Path(folder, name) for name in ("lr.png", "ref.png", "sr.png"))
        first.resize(PHOTO, Image.Resampling.LANCZOS).resize((1000, 750), Image.Resampling.BICUBIC).save(lr)
        second.resize(PHOTO, Image.Resampling.LANCZOS).save(ref)
        command = [sys.executable, "-m", "refsr_bench", "sr", "--lr", lr, "--ref", ref, "--out", out, *more]
        peak, wall, used, output = watched(list(map(str, command)), limit)
        print(output.strip().replace(folder, ""))
        print("| SR | reference | options | peak MiB | s | processor s |\n| --- | --- | --- | --- | --- | --- |")
        print(f"| 4000x3000 | 4000x3000 | {' '.join(more)} | {peak:.0f} | {wall:.0f} | {used:.0f} |")


def method(name: str, weights: str, side: int) -> None:
    """Upscale one image of ``side`` LR pixels with a reference of twice as many pixels as SR; run by ``methods``."""
    from refsr_bench.core import catalogue

    card = catalogue.get("METHODS", name)
    loaded = card.load(Path(weights) if weights else None, "cpu")
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    reach = int(4 * side * 2**0.5) // 4 * 4
    ref = np.asarray(Image.fromarray(image).resize((reach, reach), Image.Resampling.BICUBIC))
    loaded.predict(image, [ref] if card.references != "none" else [], 4)


def methods(names: Sequence[str]) -> None:
    print("| method | MiB at 256x256 SR | MiB at 512x512 SR | bytes per pixel |\n| --- | --- | --- | --- |")
    for name in names:
        weights = "" if name.startswith(("c2matching", "bicubic")) else "synthetic"
        small, large = (
            watched([sys.executable, __file__, "method", name, weights, str(side)])[0] for side in sorted(SIDES)
        )
        each = (large - small) * 2**20 / (16 * (SIDES[0] ** 2 - SIDES[1] ** 2))
        print(f"| {name} | {small:.0f} | {large:.0f} | {each:.0f} |", flush=True)


def cost(scenes: Path, side: int) -> None:
    """Print PSNR-Y of the whole image and of tiles, by pairs of neighbouring photographs."""
    from refsr_bench.api.upscaling import Manner, upscaler
    from refsr_bench.metrics.psnr import psnr
    from refsr_bench.pixels.images import read_image
    from refsr_bench.pixels.resize import resize_pil_bicubic

    whole, tiled = (upscaler(Manner(device="cpu", tile=tile)) for tile in ("off", str(side)))
    print(f"| scene | whole | tiles of {side} | cost, dB |\n| --- | --- | --- | --- |")
    for scene in sorted(path for path in scenes.iterdir() if path.is_dir()):
        first, ref = (read_image(path) for path in image_files(scene)[:2])
        hr = np.ascontiguousarray(first[:512, :512])
        lr = resize_pil_bicubic(hr, 128, 128)
        values = [psnr(each(lr, [ref]).sr, hr, "y", 4) for each in (whole, tiled)]
        print(f"| {scene.name} | {values[0]:.2f} | {values[1]:.2f} | {values[0] - values[1]:+.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("photo")
    one.add_argument("--scene", type=Path, required=True)
    one.add_argument("--limit", type=float, default=3e9 / 2**20, help="MiB")
    commands.add_parser("methods").add_argument("names", nargs="+")
    each = commands.add_parser("method")
    each.add_argument("name")
    each.add_argument("weights")
    each.add_argument("side", type=int)
    lost = commands.add_parser("cost")
    lost.add_argument("--scenes", type=Path, required=True)
    lost.add_argument("--side", type=int, default=80)
    asked, more = parser.parse_known_args()
    if asked.what == "photo":
        photo(asked.scene, asked.limit, more)
    elif asked.what == "methods":
        methods(asked.names)
    elif asked.what == "method":
        method(asked.name, asked.weights, asked.side)
    else:
        cost(asked.scenes, asked.side)


if __name__ == "__main__":
    main()
