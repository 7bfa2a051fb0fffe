"""Real files in the real layouts, small: one maker per data set of the catalogue."""

from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, width: int = 24, height: int = 20) -> Image.Image:
    """A picture that differs from every other seed's at any size: smooth colour noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def put(path: Path, seed: int, width: int = 24, height: int = 20) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, width, height).save(path)


def cufed5(root: Path, groups: int = 3) -> None:
    for n in range(groups):
        for k in range(6):
            put(root / f"{n:03d}_{k}.png", 10 * n + k, 24 + k, 20)


def sun80(root: Path, photos: int = 2) -> None:
    for n in range(photos):
        name = f"photo{n}.jpg"
        put(root / "Sun_Hays_SR_groundtruth" / name, 100 * n)
        for k in range(20):
            put(root / "Sun_Hays_SR_scenematches" / name / f"match_{k + 1}.jpg", 100 * n + k + 1)


def wrsr(root: Path, pairs: int = 3) -> None:
    for n in range(1, pairs + 1):
        put(root / "input" / f"{n:03d}.png", n)
        put(root / "ref" / f"{n:03d}_ref.png", 1000 + n, 30, 26)


def cufed_train(root: Path) -> None:
    for n in range(3):
        put(root / "input" / f"{n:03d}.png", n, 160, 160)
        put(root / "ref" / f"{n:03d}.png", 1000 + n, 160, 150 + n)


def manga109(root: Path) -> None:
    for n in range(4):
        put(root / f"volume{n}.png", n)


def selfexsr(root: Path, images: int = 3) -> None:
    for n in range(1, images + 1):
        put(root / "image_SRF_4" / f"img_{n:03d}_SRF_4_HR.png", n)
        put(root / "image_SRF_4" / f"img_{n:03d}_SRF_4_LR.png", n, 6, 5)


def folder(root: Path) -> None:
    put(root / "hr" / "a.png", 1)
    put(root / "ref" / "a_ref.jpg", 2)
    put(root / "hr" / "b.jpg", 3)
    put(root / "ref" / "b" / "x2.png", 4)
    put(root / "ref" / "b" / "x10.png", 5)


def hpatches(root: Path) -> None:
    for n, name in enumerate(("i_wall", "v_door")):
        for k in range(1, 4):
            put(root / name / f"{k}.png", 100 * n + k, 40, 30)
            if k > 1:
                (root / name / f"H_1_{k}").write_text(f"1 0.01 {k}\n-0.01 1 {n}\n0 1e-4 1\n")


def transform(root: Path) -> None:
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.data.split.writing import build

    source = root.parent / f"{root.name}-source"
    wrsr(source)
    build(open_dataset("wrsr", source), "rotation", ["small", "90", "unrelated"], root)


LAYOUTS = {
    "cufed5": cufed5,
    "sun80": sun80,
    "wrsr": wrsr,
    "cufed-train": cufed_train,
    "manga109": manga109,
    "urban100": selfexsr,
    "set5": selfexsr,
    "set14": selfexsr,
    "bsd100": selfexsr,
    "folder": folder,
    "hpatches": hpatches,
    "transform": transform,
}
