"""A run as a branch of somebody's clone of a results repository, ready to be pushed by that person."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leaderboard.reading.load import read_folder, run_key
from leaderboard.text import anchor
from refsr_bench.core import files
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import Result

RESULTS = "results"
FILES = ("run.json", "images.jsonl", "result.json")
IMAGES = "images"
SECONDS = 120  # for one call of git, which may wait for a hook of the repository's owner


@dataclass(frozen=True)
class Branch:
    """A branch that holds one more run. folder: where its files lie, relative to the repository."""

    name: str
    folder: str
    files: tuple[str, ...]


def check_repository(repository: Path, result: Result, branch: str | None = None) -> tuple[str, Path]:
    """Choose the branch and the folder for a run, before anything is written.

    Returns the branch's name and the folder. Raises Misuse when ``repository`` is no clean clone of a repository with a
    ``results`` folder, and when the branch, the folder or a row of the same method, data set and protocol is there.
    """
    top = _git(repository, "rev-parse", "--show-toplevel") if repository.is_dir() else ""
    if not top or Path(top).resolve() != repository.resolve():
        raise Misuse(f"--repository {repository}: not the top folder of a git clone. Clone the repository first.")
    results = repository / RESULTS
    if results.is_symlink() or not results.is_dir():
        raise Misuse(f"{repository} has no folder {RESULTS}, in which a results repository keeps its run files.")
    if dirty := _git(repository, "status", "--porcelain", "--untracked-files=all"):
        first = dirty.splitlines()[0].strip()
        raise Misuse(f"{repository} has changes that are not committed ({first}, ...). Commit or stash them.")
    run = result.run
    words = [anchor(run.protocol.label), anchor(run.dataset.name), anchor(run.method.name)]
    name = branch or "-".join(("result", *words))
    if subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False).returncode:
        raise Misuse(f"--branch {name!r} is no name that git gives to a branch.")
    if _git(repository, "branch", "--list", "--all", name, f"*/{name}"):
        raise Misuse(f"{repository} has a branch {name} already. Give another name with --branch.")
    folder = results.joinpath(*words)
    if folder.exists() or folder.is_symlink():
        raise Misuse(f"{folder} is there already and stays. To replace a result, remove it in a commit of your own.")
    for loaded in read_folder(results).runs:
        if loaded.result.run.kind == run.kind and run_key(loaded.result) == run_key(result):
            raise Misuse(f"{results / loaded.path} holds the same method, weights, data set and protocol already.")
    return name, folder


def prepare(repository: Path, source: Path, result: Result, images: bool = False, branch: str | None = None) -> Branch:
    """Commit a run to a new branch of a clone, which is then checked out. Nothing is pushed.

    source: the run's folder. images: its SR images, too. When git refuses, the clone is as it was before. Raises Misuse
    like ``check_repository``, and BenchError with git's words.
    """
    name, folder = check_repository(repository, result, branch)
    copied = _sources(source, images)
    with _undone_on_failure(repository, folder, name):
        for path in copied:
            target = folder / path.relative_to(source)
            files.make_folder(target.parent, below=repository)
            files.write_bytes(target, files.read_bytes(path))
        run = result.run
        title = f"{run.method.title} on {run.dataset.title} under {run.protocol.label}"
        _must(repository, "add", "--force", "--", str(folder.resolve()))
        _must(repository, "commit", "--quiet", "--message", " ".join(title.split()))
    place = folder.relative_to(repository).as_posix()
    return Branch(name, place, tuple(f"{place}/{path.relative_to(source).as_posix()}" for path in copied))


def _sources(folder: Path, images: bool) -> list[Path]:
    """Return the files to copy. Raises Misuse when images are asked for and there are none."""
    found = [folder / name for name in FILES if (folder / name).is_file()]
    pictures = sorted((folder / IMAGES).glob("*.png")) if images else []
    if images and not pictures:
        raise Misuse(f"{folder / IMAGES} holds no SR images. Measure with --save-images, or leave out --with-images.")
    return [*found, *pictures]


@contextmanager
def _undone_on_failure(repository: Path, folder: Path, branch: str) -> Iterator[None]:
    """Make and check out a branch for the block. When the block fails, remove it and ``folder`` again."""
    at = _git(repository, "symbolic-ref", "--short", "--quiet", "HEAD")
    before = [at] if at else ["--detach", _must(repository, "rev-parse", "HEAD")]
    _must(repository, "switch", "--quiet", "--create", branch)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _git(repository, "reset", "--quiet", "--hard")
        _git(repository, "switch", "--quiet", *before)
        _git(repository, "branch", "--quiet", "-D", branch)
        raise


def _run(repository: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(repository), *words]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except FileNotFoundError:
        raise Misuse("git is not installed, and a results repository is kept with it.") from None
    except subprocess.TimeoutExpired:
        raise BenchError(f"git {words[0]} took more than {SECONDS} seconds in {repository}.") from None


def _git(repository: Path, *words: str) -> str:
    """Return what git prints; "" when it refuses."""
    done = _run(repository, *words)
    return done.stdout.strip() if done.returncode == 0 else ""


def _must(repository: Path, *words: str) -> str:
    done = _run(repository, *words)
    if done.returncode:
        told = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise BenchError(f"{repository}: git {words[0]} refused: {told}")
    return done.stdout.strip()
