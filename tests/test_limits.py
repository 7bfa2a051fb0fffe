"""The code stays small enough for a reader: length of functions, their parameters, files of a room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("refsr_bench", "c2matching", "baselines", "leaderboard")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
LINES, PARAMETERS, FILES = 60, 6, 16
ONE_FILE_PER_THING = {"baselines", "baselines/nets", "refsr_bench/datasets", "refsr_bench/protocols", "refsr_bench/cli"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def parameters(path: Path, function: Function) -> int:
    given = function.args
    named = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    return len(named - {"self", "cls"} - options(path, function))


def options(path: Path, function: Function) -> set[str]:
    """The names of a public function's keyword-only parameters: options of the Python API, one call each."""
    if path.parent == ROOT / "refsr_bench/api" and not function.name.startswith("_"):
        return {one.arg for one in function.args.kwonlyargs}
    return set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_are_short_and_take_few_things(path: Path) -> None:
    long = [f.name for f in functions(path) if f.end_lineno - f.lineno >= LINES]
    many = [f.name for f in functions(path) if parameters(path, f) > PARAMETERS and not f.name.startswith("_")]
    assert (long, many) == ([], [])


def test_rooms_have_few_files() -> None:
    folders = {path.parent.relative_to(ROOT).as_posix() for path in MODULES}
    files = {folder: len(list((ROOT / folder).glob("*.py"))) for folder in folders - ONE_FILE_PER_THING}
    assert {folder: count for folder, count in files.items() if count > FILES} == {}
