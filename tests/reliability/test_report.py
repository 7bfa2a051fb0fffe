"""The page of reliability states the counts of today's corpus and commands that exist."""

import re
from collections import Counter
from collections.abc import Iterable

import kills
import pytest
from corpus import all_cases
from faults import FAULTS
from fuzz import TARGETS
from report import BEGIN, END, PAGE, ROOT, table, written

TEXT = PAGE.read_text(encoding="utf-8")


def counts(kind: str) -> dict[str, int]:
    """Return the rows of one kind on the page; the total is called ""."""
    rows = re.search(rf"\| \*\*{kind}\*\* \| \*\*(.*?) \w+\*\* \|\n((?:\| [^*\n]+\n)*)", TEXT)
    lines = [line.strip("| ").split(" | ") for line in rows[2].splitlines()]
    return {name: int(count.replace(",", "")) for name, count in [("", rows[1]), *lines]}


def test_the_page_counts_today_s_corpus() -> None:
    today = Counter(case.name.partition(":")[0] for case in all_cases())
    assert counts("hostile inputs") == {"": today.total(), **today}


@pytest.mark.parametrize(("kind", "names"), [("fuzzing", TARGETS), ("kills", kills.NAMES), ("faults", FAULTS)])
def test_what_the_page_counts_exists_and_adds_up(kind: str, names: Iterable[str]) -> None:
    if f"**{kind}**" in TEXT:  # the page may be of a run of the corpus alone
        stated = counts(kind)
        assert stated.keys() == {"", *names} and stated[""] == sum(stated.values()) - stated[""] > 0


def test_documented_commands_name_files_that_exist() -> None:
    named = re.findall(r"tests/[\w/]+\.py", TEXT)
    assert named and all((ROOT / name).is_file() for name in named)


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    from sandbox import MOST_MEMORY, SECONDS

    from refsr_bench.core.files import MOST_NAME
    from refsr_bench.data.layout import MOST_NAMES
    from refsr_bench.pixels.images import MAX_PIXELS

    assert all(f"{limit:,} " in TEXT for limit in (MOST_NAME, MOST_NAMES, MAX_PIXELS))
    assert f"| {SECONDS} s |" in TEXT and f"| {MOST_MEMORY >> 30} GiB |" in TEXT


def test_counts_are_written_between_the_marks() -> None:
    page = written(f"before\n{BEGIN}\nold\n{END}\nafter\n", table("kills", {"run": 2, "sr": 1}, "kills"))
    assert "old" not in page and page.startswith("before") and page.endswith("after\n")
    assert "| **kills** | **3 kills** |\n| run | 2 |" in page
    assert written(page, table("kills", {"run": 2, "sr": 1}, "kills")) == page
