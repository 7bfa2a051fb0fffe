"""Puts protocols into words: what each field decides, and the names of its values. No other module has this wording."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LONGEST = 160  # characters of a value that are shown, because fields may come from somebody else's run file

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
"""The decision that each field of a protocol stands for."""

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
"""The names of a field's values in words, the default first. Other fields have numbers, tables or rules."""

RULES = {
    "standard": "by data set",
    "all": "all",
    "first": "the first",
    "list": "drawn once, from the list that ships",
    "lr": "the LR image itself",
    "none": "none",
}
"""The rules of references whose names do not say enough by themselves."""


SHORT = {
    "hr_fit": {"mod-crop": "cut to multiples of", "pad-replicate": "padded to multiples of"},
    "lr_resizer": {"pil-bicubic": "Pillow's bicubic", "matlab-bicubic": "MATLAB's bicubic"},
    "channel": {"y": "luma", "y-full": "full-range luma", "rgb": "RGB"},
    "ssim_window": {"gauss11": "", "uniform7": "SSIM in a 7x7 box"},
}
"""The names of some values in ``sentence``; an empty one is what everybody does and needs no words."""

WITH = {
    "level:1": "with {its} most similar reference",
    "all": "with all of {its} references",
    "first": "with {its} first reference",
    "list": "with a reference drawn once (the list ships)",
    "lr": "with the LR image as {its} reference",
    "none": "without a reference",
}
"""The rules of references as ``sentence`` says them of one data set ("its") or several ("their")."""


def sentence(fields: Mapping[str, Any], datasets: Mapping[str, str]) -> str:
    """Return a protocol in the words of a person, as one sentence; "" if its fields say nothing that can be put so.

    fields: by name; those of run files may have any value, or be absent. datasets: title by name of the data sets whose
    references are of interest.
    """
    made = " by ".join(
        (*([f"x{words('scale', fields['scale'])}"] if "scale" in fields else []), *_short("lr_resizer", fields))
    )
    multiple = fields.get("hr_multiple")
    usual = multiple in (None, fields.get("scale"))  # every protocol cuts HR to multiples of the scale
    fitted = [] if usual else [f"HR {fit} {words('hr_multiple', multiple)}" for fit in _short("hr_fit", fields)]
    rounded = "rounded " if fields.get("y_rounded") is True and fields.get("channel") != "rgb" else ""
    measured = [f"PSNR on {rounded}{channel}" for channel in _short("channel", fields)]
    border = fields.get("border")
    left_out = words("border", border) if border else "no"
    cut = [] if border is None else [f"{left_out} border pixel{'s' * (border != 1)} cut"]
    first = ", ".join(filter(None, (made, *fitted, *measured, *_short("ssim_window", fields), *cut)))
    said = "; ".join(filter(None, (first, _of_datasets(fields, datasets))))
    return f"{said}." if said else ""


def _short(name: str, fields: Mapping[str, Any]) -> list[str]:
    """Return a field's value in SHORT words; nothing if it is absent."""
    value = fields.get(name)
    if value is None:
        return []
    known = SHORT[name].get(value) if isinstance(value, str) else None
    return [words(name, value) if known is None else known]


def _of_datasets(fields: Mapping[str, Any], datasets: Mapping[str, str]) -> str:
    """Return the references of data sets, those with the same rule together."""
    table = fields.get("standard_refs")
    rules: dict[str, list[str]] = {}
    for name, title in datasets.items():
        rule = fields.get("refs")
        if rule == "standard":
            rule = table.get(name, table.get("*")) if isinstance(table, Mapping) else None
        if isinstance(rule, str):
            rules.setdefault(rule, []).append(title)
    joined = ", joined into one" if fields.get("stitch", "none") != "none" else ""
    return ", ".join(
        f"{' and '.join(titles)} {_with(rule, 'its' if len(titles) == 1 else 'their')}{joined if rule == 'all' else ''}"
        for rule, titles in rules.items()
    )


def _with(rule: str, its: str) -> str:
    if rule in WITH:
        return WITH[rule].format(its=its)
    if match := re.fullmatch(r"level:(\d+)", rule):
        return f"with {its} reference of similarity level {match[1]}"
    return f"with references: {words('refs', rule)}"


def words(name: str, value: Any) -> str:
    """Return a field's value in words, at most LONGEST characters.

    value: any JSON value; fields of run files may have any.
    """
    if isinstance(value, Mapping):
        # "*" stands for every other data set.
        entries = [f"{'others' if key == '*' else key} {words(name, item)}" for key, item in value.items()]
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
