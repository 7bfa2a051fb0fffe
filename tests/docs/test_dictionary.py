"""The dictionary's fields measure what the other tools' calls measure, and its page has the numbers of today."""

import re
from functools import cache

import pytest

from docs.scripts.dictionary import PAGE, SAME, Images, Row, photographs, rows, table

ROWS = rows()
BY_CALL = [row for row in ROWS if row.fields is not None and (row.own or row.whole)]


@cache
def two(down: str) -> Images:
    return photographs(down, limit=2)


@pytest.mark.parametrize("row", BY_CALL, ids=lambda row: f"{row.tool} {row.call}")
def test_the_call_of_another_tool_is_what_the_fields_measure(row: Row) -> None:
    within = 1e-3 if row.measure == "psnr" else 1e-4  # torch measures in float32
    assert row.by_call(two(row.down)) == pytest.approx(row.by_fields(two(row.down)), abs=within)


def test_tools_that_can_be_had_are_asked_themselves() -> None:
    asked = {row.tool for row in ROWS if row.own or row.whole}
    assert asked == {"scikit-image", "torchmetrics", "OpenCV"} == {row.tool for row in BY_CALL}
    assert {row.tool for row in ROWS} == {"scikit-image", "torchmetrics", "OpenCV", "pyiqa", "MATLAB", "BasicSR"}


def test_fields_are_those_of_a_protocol() -> None:
    from refsr_bench.core import catalogue

    c2 = catalogue.get("PROTOCOLS", "c2")
    for row in ROWS:
        changed = c2.changed({name: str(value) for name, value in (row.fields or {}).items()})
        assert bool(row.fields) == (changed.digest != c2.digest), row.call


def numbers(text: str) -> dict[str, float]:
    """The last column of the table, by the tool and the call."""
    cells = re.findall(r"^\| ([\w-]+) \| (.*?) \| [^|]* \| ([−+0].*?)(?: dB)? \|$", text, flags=re.M)
    return {f"{tool} {call}": 0 if said == SAME else float(said.replace("−", "-")) for tool, call, said in cells}


def test_the_page_has_the_numbers_of_today() -> None:
    stored, measured = numbers(PAGE.read_text(encoding="utf-8")), numbers(table())
    assert len(stored) == len(ROWS) and stored == pytest.approx(measured, abs=2e-3)
