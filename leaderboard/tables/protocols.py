"""What separates two protocols, in words, from their fields as run files hold them.

The wording is that of ``refsr_bench.protocols``, which this package does not import;
tests/leaderboard/test_leaderboard_protocols.py keeps the two alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from refsr_bench.core.schema import ProtocolInfo

LONGEST = 160

# By field: the words that begin its sentence, and what its values are called in it (the value itself where absent).
SUBJECTS = {
    "scale": "Ratio of HR size to LR size",
    "hr_fit": "How HR gets a size that can be divided",
    "hr_multiple": "HR sides become multiples of",
    "hr_multiple_for": "Other multiples by data set",
    "lr_resizer": "How HR becomes LR",
    "sr_values": "What is measured of SR",
    "border": "Pixels left out on every side before measuring",
    "channel": "The channel of PSNR and SSIM",
    "y_rounded": "Luma rounded to whole numbers before measuring",
    "ssim_window": "The window of SSIM",
    "refs": "Which references",
    "standard_refs": "Which references, by data set",
    "ref_lists": "The lists of drawn references",
    "lr_ref": "The LR image as a reference",
    "stitch": "Several references for a method that takes one",
    "ref_size": "References of another size than HR",
}
WORDS: dict[str, dict[str, str]] = {
    "hr_fit": {
        "mod-crop": "HR is cut at the bottom and right",
        "pad-replicate": "HR is padded on all sides by repeating its border before degradation; SR is cut back",
    },
    "lr_resizer": {
        "pil-bicubic": "Pillow's antialiased bicubic, as scipy's imresize was",
        "matlab-bicubic": "MATLAB's imresize, antialiased bicubic",
    },
    "sr_values": {"uint8": "SR clipped and rounded to 8 bits, as all code does"},
    "channel": {
        "y": "studio-range luma (BT.601, 16..235)",
        "y-full": "full-range luma (0.299, 0.587, 0.114; 0..255)",
        "rgb": "the RGB channels",
    },
    "ssim_window": {"gauss11": "11x11 Gaussian of sigma 1.5", "uniform7": "7x7 box, scikit-image's default"},
    "ref_lists": {"v1": "the first lists shipped"},
    "lr_ref": {"lr": "the LR image at LR size", "lr-up": "the LR image resized back to HR size"},
    "stitch": {
        "none": "references stay separate",
        "black-500": "each top left on a black 500x500 canvas, stacked",
        "replicate-512": "each centred on a 512x512 canvas with repeated borders, stacked",
    },
    "ref_size": {
        "pad-common": "HR and references cut to multiples, then padded with black at the bottom and right to their "
        "common size, before degradation",
        "native": "references as they are",
        "mod-crop": "references cut to multiples like HR",
        "crop-pad": "references cut, or padded with black, to HR's size",
        "resize": "references resized to HR's size",
        "replicate-16": "references padded on all sides to multiples of 16 by repeating their border",
    },
}
RULES = {
    "standard": "by data set",
    "all": "all",
    "first": "the first",
    "list": "drawn once, from the list that ships",
    "lr": "the LR image itself",
    "none": "none",
}
# What choices are worth: the toolkit's own file, described in refsr_bench/protocols/effects.py.
_KNOWN = json.loads((files("refsr_bench") / "protocols" / "effects.json").read_text(encoding="utf-8"))


def differences(a: ProtocolInfo, b: ProtocolInfo) -> list[str]:
    """One sentence or two per field in which ``b`` differs from ``a``: what it decides, both values, and what it is
    worth where somebody measured it. Empty for protocols that measure the same."""
    first, second = (a.label, b.label) if a.label != b.label else (f"{a.label} v{a.version}", f"{b.label} v{b.version}")
    found = []
    for name in {**a.fields, **b.fields}:
        if name in ("name", "version") or a.fields.get(name) == b.fields.get(name):
            continue
        old, new = _both(a.fields.get(name), b.fields.get(name))
        sentence = f"{SUBJECTS.get(name, name)}: {first}, {_words(name, old)}; {second}, {_words(name, new)}."
        effect = _effect(name, old, new, a.fields, b.fields)
        found.append(f"{sentence} {effect}".rstrip())
    return found


def _both(old: Any, new: Any) -> tuple[Any, Any]:
    """Of two tables the entries in which they differ; anything else as it is."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return old, new
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return {name: old.get(name) for name in names}, {name: new.get(name) for name in names}


def _words(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        # "*" stands for every other data set.
        entries = [f"{'others' if key == '*' else key} {_words(name, item)}" for key, item in value.items()]
        text = ", ".join(entries) or "none"
    elif value is None:
        text = "not said"
    elif name in ("refs", "standard_refs"):
        text = _rule(str(value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, str):
        text = WORDS.get(name, {}).get(value, value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _rule(text: str) -> str:
    if match := re.fullmatch(r"level:(\d+)", text):
        return f"level {match[1]}"
    if match := re.fullmatch(r"random:(.+)", text):
        return f"one drawn with seed {match[1]}"
    return RULES.get(text, text)


def _effect(name: str, old: Any, new: Any, a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    if name in ("refs", "standard_refs"):
        return f"Worth, {_KNOWN['references']}." if _rule_for_cufed5(a) != _rule_for_cufed5(b) else ""
    if name == "hr_multiple" and {a.get("hr_fit"), b.get("hr_fit")} != {"mod-crop"}:
        return ""  # the multiples were measured for cutting, not for padding
    if name == "ref_size":
        return _black_seam(a, b)
    table = _KNOWN["effects"].get(name, {})
    before, after = (table.get(json.dumps(value) if not isinstance(value, str) else value) for value in (old, new))
    if before is None or after is None:
        return ""
    per_set = [f"{dataset} {_change(before[dataset], after[dataset])}" for dataset in before]
    return f"Worth {', '.join(per_set)} to plain bicubic x4."


def _change(old: Sequence[float | None], new: Sequence[float | None]) -> str:
    parts = []
    if old[0] is not None and new[0] is not None:
        parts.append(f"{_signed(new[0] - old[0])} dB")
    if old[1] is not None and new[1] is not None:
        parts.append(f"{_signed(new[1] - old[1])} SSIM")
    return " and ".join(parts)


def _signed(value: float) -> str:
    """With its sign and the decimals it was measured with, four at most."""
    return f"{value:+.4f}".rstrip("0").replace("-", "−")


def _rule_for_cufed5(fields: Mapping[str, Any]) -> Any:
    rule, table = fields.get("refs"), fields.get("standard_refs")
    if rule == "standard" and isinstance(table, Mapping):
        return table.get("cufed5", table.get("*"))
    return rule


def _black_seam(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Zero padding before degradation blends black into the last LR pixels; a border of 4 hides it."""
    padded = next((fields for fields in (a, b) if fields.get("ref_size") == "pad-common"), {})
    border, scale = padded.get("border"), padded.get("scale")
    if not isinstance(border, int) or not isinstance(scale, int):
        return ""
    if border >= scale:
        return f"Worth about 0 dB, as the black padding ends outside the scored pixels (a border of {border})."
    return (
        "The black padding bleeds into scored pixels: Urban100 −0.073 dB, Sun80 −0.23 dB where 64 pixels are padded "
        "(plain bicubic x4, border 0)."
    )
