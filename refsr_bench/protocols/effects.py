"""What separates two protocols: in words, and in dB where someone measured it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from refsr_bench.protocols.base import Protocol, field_help, value_text, words

# "effects": bicubic x4, mean over the set, relative to the first value of each field (PSNR in dB, SSIM) by data set;
# null: not applicable. Urban100: 100 HR images of the SelfExSR release; Sun80: its 80 HR images. The point of departure
# is Pillow LR, unrounded Y, border 4: Urban100 23.1401 / .6580, Sun80 28.6372 / .7659. "references": what their choice
# is worth. The leaderboard, which imports nothing of this package, reads the same file.
_KNOWN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
EFFECTS: dict[str, dict[str, dict[str, list[float | None]]]] = _KNOWN["effects"]


@dataclass(frozen=True)
class Difference:
    """One field in which two protocols differ.

    a, b: the values, as ``changed`` reads them. meaning: what the field decides. a_words, b_words: the values in words.
    measured: the effect of going from ``a`` to ``b``, "" when nobody measured it.
    """

    field: str
    a: str
    b: str
    meaning: str
    a_words: str
    b_words: str
    measured: str


def differences(a: Protocol, b: Protocol) -> list[Difference]:
    """Every field in which two protocols differ, in the order of the fields; empty for equal protocols."""
    found = []
    before, after = a.fields(), b.fields()
    for name in before:
        if name not in ("name", "version") and before[name] != after[name]:
            old, new = _both(before[name], after[name])
            measured = _measured(name, old, new, a, b)
            found.append(Difference(name, old, new, field_help(name), words(name, old), words(name, new), measured))
    return found


def explain(a: Protocol, b: Protocol) -> list[str]:
    """``differences`` as lines of text for a terminal."""
    found = differences(a, b)
    if not found:
        return [f"{a.label} and {b.label} measure the same."]
    lines = [f"From {a.label} to {b.label}:"]
    for item in found:
        lines.append(f"  {item.field}: {item.a} -> {item.b} ({item.meaning})")
        if (item.a_words, item.b_words) != (item.a, item.b):
            lines += [f"    {a.label}: {item.a_words}", f"    {b.label}: {item.b_words}"]
        if item.measured:
            lines.append(f"    worth: {item.measured}")
    if len(found) > 1:
        lines.append("Each effect was measured alone; their sum is only a guide.")
    return lines


def _both(old: object, new: object) -> tuple[str, str]:
    """Both values as text; of tables only the entries that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        old, new = ({name: table.get(name, "-") for name in names} for table in (old, new))
    return value_text(old), value_text(new)


def _measured(name: str, old: str, new: str, a: Protocol, b: Protocol) -> str:
    if name in ("refs", "standard_refs"):
        return _KNOWN["references"] if a.rule_for("cufed5") != b.rule_for("cufed5") else ""
    if name == "hr_fit" or (name == "hr_multiple" and {a.hr_fit, b.hr_fit} != {"mod-crop"}):
        return ""  # the multiples were measured for cutting, not for padding
    if name == "ref_size":
        return _black_seam(a, b)
    table = EFFECTS.get(name, {})
    if old not in table or new not in table:
        return ""
    per_set = [_change(dataset, table[old][dataset], table[new][dataset]) for dataset in table[old]]
    return "; ".join(per_set) + " (bicubic x4)"


def _change(dataset: str, old: Sequence[float | None], new: Sequence[float | None]) -> str:
    parts = []
    if old[0] is not None and new[0] is not None:
        parts.append(f"{_signed(new[0] - old[0])} dB")
    if old[1] is not None and new[1] is not None:
        parts.append(f"SSIM {_signed(new[1] - old[1])}")
    return f"{dataset} {', '.join(parts)}"


def _signed(value: float) -> str:
    """With its sign and the decimals it was measured with, four at most."""
    return f"{value:+.4f}".rstrip("0")


def _black_seam(a: Protocol, b: Protocol) -> str:
    """Zero padding before degradation blends black into the last LR pixels; a border of 4 hides it."""
    padded = a if a.ref_size == "pad-common" else b if b.ref_size == "pad-common" else None
    if padded is None:
        return ""
    if padded.border >= padded.scale:
        return f"about 0 dB on the scored pixels, as {padded.label} leaves out a border of {padded.border} (bicubic x4)"
    return (
        f"the black padding bleeds into pixels that {padded.label} scores: Urban100 -0.073 dB, Sun80 -0.230 dB "
        "where 64 pixels are padded (bicubic x4, border 0)"
    )
