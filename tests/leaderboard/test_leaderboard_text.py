"""Text and numbers as they are printed."""

import math

import pytest

from leaderboard.text import anchor, clean, cleaned, count, number, operations, percent, seconds, signed


@pytest.mark.parametrize(
    ("value", "digits", "zero", "text"),
    [
        (None, 2, True, "-"),
        (math.inf, 2, True, "∞"),
        (-math.inf, 2, True, "-∞"),
        (0.745, 3, False, ".745"),
        (-0.5, 1, False, "-.5"),
        (1.0, 4, False, "1.0000"),
        (0.745, 3, True, "0.745"),
        (10.0, 2, False, "10.00"),
    ],
)
def test_numbers_as_printed(value, digits, zero, text):
    assert number(value, digits, zero) == text


@pytest.mark.parametrize("text", ["../../etc/passwd", "<script>", "", "...", "CON+border=0", "é" * 99, "a/b\\c:d"])
def test_anchors_are_safe_file_names(text):
    made = anchor(text)
    assert made and len(made) <= 60 and not made.startswith((".", "-"))
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")


def test_clean_removes_what_damages_or_disguises():
    assert clean("a\x00b\ud800c\u202ed\r") == "a\ufffdb\ufffdc\ufffdd\ufffd"
    assert clean("C²-Matching\n ∞ 漢字") == "C²-Matching\n ∞ 漢字"


@pytest.mark.parametrize(
    ("value", "digits", "zero", "text"),
    [(0.004, 2, True, "0.00"), (-0.0004, 3, False, ".000"), (-1.216, 2, True, "−1.22"), (0.5, 3, False, "+.500")],
)
def test_differences_as_printed(value, digits, zero, text):
    assert signed(value, digits, zero) == text


def test_json_values_are_clean_to_the_bottom():
    assert cleaned({"a\u202e": ["b\x00", {"c": ("d\x07", 1, None)}]}) == {
        "a\ufffd": ["b\ufffd", {"c": ["d\ufffd", 1, None]}]
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (count(None), "-"), (count(0), "0"), (count(730_000), "730 k"), (count(8_900_000), "8.9 M"),
        (operations(None), "-"), (operations(1295.3), "1,295"), (operations(65.18), "65.2"),
        (seconds(None), "-"), (seconds(0.1234), "0.123 s"), (seconds(123.4), "123 s"),
        (percent(0.8301), "83.0\u202f%"),
    ],
)  # fmt: skip
def test_units_and_magnitudes(text, shown):
    assert text == shown
