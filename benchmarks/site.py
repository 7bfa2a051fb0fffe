"""Measures the leaderboard's site at the size of CUFED5: building time, size, and time to open.

    python benchmarks/site.py FOLDER [--images 126] [--methods 20] [--protocols 1]

It makes run files and pictures in FOLDER/results (photographs of scikit-image, cut and degraded in ways that differ
from method to method; numbers are measured on them), builds FOLDER/site twice, and opens it in Chromium. It needs 2 GB.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from refsr_bench.core.reader import digest
from refsr_bench.core.results import seal, write_result
from refsr_bench.core.schema import (
    DatasetInfo,
    ImageRecord,
    Machine,
    MethodInfo,
    MetricInfo,
    ProtocolInfo,
    Run,
    Weights,
)
from refsr_bench.core.types import Sample
from refsr_bench.metrics.psnr import psnr
from refsr_bench.pixels import saved
from refsr_bench.pixels.images import write_png

SIZE = (500, 332)
PHOTOS = ("astronaut", "chelsea", "coffee")  # in scikit-image's wheel, nothing is downloaded
METRICS = (
    MetricInfo("psnr_y", "PSNR-Y", "higher", "dB", 2),
    MetricInfo("ssim_y", "SSIM-Y", "higher", "", 4),
)
KNOWN_SSIM = 0.8  # SSIM costs minutes and changes nothing here


def photo(index: int) -> np.ndarray:
    """A part of a photograph, another one for every index, uint8 (332, 500, 3)."""
    import skimage.data

    whole = Image.fromarray(getattr(skimage.data, PHOTOS[index % len(PHOTOS)])())
    generator = np.random.default_rng(index)
    share = generator.uniform(0.55, 0.95)
    width = int(whole.width * share)
    height = min(whole.height, int(width * SIZE[1] / SIZE[0]))
    left, top = (int(generator.integers(0, room + 1)) for room in (whole.width - width, whole.height - height))
    part = whole.crop((left, top, left + width, top + height)).resize(SIZE, Image.Resampling.LANCZOS)
    if index // len(PHOTOS) % 2:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    noise = generator.normal(0, 3, (SIZE[1], SIZE[0], 1))  # grain, without which PNG files would be too small
    return np.clip(np.asarray(part) + noise, 0, 255).round().astype(np.uint8)


def restored(hr: np.ndarray, method: int) -> np.ndarray:
    """The image that method number ``method`` makes of it: the higher, the less blur, with noise of its own."""
    image = Image.fromarray(hr)
    small = image.resize((SIZE[0] // 4, SIZE[1] // 4), Image.Resampling.BICUBIC)
    large = small.resize(SIZE, Image.Resampling.BICUBIC)
    sharp = large.filter(ImageFilter.UnsharpMask(1 + method % 3, 40 + 4 * method))
    mixed = Image.blend(sharp, image, 0.03 * method)
    noise = np.random.default_rng(method).normal(0, 0.5 + 0.1 * method, hr.shape)
    return np.clip(np.asarray(mixed) + noise, 0, 255).round().astype(np.uint8)


def one_image(index: int, root: Path, methods: int, protocols: tuple[ProtocolInfo, ...], data: DatasetInfo) -> list:
    """The pictures of one image under every protocol; its records by protocol and method."""
    hr, ref = photo(index), photo(index + 1000)
    pair = f"{index:03d}"
    lr = np.asarray(Image.fromarray(hr).resize((SIZE[0] // 4, SIZE[1] // 4), Image.Resampling.BICUBIC))
    sample = Sample(pair, hr, lr, (ref,), 4, (0, 0, SIZE[1], SIZE[0]), (f"{pair}_1.png",))
    records = []
    for number, rules in enumerate(protocols):
        folder = root / rules.label / data.name
        about = {"dataset": data.name, "manifest_sha256": data.manifest_sha256, "protocol": rules.label,
                 "protocol_digest": rules.digest}  # fmt: skip
        saved.save_inputs(folder / "inputs", sample, about)
        for method in range(methods):
            sr = np.roll(restored(hr, method), number, 1)
            write_png(folder / name_of(method) / "images" / f"{pair}.png", sr)
            values = {"psnr_y": psnr(sr, hr, "y", border=0), "ssim_y": KNOWN_SSIM}
            cost = {"seconds": 0.1 * (method + 1)}
            records.append(
                (rules.label, method,
                 ImageRecord(pair, values, sample.ref_names, SIZE, saved.pixels_digest(sr), None, cost))
            )  # fmt: skip
    return records


def name_of(method: int) -> str:
    return f"method-{method:02d}"


def make(root: Path, images: int, methods: int, protocols: int) -> None:
    """Run files and pictures of all methods on all images."""
    data = DatasetInfo("benchmark", "Benchmark", digest("benchmark"), False, ("made for measuring the site",), images)
    rules = tuple(_protocol(number) for number in range(protocols))
    found: dict[tuple[str, int], dict[str, ImageRecord]] = {}
    work = partial(one_image, root=root, methods=methods, protocols=rules, data=data)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for records in pool.map(work, range(images)):
            for label, method, record in records:
                found.setdefault((label, method), {})[record.id] = record
    for (label, method), records in found.items():
        group, year = "SISR" if method < 6 else "Ref-SR", 2015 + method % 10
        info = MethodInfo(name_of(method), f"Method {method}", group, "one", method % 3 == 2, year, "",
                          10**6 * (method + 1), Weights("own", "own", digest(method)))  # fmt: skip
        (protocol,) = [item for item in rules if item.label == label]
        run = Run(info, data, protocol, METRICS, tuple(sorted(records)), Machine("cpu", {"numpy": np.__version__}))
        write_result(root / label / data.name / name_of(method) / "result.json", seal(run, records))


def _protocol(number: int) -> ProtocolInfo:
    fields = {"name": f"p{number}", "border": number, "scale": 4}
    return ProtocolInfo(f"p{number}", f"p{number}", 1, digest(fields), "", "psnr_y", "ssim_y", fields)


def folders(site: Path) -> Iterator[tuple[str, int, float]]:
    """Name, files and MiB of each part of a site."""
    for place in sorted(site.iterdir()):
        found = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
        yield place.name, len(found), sum(path.stat().st_size for path in found) / 2**20


def opened(site: Path, path: str) -> tuple[float, float, int]:
    """Seconds until a page has loaded, median of five, its KB from a server, and its requests; nothing in the cache."""
    import functools
    import http.server
    import shutil
    import statistics
    import threading

    from playwright.sync_api import sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seconds, sizes, requests = [], [], []
    with sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        for _ in range(5):
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("Network.enable")
            received = []
            session.on("Network.loadingFinished", lambda event, into=received: into.append(event["encodedDataLength"]))
            page.goto(f"http://127.0.0.1:{server.server_port}/{path}", wait_until="load")
            timing = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
            page.wait_for_timeout(300)
            seconds.append(timing)
            sizes.append(sum(received) / 1e3)
            requests.append(len(received))
            context.close()
        browser.close()
    server.shutdown()
    return statistics.median(seconds), max(sizes), max(requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=126)
    parser.add_argument("--methods", type=int, default=20)
    parser.add_argument("--protocols", type=int, default=1)
    options = parser.parse_args()
    from leaderboard.pages.site import build

    results, site = options.folder / "results", options.folder / "site"
    start = time.perf_counter()
    if not results.is_dir():
        make(results, options.images, options.methods, options.protocols)
        print(f"results made in {time.perf_counter() - start:.0f} s")
    for what in ("first build", "again, pictures being there"):
        start, used = time.perf_counter(), time.process_time()
        build(results, site)
        print(f"{what}: {time.perf_counter() - start:.1f} s, {time.process_time() - used:.1f} s of processors")
    for name, count, size in folders(site):
        print(f"  {name}: {count} files, {size:.2f} MiB")
    image = next((site / "images").glob("*/*.html")).relative_to(site).as_posix()
    method = next((site / "methods").glob("*.html")).relative_to(site).as_posix()
    for path in ("index.html", "images/index.html", image, method):
        seconds, size, requests = opened(site, path)
        print(f"{path}: loaded in {seconds:.2f} s, {size:.0f} KB in {requests} requests")


if __name__ == "__main__":
    main()
