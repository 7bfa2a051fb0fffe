"""Every page of the documentation has an example, every example runs, and every link leads somewhere."""

import re
from pathlib import Path

import pytest
from reader import DATA, RUN, Reader, fences, typed

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "CONTRIBUTING.md"]
LISTS = ("docs/index.md",)  # where pages are listed and nothing is explained
TEXTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
CARDS = sorted(ROOT.glob("data_cards/*.md"))


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_has_an_example_that_runs(page: Path, reader: Reader) -> None:
    text = page.read_text(encoding="utf-8")
    examples = [*typed(text), *(fence for fence in fences(text) if fence.language == "python" and not fence.file)]
    assert examples or name(page) in LISTS, f"{name(page)} shows nothing that a reader can run"
    reader.follow(text)


@pytest.mark.parametrize("page", TEXTS, ids=name)
def test_what_is_typed_stands_in_blocks_that_are_run(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    indented = re.findall(r"^ {4,}(?:refsr-bench|python|pytest|pip) .*$", text, flags=re.M)
    assert not indented, f"{name(page)}: put these lines into a block of bash: {indented}"
    for fence in fences(text):
        assert fence.language in (*RUN, *DATA), f"{name(page)}: a block in {fence.language or 'no language'}"
        if fence.language not in RUN:
            assert "refsr-bench " not in fence.body, f"{name(page)}: a command in a block of {fence.language}"


@pytest.mark.parametrize("page", [*TEXTS, *CARDS], ids=name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert page.parent.joinpath(target).exists(), target
