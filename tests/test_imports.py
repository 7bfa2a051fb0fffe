"""Every module imports only what the table in docs/project/design.md allows, by its source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("refsr_bench", "c2matching", "baselines", "leaderboard")

# Each room and the rooms below it that it may import. A room may always import itself. Every module has a room: a
# folder of refsr_bench, or one of the other packages; a module outside all of them fails.
BELOW = ("core", "formats", "registry", "pixels", "geometry")
ROOMS: dict[str, tuple[str, ...]] = {
    "core": (),
    "formats": ("core",),
    "registry": ("core", "formats"),
    "pixels": ("core",),
    "geometry": ("core", "pixels"),
    "data": BELOW,
    "datasets": (*BELOW, "data"),
    "protocols": ("core", "pixels"),
    "metrics": ("core", "formats", "registry", "pixels", "learning"),
    "matchers": (*BELOW, "learning"),
    "learning": ("core", "formats", "registry", "pixels"),
    "views": (*BELOW, "learning", "matchers"),
    "tiles": (*BELOW, "views"),
    "evaluation": (*BELOW, "data", "datasets", "protocols", "metrics", "matchers", "learning", "views", "tiles"),
    "doctor": (*BELOW, "formats", "data", "datasets", "metrics", "learning", "evaluation"),
    "sweeps": (*BELOW, "data", "datasets", "protocols", "metrics", "matchers", "learning", "views", "evaluation"),
    "api": (
        *BELOW,
        *("data", "datasets", "protocols", "metrics", "matchers", "learning", "views", "evaluation", "sweeps"),
        *("tiles", "leaderboard"),
    ),
    "local_page": ("core",),
    "builder": (*BELOW, "data", "learning", "local_page"),
    "study": ("core", "pixels", "data", "protocols", "evaluation", "local_page"),
    "c2matching": (*BELOW, "data", "learning", "matchers", "metrics"),
    "baselines": ("core", "formats", "registry", "pixels", "learning"),
    "leaderboard": (*BELOW, "data", "protocols", "metrics", "study", "sweeps"),
}
ON_C2MATCHING = (  # systems that are built on parts of C2-Matching, and say so
    *("baselines/nets/amsa.py", "baselines/nets/datsr.py", "baselines/nets/mrefsr.py", "baselines/nets/family.py"),
    *("baselines/amsa.py", "baselines/datsr.py", "baselines/mrefsr.py"),
    "baselines/nets/swap.py",  # SRNTT's feature swapping matches patches exactly as C2-Matching does
)
ANYWHERE = ("refsr_bench", "refsr_bench.__version__")
ENTRANCES = ("refsr_bench/__init__.py", "refsr_bench/__main__.py")  # they reach everything
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path, inside_functions: bool = True) -> Iterator[str]:
    """Absolute names of our own modules that a file imports: anywhere in it, or at its top level alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside_functions else _top_level(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, ast.Try):
            yield from node.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node


def room(module: Path) -> str:
    """The room of a module, given relative to the checkout or as a dotted name's path. KeyError where there is none."""
    parts = module.with_suffix("").parts
    name = parts[1] if parts[0] == "refsr_bench" else parts[0]
    if name not in ROOMS:
        raise KeyError(f"{module} lies in no room of {sorted(ROOMS)}")
    return name


def allowed(module: str, name: str) -> bool:
    """Tell whether the module, a path relative to the checkout, may import the dotted name."""
    if module in ENTRANCES or module.startswith("refsr_bench/cli/") or name in ANYWHERE:
        return True
    if name.startswith("refsr_bench.cli"):
        return False
    here, there = room(Path(module)), room(Path(name.replace(".", "/")))
    if there == "c2matching" and module in ON_C2MATCHING:
        return True
    return there == here or there in ROOMS[here]


def module_of(name: str) -> str | None:
    """The file that a dotted name is or lies in, relative to the checkout."""
    path = name.replace(".", "/")
    for found in (f"{path}.py", f"{path}/__init__.py", f"{path.rpartition('/')[0]}.py"):
        if (ROOT / found).is_file():
            return found
    return f"{path.rpartition('/')[0]}/__init__.py"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_what_its_place_allows(path: Path) -> None:
    module = path.relative_to(ROOT).as_posix()
    assert [name for name in imported(path) if not allowed(module, name)] == []


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {}
    for path in MODULES:
        module = path.relative_to(ROOT).as_posix()
        if module not in ENTRANCES and not module.startswith("refsr_bench/cli/"):
            graph[module] = {module_of(name) for name in imported(path)} - {module, *ENTRANCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(error.args[1][::-1]))


def test_the_rooms_themselves_have_a_bottom_and_a_top() -> None:
    TopologicalSorter(ROOMS).prepare()


def test_the_rule_catches_a_wrong_import() -> None:
    assert not allowed("refsr_bench/pixels/images.py", "refsr_bench.evaluation.loop")
    assert not allowed("refsr_bench/protocols/base.py", "refsr_bench.datasets.folder")
    assert not allowed("refsr_bench/evaluation/loop.py", "refsr_bench.cli")
    assert not allowed("c2matching/nets/model.py", "baselines.edsr")
    assert not allowed("baselines/edsr.py", "c2matching.nets.model")
    with pytest.raises(KeyError, match="no room"):
        allowed("refsr_bench/somewhere.py", "refsr_bench.core.errors")


@pytest.mark.parametrize("heavy", ["torch", "cv2", "skimage", "pandas", "datasets", "matplotlib", "lpips", "PIL"])
def test_help_loads_nothing_heavy(heavy: str) -> None:
    code = f"import sys, refsr_bench.cli; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "cv2", "skimage", "pandas", "datasets", "lpips"])
def test_the_catalogue_loads_nothing_heavy(heavy: str) -> None:
    code = (
        "import sys; from refsr_bench.core import catalogue; "
        f"[catalogue.collect(kind) for kind in catalogue.KINDS]; sys.exit('{heavy}' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
