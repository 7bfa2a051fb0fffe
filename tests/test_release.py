"""What a release needs: one version everywhere, a source distribution with all that tests need, a container from it."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from refsr_bench import __version__

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CONTAINER = (ROOT / "Containerfile").read_text(encoding="utf-8")


def test_one_version_is_stated() -> None:
    assert PROJECT["version"] == CITED["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[([^\]]+)\]", changelog, flags=re.M)
    assert sections[0] == "Unreleased" and (__version__ in sections or __version__ in changelog)


def test_what_is_cited_is_a_citation() -> None:
    """The fields that the schema of CFF 1.2.0 demands, and no person who is not an author of the cited paper."""
    assert {"cff-version", "message", "title", "authors"} <= CITED.keys() and CITED["cff-version"] == "1.2.0"
    assert CITED["license"] == PROJECT["license"] and CITED["authors"] == PROJECT["authors"]
    (paper,) = CITED["references"]
    assert [person["family-names"] for person in paper["authors"]] == ["Jiang", "Chan", "Wang", "Loy", "Liu"]


def test_extras_that_commands_name_are_stated_once() -> None:
    extras = PROJECT["optional-dependencies"]
    core = {re.split(r"[<>=\[]", wanted)[0] for wanted in PROJECT["dependencies"]}
    for name, packages in extras.items():
        if name not in ("test", "docs"):
            assert not core & {re.split(r"[<>=\[]", wanted)[0] for wanted in packages}, name
    assert all(">=" in wanted for wanted in PROJECT["dependencies"])  # .ci/lowest tries these bounds


def test_the_container_brings_what_opencv_links_to_and_takes_the_source_distribution() -> None:
    from refsr_bench.core.extras import explained

    told = explained(ImportError("libGL.so.1: cannot open shared object file"))
    for package in re.findall(r"lib[\w.-]+", told.partition("apt-get install ")[2].partition(")")[0]):
        assert package in CONTAINER and package in (ROOT / "docs/guide/first-run.md").read_text(encoding="utf-8")
    assert re.search(r"^RUN pip install .*/refsr_bench-\*\.tar\.gz$", CONTAINER, flags=re.M)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution of the files that git knows, in an empty folder."""
    pytest.importorskip("build", reason="needs build: pip install build")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    place = tmp_path_factory.mktemp("release")
    packed = place / "tree.tar"
    subprocess.run(["git", "archive", "-o", packed, "HEAD"], cwd=ROOT, check=True)
    with tarfile.open(packed) as tree:
        tree.extractall(place / "tree", filter="data")
    words = ("--sdist", "--no-isolation", "--outdir", place / "dist", place / "tree")
    subprocess.run([sys.executable, "-m", "build", *words], check=True, capture_output=True)
    return next((place / "dist").glob("*.tar.gz"))


@pytest.mark.slow
def test_the_source_distribution_holds_every_file_of_the_repository(sdist: Path) -> None:
    with tarfile.open(sdist) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    listed = subprocess.run(["git", "ls-tree", "-rz", "--name-only", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    missing = sorted(set(filter(None, listed.stdout.split("\0"))) - names - {".gitignore"})
    assert not missing, f"MANIFEST.in leaves out {missing}"


@pytest.mark.slow
def test_the_distribution_shows_readme_in_an_index(sdist: Path) -> None:
    pytest.importorskip("twine", reason="needs twine: pip install twine")
    told = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", sdist], capture_output=True, text=True)
    assert told.returncode == 0 and "PASSED" in told.stdout, told.stdout


@pytest.mark.slow
def test_the_line_of_the_container_installs_what_answers(sdist: Path, tmp_path: Path) -> None:
    """The container's own pip line, into an empty folder; the packages it would fetch are those of this environment."""
    line = re.findall(r"^RUN pip (install .*)$", CONTAINER, flags=re.M)[0].replace("/tmp/sdist", str(sdist.parent))
    said = f"--no-deps --no-build-isolation --target {tmp_path}"
    subprocess.run(["sh", "-c", f"{sys.executable} -m pip {line} {said}"], check=True, capture_output=True)
    places = [str(tmp_path), *(place for place in sys.path if place.endswith("site-packages"))]
    asked = [sys.executable, "-m", "refsr_bench", "methods", "info", "c2matching"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    shown = subprocess.run(asked, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert shown.returncode == 0 and "C²-Matching" in shown.stdout, shown.stderr
