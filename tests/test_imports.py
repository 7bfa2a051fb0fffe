"""Who may import whom (the table in docs/design.md), checked on the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("refsr_bench", "c2matching", "baselines", "leaderboard")
LAZY = {("types.py", "refsr_bench.datasets.hf.to_hf")}  # Dataset.to_hf() reaches for the exporter when it is called
NETWORKS = (
    *("vgg", "extractor", "correspondence", "bounds", "fused", "loops", "coarse", "deform", "restoration", "strips"),
    *("discriminator", "model", "losses"),
)
LAYERS = (
    ("types", "results", "report", "tensorflow_v1", "tensorlayer_npz"),
    ("imaging", "images", "catalog", "checkpoints", "transforms"),
    ("datasets", "protocols", "metrics"),
)
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    """Absolute names of our own modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from names


def allowed(path: Path, name: str) -> bool:
    package, module = path.relative_to(ROOT).parts[0], path.relative_to(ROOT).with_suffix("").parts
    target = name.split(".")
    if target[0] not in PACKAGES or module[:2] == ("refsr_bench", "cli"):
        return True
    if name.startswith("refsr_bench.cli"):
        return False
    if name == "refsr_bench.__version__" or (path.name, name) in LAZY:
        return True
    if package == "leaderboard":
        return target[0] == "leaderboard" or name.startswith("refsr_bench.results")
    if package == "baselines":
        return target[0] != "leaderboard"
    if package == "c2matching":
        return target[0] == "c2matching" or (target[0] == "refsr_bench" and module[1] not in NETWORKS)
    return target[0] == "refsr_bench" and (len(target) < 2 or rank(target[1]) <= rank(module[1])) and not siblings(
        module[1], target[1]
    )


def rank(module: str) -> int:
    return next((n for n, layer in enumerate(LAYERS) if module in layer), len(LAYERS) if module != "__init__" else 9)


def siblings(module: str, target: str) -> bool:
    return module != target and module in LAYERS[2] and target in LAYERS[2]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_its_place_allows(path: Path) -> None:
    assert [name for name in imported(path) if not allowed(path, name)] == []


def test_the_rule_catches_a_wrong_import() -> None:
    assert not allowed(ROOT / "leaderboard/site.py", "refsr_bench.runner")
    assert not allowed(ROOT / "refsr_bench/protocols/base.py", "refsr_bench.datasets")
    assert not allowed(ROOT / "refsr_bench/runner.py", "refsr_bench.cli")
    assert not allowed(ROOT / "c2matching/deform.py", "refsr_bench.imaging")


@pytest.mark.parametrize("heavy", ["torch", "cv2", "skimage", "pandas", "datasets", "matplotlib", "lpips", "PIL"])
def test_help_loads_nothing_heavy(heavy: str) -> None:
    code = f"import sys, refsr_bench.cli; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "cv2", "skimage", "pandas", "datasets", "lpips"])
def test_the_catalogue_loads_nothing_heavy(heavy: str) -> None:
    code = (
        "import sys; from refsr_bench import catalog; [catalog.collect(kind) for kind in catalog.KINDS]; "
        f"sys.exit('{heavy}' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
