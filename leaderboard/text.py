"""Formats text and numbers as pages, figures and exports print them: digits, signs, units, missing values.

The code that writes a page, a file or a line in a terminal cleans the text of run files with this module; in memory,
text stays as it was read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from refsr_bench.core import lists
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import IN_WORDS, MetricInfo, Run, ViewRecord

MISSING = "-"
MINUS = "−"
# Characters that break files or reverse the reading order: controls, lone surrogates, bidirectional overrides.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def clean(text: str) -> str:
    """Return text from a run file without characters that could damage a file or disguise what it says."""
    return _UNSAFE.sub("\ufffd", text)


def cleaned(value: Any) -> Any:
    """Return a JSON value with all of its text clean."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(name): cleaned(item) for name, item in value.items()}
    return [cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value


def plain_cell(value: object) -> object:
    """Return text that a spreadsheet does not take for a formula."""
    if not isinstance(value, str):
        return value
    value = clean(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value


def csv_text(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as CSV: numbers unrounded, formulas defused; empty for None and nan; true and false in lower case."""
    return lists.csv_text(map(_cell, head), (map(_cell, row) for row in rows))


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None or value != value else plain_cell(value)  # nan is not equal to itself


def anchor(text: str) -> str:
    """Return text as part of a file name or an anchor: only ``a-z 0-9 . _ -``, at most 60 characters, never empty."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.")[:60] or "x"


def number(value: float | None, digits: int, leading_zero: bool = True) -> str:
    """Return a number as tables print it: fixed decimals, "∞", "-∞", "-" for None; ``.745`` without zero if asked."""
    if value is None:
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{value:.{digits}f}"
    return text if leading_zero else re.sub(r"^(-?)0\.", r"\1.", text)


def of_metric(value: float | None, metric: MetricInfo) -> str:
    """Return a value with its metric's digits.

    Shares without a unit (SSIM, LPIPS) are printed as papers do: .745
    """
    return number(value, metric.digits, leading_zero=metric.unit != "" or metric.digits < 3)


def identity_text(run: Run) -> str:
    """Return the digest of what a run's numbers depend on, and the names of these facts."""
    facts = run.identity()
    names = ", ".join(name for name in facts if name != "version")
    return f"{digest(facts)[:12]} (version {facts['version']}), over {names}"


def signed(value: float, digits: int, leading_zero: bool = True) -> str:
    """Return a difference as printed, with its sign; a plain zero if it rounds to nothing."""
    text = number(abs(value), digits, leading_zero)
    if not text.strip("0."):
        return text
    return f"{'+' if value > 0 else MINUS}{text}"


def percent(share: float, digits: int = 1) -> str:
    """Return a share as per cent, with a thin space before the sign."""
    return f"{100 * share:.{digits}f}\u202f%"


def view_text(view: ViewRecord) -> str:
    """Return what a record says of a view of a reference, in a line."""
    by = IN_WORDS["found_by"][view.found_by]
    taken = "" if view.share is None else f", {percent(view.share, 0)} taken"
    return f"view by {by}, shows {percent(view.valid, 0)} of the image{taken}"


def count(parameters: float | None) -> str:
    """Return a number of parameters: 8.9 M, 730 k."""
    if parameters is None:
        return MISSING
    if parameters >= 1_000_000:
        return f"{parameters / 1e6:.1f} M"
    return f"{parameters / 1e3:.0f} k" if parameters >= 1_000 else f"{parameters:.0f}"


def operations(gmacs: float | None) -> str:
    """Return multiply-accumulates, 10^9: 1,295, 65.2."""
    if gmacs is None:
        return MISSING
    return f"{gmacs:,.0f}" if gmacs >= 100 else f"{gmacs:.3g}"


def seconds(value: float | None) -> str:
    """Return a duration: three significant digits below 100 s, whole seconds above."""
    if value is None:
        return MISSING
    return f"{value:.0f} s" if value >= 100 else f"{value:.3g} s"
