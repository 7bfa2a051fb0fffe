"""Lists the differences between two protocols, field by field, with the effect of each if someone measured it.

Protocols are given by their fields, as ``Protocol.fields`` returns them and run files hold them; those of a stranger's
run file may have any JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsr_bench.core.schema import ProtocolInfo
from refsr_bench.protocols.base import Protocol, value_text
from refsr_bench.protocols.wording import SUBJECTS, words

# "effects": bicubic x4, mean over the set, relative to the first value of each field (PSNR in dB, SSIM) by data set;
# null: not applicable. Urban100: 100 HR images of the SelfExSR release; Sun80: its 80 HR images. The baseline is Pillow
# LR, unrounded Y, border 4: Urban100 23.1401 / .6580, Sun80 28.6372 / .7659. "references": the effect of choosing other
# references.
_KNOWN = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
EFFECTS: dict[str, dict[str, dict[str, list[float | None]]]] = _KNOWN["effects"]

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """One field in which two protocols differ.

    a, b: the values; of tables, the entries that differ. subject: what the field decides. a_words, b_words: the values
    in words. worth: the effect of going from ``a`` to ``b``, "" when nobody measured it.
    """

    field: str
    a: Any
    b: Any
    subject: str
    a_words: str
    b_words: str
    worth: str


def differences(a: Fields, b: Fields) -> list[Difference]:
    """Return every field in which two protocols differ, in the order of the fields; empty for equal protocols."""
    found = []
    for name in {**a, **b}:
        if name in ("name", "version") or a.get(name) == b.get(name):
            continue
        old, new = _both(a.get(name), b.get(name))
        subject, worth = SUBJECTS.get(name, name), _worth(name, old, new, a, b)
        found.append(Difference(name, old, new, subject, words(name, old), words(name, new), worth))
    return found


def explain(a: Protocol, b: Protocol) -> list[str]:
    """Return ``differences`` as lines of text for a terminal."""
    found = differences(a.fields(), b.fields())
    if not found:
        return [f"{a.label} and {b.label} measure the same."]
    lines = [f"From {a.label} to {b.label}:"]
    for item in found:
        old, new = value_text(item.a), value_text(item.b)
        lines.append(f"  {item.field}: {old} -> {new} ({item.subject[:1].lower()}{item.subject[1:]})")
        if (item.a_words, item.b_words) != (old, new):
            lines += [f"    {a.label}: {item.a_words}", f"    {b.label}: {item.b_words}"]
        if item.worth:
            lines.append(f"    worth: {item.worth}")
    if len(found) > 1:
        lines.append("Each effect was measured alone; their sum is only a guide.")
    return lines


def sentences(a: ProtocolInfo, b: ProtocolInfo) -> list[str]:
    """One sentence or two per field in which ``b`` differs from ``a``: what it decides, both values, and what it is
    worth where somebody measured it. Empty for protocols that measure the same."""
    first, second = (a.label, b.label) if a.label != b.label else (f"{a.label} v{a.version}", f"{b.label} v{b.version}")
    said = []
    for found in differences(a.fields, b.fields):
        worth = f" Worth {found.worth}." if found.worth else ""
        said.append(f"{found.subject}: {first}, {found.a_words}; {second}, {found.b_words}.{worth}")
    return said


def _both(old: Any, new: Any) -> tuple[Any, Any]:
    """Reduce two tables to the entries in which they differ; return anything else unchanged."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return old, new
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


def _worth(name: str, old: Any, new: Any, a: Fields, b: Fields) -> str:
    if name in ("refs", "standard_refs"):
        return _KNOWN["references"] if _rule_for_cufed5(a) != _rule_for_cufed5(b) else ""
    if name == "hr_multiple" and {a.get("hr_fit"), b.get("hr_fit")} != {"mod-crop"}:
        return ""  # the multiples were measured for cutting, not for padding
    if name == "ref_size":
        return _black_seam(a, b)
    table = EFFECTS.get(name, {})
    before, after = (table.get(value if isinstance(value, str) else json.dumps(value)) for value in (old, new))
    if before is None or after is None:
        return ""
    per_set = [f"{dataset} {_change(before[dataset], after[dataset])}" for dataset in before]
    return f"{', '.join(per_set)} to plain bicubic x4"


def _change(old: Sequence[float | None], new: Sequence[float | None]) -> str:
    units = ("dB", "SSIM")
    changes = [(y - x, unit) for x, y, unit in zip(old, new, units, strict=True) if x is not None and y is not None]
    return " and ".join(f"{_signed(value)} {unit}" for value, unit in changes)


def _signed(value: float) -> str:
    """Format a change with its sign and the decimals it was measured with, at most four."""
    return f"{value:+.4f}".rstrip("0").replace("-", "−")


def _rule_for_cufed5(fields: Fields) -> Any:
    rule, table = fields.get("refs"), fields.get("standard_refs")
    if rule == "standard" and isinstance(table, Mapping):
        return table.get("cufed5", table.get("*"))
    return rule


def _black_seam(a: Fields, b: Fields) -> str:
    """Describe the effect of black padding, which degradation blends into the last LR pixels and a border can hide."""
    padded = next((fields for fields in (a, b) if fields.get("ref_size") == "pad-common"), {})
    border, scale = padded.get("border"), padded.get("scale")
    if not isinstance(border, int) or not isinstance(scale, int):
        return ""
    if border >= scale:
        return f"about 0 dB, as the black padding ends outside the scored pixels (a border of {border})"
    return (
        "Urban100 −0.073 dB and Sun80 −0.230 dB where 64 pixels are padded, as the black padding bleeds into scored "
        "pixels (plain bicubic x4, border 0)"
    )
