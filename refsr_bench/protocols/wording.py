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
