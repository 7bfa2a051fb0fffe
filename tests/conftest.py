"""Fixtures every test module may use."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    from refsr_bench.data.opening import open_dataset

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


@pytest.fixture
def reader(
    photo: Callable[..., np.ndarray],
    wrsr: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """A ``reader.Reader`` in a home of its own, with no data or weights but those that a page brings."""
    from reader import Reader

    from refsr_bench.core import catalogue

    home = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(home)
    monkeypatch.setattr("sys.path", [str(home), *sys.path])  # and whatever the page installs leaves with it
    monkeypatch.delenv("REFSR_DATA", raising=False)
    monkeypatch.setenv("REFSR_WEIGHTS", str(home / "weights"))
    yield Reader(home, photo, wrsr, monkeypatch.setenv)
    catalogue.forget()  # a page may have installed a package of methods


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, a playwright Browser: Debian's (``apt-get install chromium``), or playwright's own."""
    driver_of = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    with driver_of.sync_playwright() as driver:
        found = next((path for name in names if (path := shutil.which(name))), driver.chromium.executable_path)
        if not Path(found).is_file():
            pytest.skip("needs a browser: apt-get install chromium, or playwright install chromium")
        sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        started = driver.chromium.launch(executable_path=found, args=sandbox)
        yield started
        started.close()


@pytest.hookimpl(tryfirst=True)  # before the tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of pages; begin with those that take a minute, so that no process waits for them at the end."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")
            item.add_marker("slow")
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_printed_commands.py", "test_pages.py"))
