"""The page of reliability states the counts of today's corpus and commands that exist."""

import re

from corpus import all_cases
from report import BEGIN, END, PAGE, ROOT, table, written

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_page_counts_today_s_corpus() -> None:
    stated = re.search(r"\*\*hostile inputs\*\* \| \*\*([\d,]+) cases", TEXT)
    assert int(stated[1].replace(",", "")) == len(all_cases())


def test_documented_commands_name_files_that_exist() -> None:
    named = re.findall(r"tests/[\w/]+\.py", TEXT)
    assert named and all((ROOT / name).is_file() for name in named)


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    from refsr_bench.core.files import MOST_NAME
    from refsr_bench.data.layout import MOST_NAMES
    from refsr_bench.pixels.images import MAX_PIXELS

    assert all(f"{limit:,} " in TEXT for limit in (MOST_NAME, MOST_NAMES, MAX_PIXELS))


def test_counts_are_written_between_the_marks() -> None:
    page = written(f"before\n{BEGIN}\nold\n{END}\nafter\n", table("kills", {"run": 2, "sr": 1}, "kills"))
    assert "old" not in page and page.startswith("before") and page.endswith("after\n")
    assert "| **kills** | **3 kills** |\n| run | 2 |" in page
    assert written(page, table("kills", {"run": 2, "sr": 1}, "kills")) == page
