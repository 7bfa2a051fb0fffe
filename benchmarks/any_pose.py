"""Measures what references give that are turned, nearer, further or off the grid, beside the goals that were set.

    python benchmarks/any_pose.py                                everything that the package's own photographs allow
    python benchmarks/any_pose.py --scenes FOLDER                also real pairs: a folder of photographs per scene
    python benchmarks/any_pose.py --only sample --only time      some of the tables

*plain* is C2-Matching as published, by the bundled weights; *sub-cell* refines its matches; *views* does that and takes
views of the reference. *oracle* is plain with the reference warped back by the true transformation.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image as PilImage

from c2matching.method import METHODS
from refsr_bench.core import catalogue
from refsr_bench.core.types import Correspondence, Image, Prediction
from refsr_bench.data.opening import open_dataset
from refsr_bench.geometry.drawing import similarity
from refsr_bench.geometry.transformation import Transformation, outline, project
from refsr_bench.geometry.truth import TransformationTruth
from refsr_bench.geometry.warping import apply
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.sweeps.levels import open_levels
from refsr_bench.views.proposals import Views, propose
from refsr_bench.views.using import shown
from refsr_bench.views.warps import warped

TABLES = ("sample", "shifts", "groups", "real", "unrelated", "time")
FOUR = ("motorcycle", "shelf", "cat", "coffee")
REPEATING = ("brick", "gravel")  # photographs that look the same at many places, so that no place is the true one
POSES = ((0, 1), (10, 1), (30, 1), (45, 1), (90, 1), (150, 1), (0, 0.5), (0, 0.75), (0, 1.5), (0, 2), (45, 1.5))
GROUPS = {"rotation": 29.35, "scale": 28.80, "rotation+scale": 28.90, "perspective": 29.30}  # kinds and goals, dB
SCENES = ("chateau", "coast", "street", "tree", "statue", "cathedral")
APART = (1, 3, 4, 5)  # frames between the photographs of a pair; the parameters were chosen on pairs 2 apart
LONGEST = 512  # pixels
ROUNDS = 3  # of timing; the median counts


class Methods:
    """The three ways to use a reference, ready to run."""

    def __init__(self) -> None:
        card = METHODS[0]
        self.plain = card.load(None, "cpu", matching="exact")
        self.refined = card.load(None, "cpu", matching="sub-cell")
        self.psnr_y = catalogue.get("METRICS", "psnr_y").load("cpu", None)

    def predict(self, way: str, lr: Image, ref: Image) -> Prediction:
        if way == "views":
            return self.refined.predict_views(lr, [ref], 4, propose(Views(), lr, [ref], 4))
        return (self.plain if way == "plain" else self.refined).predict(lr, [ref], 4)

    def psnr(self, way: str, hr: Image, ref: Image) -> float:
        return self.psnr_y(self.predict(way, degraded(hr), ref).sr, hr, 4, False)

    def oracle(self, hr: Image, ref: Image, matrix: np.ndarray) -> float:
        lr = degraded(hr)
        view = warped(ref, np.asarray(matrix), hr.shape[:2], "truth")
        return self.psnr_y(self.plain.predict(lr, [shown(view, lr)], 4).sr, hr, 4, False)

    def alone(self, hr: Image) -> float:
        """Restore with a black reference, which no patch resembles and which gives no view, so nothing is taken."""
        lr = degraded(hr)
        prediction = self.refined.predict_views(lr, [np.zeros_like(hr)], 4, lambda number, found: ())
        return self.psnr_y(prediction.sr, hr, 4, False)

    def bicubic(self, hr: Image) -> float:
        return self.psnr_y(resize_pil_bicubic(degraded(hr), *hr.shape[:2]), hr, 4, False)


def degraded(hr: Image) -> Image:
    return resize_pil_bicubic(hr, hr.shape[0] // 4, hr.shape[1] // 4)


def cut(image: Image) -> Image:
    return np.ascontiguousarray(image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4])


def turned(image: Image, degrees: float, scale: float) -> tuple[Image, np.ndarray]:
    """Turn and scale a photograph on a canvas that holds all of it, black around it; return the matrix, too."""
    moved = similarity(degrees, scale)
    corners = project(moved, outline(image.shape[:2]))
    width, height = (4 * math.ceil(side / 4) for side in np.ptp(corners, axis=0))
    middle, back = np.eye(3), np.eye(3)
    middle[:2, 2] = (np.asarray([width, height]) - 1) / 2
    back[:2, 2] = -(np.asarray(image.shape[1::-1]) - 1) / 2
    matrix = middle @ moved @ back
    rows = tuple(tuple(float(v) for v in row) for row in matrix)
    made = Transformation("rotation+scale", "given", rows, (height, width))
    y, x = np.mgrid[:height, :width]
    there = project(np.linalg.inv(matrix), np.stack((x, y), axis=-1))
    inside = (there >= -0.5).all(-1) & (there < np.asarray(image.shape[1::-1]) - 0.5).all(-1)
    return np.where(inside[..., None], apply(image, made), 0).astype(np.uint8), matrix


def photos(names: Sequence[str] = ()) -> dict[str, Image]:
    pairs = open_dataset("sample").pairs
    return {pair.id: cut(pair.hr.load()) for pair in pairs if not names or pair.id in names}


def mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def row(*cells: object) -> None:
    texts = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells)
    print(f"| {' | '.join(texts)} |", flush=True)


def head(title: str, *cells: str) -> None:
    print(f"\n{title}\n")
    row(*cells)
    row(*("---" for _ in cells))


def met(good: bool) -> str:
    return "met" if good else "missed"


def errors(matches: Correspondence, matrix: np.ndarray, hr: Image, ref: Image) -> float:
    """Return the median distance of matches from the truth, HR pixels, where the reference shows the point."""
    rows = tuple(tuple(float(v) for v in line) for line in np.asarray(matrix))
    truth = TransformationTruth(Transformation("homography", "", rows, ref.shape[:2]), hr.shape[:2])
    seen = truth.valid(matches.points)
    return float(np.median(np.linalg.norm(matches.targets - truth.targets(matches.points), axis=1)[seen]))


def sample(methods: Methods) -> None:
    head(
        f"Four photographs of `sample` ({', '.join(FOUR)}), the reference being HR itself, turned and scaled: PSNR-Y",
        *("degrees", "scale", "plain", "sub-cell", "views", "oracle", "below oracle", "goal 0.08"),
    )
    for degrees, scale in POSES:
        found = []
        for hr in photos(FOUR).values():
            ref, matrix = turned(hr, degrees, scale)
            own = [methods.psnr(way, hr, ref) for way in ("plain", "sub-cell", "views")]
            found.append([*own, methods.oracle(hr, ref, matrix)])
        values = np.mean(found, axis=0).tolist()
        below = values[3] - values[2]
        row(degrees, scale, *values, below, met(below <= 0.08))


def shifts(methods: Methods) -> None:
    head(
        "The same photographs, the reference shifted by whole pixels and nothing else changed: PSNR-Y",
        *("shift", "plain", "sub-cell", "views", "below 28.66, sub-cell", "goal 0.08"),
    )
    for x, y in sorted({(max(a, b), min(a, b)) for a, b in product(range(3), repeat=2)}):
        found = []
        for hr in photos(FOUR).values():
            ref = np.pad(hr, ((y, 0), (x, 0), (0, 0)), mode="reflect")[: hr.shape[0], : hr.shape[1]]
            found.append([methods.psnr(way, hr, ref) for way in ("plain", "sub-cell", "views")])
        values = np.mean(found, axis=0).tolist()
        row(f"{x},{y}", *values, 28.66 - values[1], met(28.66 - values[1] <= 0.08))


def groups(methods: Methods) -> None:
    head(
        "The large groups of `refsr-bench robustness`, eight photographs: PSNR-Y, and median AEE in HR pixels "
        f"(without {' and '.join(REPEATING)}; median over photographs)",
        *("kind", "plain", "views", "oracle", "goal", "", "AEE plain", "AEE views", "goal below 1"),
    )
    for kind, goal in GROUPS.items():
        level, *_ = open_levels(open_dataset("sample"), kind, ("large",))
        found, aee = [], []
        for pair in level.pairs:
            hr, ref = cut(pair.hr.load()), pair.refs[0].load()
            matrix = pair.truth().transformation.matrix
            plain, views = (methods.predict(way, degraded(hr), ref) for way in ("plain", "views"))
            values = [methods.psnr_y(each.sr, hr, 4, False) for each in (plain, views)]
            found.append([*values, methods.oracle(hr, ref, matrix)])
            if not any(name in pair.id for name in REPEATING):
                own = methods.plain.match(degraded(hr), ref, 4)
                aee.append([errors(each, matrix, hr, ref) for each in (own, views.correspondence)])
        values, (before, after) = np.mean(found, axis=0).tolist(), np.median(aee, axis=0).tolist()
        row(kind, *values, goal, met(values[1] >= goal), before, after, met(after < 1))


def pairs_of(scenes: Path) -> Iterator[tuple[str, Image, Image]]:
    """Yield real pairs, two for each scene and distance in frames, where there are so many photographs."""
    for scene in SCENES:
        files = sorted((scenes / scene).glob("*.jpg"))
        for apart in APART:
            room = len(files) - apart
            for first in sorted({0, room // 2} if room > 2 else set(range(max(0, room)))):
                yield f"{scene} {first}:{first + apart}", small(files[first]), small(files[first + apart])


def small(file: Path) -> Image:
    with PilImage.open(file) as image:
        image = image.convert("RGB")
        scale = min(1, LONGEST / max(image.size))
        size = (round(image.width * scale), round(image.height * scale))
        return cut(np.asarray(image.resize(size, PilImage.Resampling.LANCZOS)))


def real(methods: Methods, scenes: Path) -> None:
    head(
        f"Real pairs, {LONGEST} pixels: PSNR-Y; *turned* has the reference turned by 45 degrees",
        *("pair", "bicubic", "plain", "sub-cell", "views", "views, turned", "view by", "shows"),
    )
    found = []
    for name, hr, ref in pairs_of(scenes):
        plain, refined = (methods.psnr(way, hr, ref) for way in ("plain", "sub-cell"))
        views = methods.predict("views", degraded(hr), ref)
        own = methods.psnr_y(views.sr, hr, 4, False)
        round_about = methods.psnr("views", hr, turned(ref, 45, 1)[0])
        found.append([methods.bicubic(hr), plain, refined, own, round_about])
        view = views.views[0] if views.views else None
        row(name, *found[-1], view.found_by if view else "none", f"{view.valid.mean():.0%}" if view else "")
    values = np.asarray(found)
    row(f"mean of {len(found)}", *values.mean(0).tolist(), "", "")
    gains, least = values[:, 3] - values[:, 1], values[:, 2] - values[:, 1]
    print(f"\nmean gain of views {gains.mean():+.3f} (goal 0.12: {met(gains.mean() >= 0.12)}), ", end="")
    print(f"worst {gains.min():+.3f} (goal -0.03: {met(gains.min() >= -0.03)}); ", end="")
    print(f"of sub-cell {least.mean():+.3f}, worst {least.min():+.3f}")
    behind = values[:, 4].mean() - values[:, 1].mean()
    print(f"turned by 45 degrees, views against plain unturned {behind:+.3f} (goal 0: {met(behind >= 0)})")


def unrelated(methods: Methods, scenes: Path) -> None:
    head(
        "References of another scene: PSNR-Y; *alone* is the same network whose matches all lead nowhere",
        *("input, reference", "alone", "plain", "views", "views - plain", "alone - views"),
    )
    files = {scene: sorted((scenes / scene).glob("*.jpg")) for scene in SCENES}
    found = []
    for n, scene in enumerate(SCENES):
        for first, further in ((0, 1), (1, 3)):
            other = SCENES[(n + further) % len(SCENES)]
            hr, ref = small(files[scene][first]), small(files[other][-1 - first])
            alone = methods.alone(hr)
            plain, views = (methods.psnr(way, hr, ref) for way in ("plain", "views"))
            found.append((alone, plain, views))
            row(f"{scene} {first}, {other}", alone, plain, views, views - plain, alone - views)
    values = np.asarray(found)
    against, cost = (values[:, 2] - values[:, 1]).min(), (values[:, 0] - values[:, 2]).max()
    print(f"\nworst against plain {against:+.3f} (goal -0.05: {met(against >= -0.05)}); ", end="")
    print(f"largest cost against no reference {cost:+.3f} (goal 0.05: {met(cost <= 0.05)})")


def timing(methods: Methods, scenes: Path | None) -> None:
    head(
        f"Seconds of a whole prediction, median of {ROUNDS} in turn, and their ratio to plain",
        *("image", "plain", "sub-cell", "ratio", "goal 1.08", "views", "ratio", "goal 1.50"),
    )
    images = {"coffee": photos(("coffee",))["coffee"]}
    cases = {"coffee, turned by 30 degrees": (images["coffee"], turned(images["coffee"], 30, 1)[0])}
    if scenes:
        first, second = sorted((scenes / SCENES[0]).glob("*.jpg"))[:2]
        cases[f"{SCENES[0]} 0:1, {LONGEST} pixels"] = (small(first), small(second))
    for name, (hr, ref) in cases.items():
        lr, spent = degraded(hr), {"plain": [], "sub-cell": [], "views": []}
        for n in range(ROUNDS + 1):
            for way, seconds in spent.items():
                start = time.perf_counter()
                methods.predict(way, lr, ref)
                if n:  # the first round compiles and allocates
                    seconds.append(time.perf_counter() - start)
        plain, refined, views = (statistics.median(each) for each in spent.values())
        one, two = refined / plain, views / plain
        row(name, plain, refined, one, met(one <= 1.08), views, two, met(two <= 1.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, help="a folder of scenes, each a folder of JPEG photographs")
    parser.add_argument("--only", choices=TABLES, action="append", help="may be given again")
    asked = parser.parse_args()
    methods = Methods()
    for table in asked.only or TABLES:
        if table in ("real", "unrelated"):
            if asked.scenes:
                {"real": real, "unrelated": unrelated}[table](methods, asked.scenes)
        elif table == "time":
            timing(methods, asked.scenes)
        else:
            {"sample": sample, "shifts": shifts, "groups": groups}[table](methods)


if __name__ == "__main__":
    main()
