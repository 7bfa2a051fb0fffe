"""Fixtures every test module may use."""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # several test processes share the cores

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The developers' folder of golden vectors and photographs that lies beside a checkout, where there is one."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs the developers' shared/ folder beside the checkout")
    return folder


@pytest.fixture
def photo() -> Callable[..., np.ndarray]:
    """``photo(height, width, which)``: a cut of a real photograph, uint8 H x W x 3, from scikit-image's wheel."""
    from refsr_bench.datasets import open_dataset

    pairs = open_dataset("sample").pairs

    def cut(height: int, width: int, which: int = 0) -> np.ndarray:
        image = pairs[which % len(pairs)].hr.load()
        image = np.tile(image, (-(-height // image.shape[0]), -(-width // image.shape[1]), 1))
        return np.ascontiguousarray(image[:height, :width])

    return cut


@pytest.fixture
def wrsr(tmp_path: Path, photo: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """``wrsr(n)``: a folder in WR-SR's layout with n small pairs cut from real photographs."""

    def make(n: int = 4, side: int = 48) -> Path:
        root = tmp_path / "WR-SR"
        for kind in ("input", "ref"):
            (root / kind).mkdir(parents=True)
        for i in range(1, n + 1):
            whole = photo(2 * side, 3 * side, i)
            Image.fromarray(whole[:side, : side + 4 * (i % 3)]).save(root / "input" / f"{i:03d}.png")
            turned = Image.fromarray(whole).rotate(8, Image.Resampling.BICUBIC)
            view = turned.crop((side // 3, side // 4, 2 * side, 2 * side))
            view.resize((side + 12, side + 20), Image.Resampling.BICUBIC).save(root / "ref" / f"{i:03d}_ref.png")
        return root

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """README's commands, which take minutes, begin first, so that no process is left to wait for them."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")
