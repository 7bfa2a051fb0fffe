"""Chooses the references of a pair by rules, and joins several into one image."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import numpy as np

from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.types import Image, ImageSource, RefPair
from refsr_bench.pixels.crop import pad_replicate_centred, pad_zero

PLAIN_RULES = ("all", "first", "list", "lr", "none")
LISTS = {"sun80": (80, 20), "manga109": (109, 109)}
"""Data sets with a shipped list: lines in it, and the largest index a line may hold."""

LIST_SEED = 1  # seed of the lists' version v1; another seed would be another version, because results carry the version


def parse_rule(text: str) -> str:
    """Return a reference rule in its one spelling: "L1" becomes "level:1".

    Raises ValueError saying what is possible.
    """
    text = text.strip()
    if text in PLAIN_RULES:
        return text
    if match := re.fullmatch(r"(?:L|level:)0*([1-9]\d{0,3})", text):
        return f"level:{match[1]}"
    if match := re.fullmatch(r"random:(\d{1,18})", text):
        return f"random:{int(match[1])}"
    raise ValueError("a rule is one of all, first, list, lr, none, L1, level:K, random:SEED")


def choose(rule: str, pair: RefPair, dataset: str) -> tuple[ImageSource, ...]:
    """Return a pair's references under a rule that reads files (not "lr", not "none"), in order.

    Raises BenchError naming the pair when it has none that fit, Misuse when a shipped list does not fit the data set.
    """
    if not pair.refs:
        raise BenchError(
            f"Pair '{pair.id}' of {dataset} has no reference images, but the reference rule is '{rule}'. "
            "Take the low-resolution image itself with --refs lr, or none with --refs none."
        )
    kind, _, value = rule.partition(":")
    if kind == "all":
        return pair.refs
    if kind == "first":
        return pair.refs[:1]
    if kind == "level":
        return _of_level(int(value), pair, dataset)
    candidates = _other_than_hr(pair, dataset)
    if kind == "random":
        return (candidates[draw(f"{value}|{dataset}|{pair.id}", len(candidates))],)
    return (_from_list(pair, dataset),)


def draw(key: str, n: int) -> int:
    """Draw a number in 0..n-1 from SHA-256 of ``key``: the same on every machine, Python and library version."""
    # 256 bits modulo a few hundred: the bias is below 1e-60.
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big") % n


def _of_level(level: int, pair: RefPair, dataset: str) -> tuple[ImageSource, ...]:
    found = tuple(ref for ref in pair.refs if ref.level == level)
    if not found:
        levels = sorted({ref.level for ref in pair.refs if ref.level is not None})
        have = f"only levels {', '.join(map(str, levels))}" if levels else "no similarity levels; try --refs first"
        raise BenchError(f"Pair '{pair.id}' of {dataset} has no reference of level {level}; it has {have}.")
    return found[:1]


def _other_than_hr(pair: RefPair, dataset: str) -> tuple[ImageSource, ...]:
    """Return the references that are not the HR file itself (a data set may offer every page to every other)."""
    others = tuple(ref for ref in pair.refs if ref.path is None or ref.path != pair.hr.path)
    if not others:
        raise BenchError(f"Pair '{pair.id}' of {dataset} has no reference but its own HR image ({pair.hr.name}).")
    return others


def _from_list(pair: RefPair, dataset: str) -> ImageSource:
    """Choose by list.

    Sun80: the index-th of 20. Manga109: the index-th of the 109 names in sorted order, HR's own included.
    """
    if dataset not in LISTS:
        raise Misuse(
            f"There is no fixed reference list for '{dataset}' (there is one for {', '.join(LISTS)}). "
            "Use --refs random:SEED, first or all."
        )
    indices = read_list(dataset)
    if dataset == "sun80":
        pool, position = list(pair.refs), pair.position or 0
        fits = len(pool) == LISTS[dataset][1] and 1 <= position <= len(indices)
    else:
        # The list counts all 109 pages in the order of their names, the input's own among them.
        by_name = {ref.name: ref for ref in (*pair.refs, pair.hr)}
        names = sorted(by_name)
        pool, position = [by_name[name] for name in names], names.index(pair.hr.name) + 1
        fits = len(pool) == len(indices)
    if not fits:
        raise Misuse(
            f"The fixed reference list of {dataset} ({len(indices)} images, index up to {LISTS[dataset][1]}) does not "
            f"fit pair '{pair.id}', number {position or 'unknown'} with {len(pool)} candidates. Use --refs random:SEED."
        )
    return pool[indices[position - 1] - 1]


@cache
def read_list(dataset: str) -> tuple[int, ...]:
    """Read the 1-based indices shipped for a data set, one per image; lines with # are comments."""
    text = files("refsr_bench.protocols").joinpath("lists", f"{dataset}.txt").read_text(encoding="utf-8")
    return tuple(int(line) for line in text.splitlines() if line and not line.startswith("#"))


def make_list(dataset: str) -> tuple[int, ...]:
    """Draw the list again; the shipped files hold exactly this.

    Sun80: an independent draw of 1..20 for each of 80 images. Manga109: shuffles of 1..109 (Fisher-Yates) until none
    stays in its place, so no page is its own reference and every page serves once.
    """
    count, largest = LISTS[dataset]
    if dataset == "sun80":
        return tuple(1 + draw(f"{dataset}|{LIST_SEED}|{position}", largest) for position in range(1, count + 1))
    attempt = 0
    while True:
        order = list(range(1, count + 1))
        for last in range(count - 1, 0, -1):
            other = draw(f"{dataset}|{LIST_SEED}|{attempt}|{last}", last + 1)
            order[last], order[other] = order[other], order[last]
        if all(index != place for place, index in enumerate(order, 1)):
            return tuple(order)
        attempt += 1


def stack(images: Sequence[Image]) -> Image:
    """Stack references of any size as TTSR's evaluation does.

    Each is placed at the top left of a black square of 500 pixels, or of their longest side if that is larger.
    """
    side = max(CANVAS["black-500"], *(max(image.shape[:2]) for image in images))
    return np.concatenate([pad_zero(image, side, side) for image in images])


CANVAS = {"black-500": 500, "replicate-512": 512}
"""Side of the square canvas each reference is put on before they are stacked."""


def stitch(images: Sequence[Image], names: Sequence[str], how: str, pair_id: str) -> Image:
    """Join several references into one tall image: each on its own square canvas, stacked top to bottom.

    "black-500": top left on black; "replicate-512": centred, border pixels repeated. Raises BenchError naming a
    reference that is larger than the canvas, because shrinking or cutting it would be a convention that nobody
    published.
    """
    side = CANVAS[how]
    canvases = []
    for image, name in zip(images, names, strict=True):
        if max(image.shape[:2]) > side:
            raise BenchError(
                f"Reference '{name}' of pair '{pair_id}' is {image.shape[1]}x{image.shape[0]}, larger than the "
                f"{side}x{side} canvas of stitch={how}. Use --set stitch=none, or one reference with --refs first."
            )
        canvases.append(
            pad_zero(image, side, side) if how == "black-500" else pad_replicate_centred(image, side, side)[0]
        )
    return np.concatenate(canvases, axis=0)
