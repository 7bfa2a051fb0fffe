"""The public names: light to import, documented, typed, and the same in every list of them."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import refsr_bench

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = [name for name in refsr_bench.__all__ if inspect.isfunction(getattr(refsr_bench, name))]


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, refsr_bench; print([m for m in sys.modules if m.partition('.')[0] in {0}])"
    heavy = {"numpy", "torch", "pandas", "PIL", "cv2", "skimage", "msgspec", "datasets", "leaderboard", "click", "rich"}
    out = subprocess.run([sys.executable, "-c", code.format(heavy)], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_names_for_type_checkers_are_the_names_that_are_loaded() -> None:
    tree = ast.parse((ROOT / "refsr_bench/__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    typed = {alias.name: node.module for node in block.body for alias in node.names}
    assert typed == refsr_bench._HOMES
    assert all(alias.name == alias.asname for node in block.body for alias in node.names)  # else they are private


@pytest.mark.parametrize("name", refsr_bench.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    found = getattr(refsr_bench, name)
    if name != "__version__":
        assert name in dir(refsr_bench) and inspect.getdoc(found)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed_and_says_what_it_raises_and_how_it_is_called(name: str) -> None:
    function = getattr(refsr_bench, name)
    signature, described = inspect.signature(function), " ".join(inspect.getdoc(function).split())
    assert all(one.annotation is not inspect.Parameter.empty for one in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty
    assert "Raises " in described and f"{name}(" in described
    silent = [one for one in signature.parameters if not re.search(rf"\b{one}\b", described)]
    assert silent == [], "the docstring does not speak of these parameters"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evaluated'"):
        refsr_bench.evaluated  # noqa: B018
