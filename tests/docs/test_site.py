"""The documentation becomes a site without a warning; it needs no network, and every public name has its place."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import refsr_bench
from refsr_bench.cli import main
from refsr_bench.core import catalogue

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in sorted(ROOT.glob("docs/**/*")) if path.suffix in (".md", ".ipynb")]
READ = (*PAGES, ROOT / "README.md", *ROOT.glob("data_cards/*.md"))
TEXT = "\n".join(path.read_text(encoding="utf-8") for path in READ)
VARIABLE = re.compile(r"[\"'](REFSR_[A-Z_]*[A-Z])[\"']")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. The build fails when a page is in no table of contents, and when a link leads nowhere."""
    for module in ("sphinx", "myst_nb", "furo", "sphinx_click"):
        pytest.importorskip(module, reason="needs Sphinx and its parts: pip install '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run([sys.executable, ROOT / "docs/build.py", out], capture_output=True, text=True, cwd=ROOT)
    assert built.returncode == 0, built.stderr
    return out


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group that a person may type, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def test_every_page_is_in_the_table_of_contents(site: Path) -> None:
    first = (site / "docs/index.html").read_text(encoding="utf-8")
    linked = set(re.findall(r'<li class="toctree-l\d[^>]*><a class="reference internal" href="([^"#]+)"', first))
    for page in PAGES:
        place = page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        assert place == "index.html" or place in linked, f"put {page.relative_to(ROOT)} into a toctree of docs/index.md"


def test_the_folder_opens_on_its_first_page(site: Path) -> None:
    leading = re.search(r"url=([^\"]+)", (site / "index.html").read_text(encoding="utf-8"))
    assert leading and (site / leading[1]).is_file()


def test_no_page_needs_a_network(site: Path) -> None:
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|img|iframe|link)\b[^>]*>", page.read_text(encoding="utf-8")):
            assert not re.search(r'(?:src|href)="(?:https?:)?//', tag), f"{page}: {tag}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", style.read_text(encoding="utf-8")), style


def test_every_public_name_of_python_has_a_reference(site: Path) -> None:
    page = (site / "docs/reference/api.html").read_text(encoding="utf-8")
    for name in refsr_bench.__all__:
        assert f'id="refsr_bench.{name}"' in page or f"refsr_bench.{name}</span>" in page, name


def test_every_command_and_option_has_a_reference(site: Path) -> None:
    page = (site / "docs/reference/commands.html").read_text(encoding="utf-8")
    found = list(commands(main))
    assert len(found) > 40
    for path, command in found:
        anchor = "-".join(("refsr-bench", *path))
        assert f'id="{anchor}"' in page, path
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                name = max(option.opts, key=len)
                assert f'id="cmdoption-{anchor}-{name.strip("-")}"' in page, (path, name)


@pytest.mark.parametrize("kind", catalogue.KINDS)
def test_every_name_of_the_catalogue_is_in_a_page(kind: str) -> None:
    for name in catalogue.collect(kind):
        assert re.search(rf"`(?:--\w+ )?{re.escape(name)}`", TEXT), f"{kind}: {name} is in no page"


def test_every_environment_variable_is_in_a_page() -> None:
    sources = (path for package in ("refsr_bench", "leaderboard") for path in (ROOT / package).rglob("*.py"))
    names = {name for path in sources for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert {"REFSR_DATA", "REFSR_WEIGHTS"} <= names
    assert not (missing := sorted(name for name in names if name not in TEXT)), missing
