"""The share of the possible gain that a method recovers from a changed reference.

0 is what the plain method reaches with an unrelated reference (the floor), 1 what the best of its family reaches with
the reference warped back by its true transformation (the ceiling). A family has the same code and weights; its
members differ in the views of the reference that they are given, and in the way they match.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from leaderboard.statistics.estimates import Estimate
from leaderboard.statistics.paired import limits, resamples
from refsr_bench.core.lists import grouped
from refsr_bench.core.schema import MethodInfo, MetricInfo, Result, Run
from refsr_bench.geometry.kinds import UNRELATED

SHARE = MetricInfo("share", "share", "higher", "", 2)
LEAST_GAIN = 0.05  # dB; a smaller possible gain is lost in what single images scatter, and its shares say nothing
VIEWS = "views"
VARYING = (VIEWS, "views_version", "matching")  # options of a method in which members of a family differ
TRUTH = "truth"  # the views of a ceiling

Series = tuple[str, str]  # as ``method_key`` gives it


@dataclass(frozen=True)
class Share:
    """One share. ceiling, floor: the series whose runs it was computed from."""

    estimate: Estimate
    ceiling: Series
    floor: Series


def psnr_by_image(result: Result) -> dict[str, float]:
    """Return the PSNR of the protocol's channel by image, for images that have it."""
    name = result.run.protocol.psnr
    return {image.id: image.metrics[name] for image in result.measured if name in image.metrics}


def is_ceiling(method: MethodInfo) -> bool:
    """Tell whether a method was given its references warped back by the truth."""
    return method.options.get(VIEWS) == TRUTH


def shares(runs: Mapping[Series, Mapping[str, Result]]) -> dict[tuple[Series, str], Share]:
    """Return the share of each series at each level where a floor and a ceiling were measured, by (series, level).

    runs: results on the same images under one protocol, by series and level. A share is the mean gain over the floor
    divided by the mean gain of the ceiling over the floor, of the images that all three have; its interval is a
    bootstrap over these images. A level is left out where the mean possible gain is below LEAST_GAIN; ceilings and
    unrelated references have no share.
    """
    families = {series: _family(next(iter(levels.values())).run) for series, levels in runs.items() if levels}
    methods = {series: next(iter(runs[series].values())).run.method for series in families}
    found = {}
    for members in grouped(families, families.__getitem__).values():
        floor = _floor([series for series in members if UNRELATED in runs[series]], methods)
        ceilings = [series for series in members if is_ceiling(methods[series])]
        if floor is None or not ceilings:
            continue
        lowest = psnr_by_image(runs[floor][UNRELATED])
        for series in members:
            for level, result in runs[series].items():
                ceiling = _ceiling([other for other in ceilings if level in runs[other]], level, runs)
                if ceiling is None or series in ceilings or level == UNRELATED:
                    continue
                highest = psnr_by_image(runs[ceiling][level])
                if estimate := share(psnr_by_image(result), highest, lowest):
                    found[series, level] = Share(estimate, ceiling, floor)
    return found


def share(own: Mapping[str, float], ceiling: Mapping[str, float], floor: Mapping[str, float]) -> Estimate | None:
    """Return the share of one method's PSNR by image, or None where too little is possible (LEAST_GAIN, dB).

    The interval ends at infinity when more than 2.5 % of the draws of images leave nothing to gain.
    """
    triples = [(own[i], ceiling[i], floor[i]) for i in ceiling if i in own and i in floor]
    triples = [triple for triple in triples if all(map(math.isfinite, triple))]
    if not triples:
        return None
    reached, highest, lowest = np.asarray(triples).T
    gained, possible = reached - lowest, highest - lowest
    if possible.mean() < LEAST_GAIN:
        return None
    images, mean = len(triples), float(gained.mean() / possible.mean())
    if images < 2:
        return Estimate(mean, math.nan, math.nan, images)
    weights = resamples(images)
    top, bottom = weights @ gained, weights @ possible
    beyond = np.where(top == 0, 0, np.copysign(np.inf, top))  # the limit as the possible gain goes to zero
    ratios = np.divide(top, bottom, out=beyond, where=bottom > 0)
    low, high = limits(ratios[None])
    return Estimate(mean, float(low[0]), float(high[0]), images)


def _family(run: Run) -> Hashable:
    """Return what the members of a family have in common: code, weights, the facts of the card, the other options."""
    method, code = run.method, run.code.key if run.code else ""
    others = sorted((name, value) for name, value in method.options.items() if name not in VARYING)
    return (code, method.weights.key, method.group, method.gan, method.year, method.paper, tuple(others))


def _floor(members: list[Series], methods: Mapping[Series, MethodInfo]) -> Series | None:
    """Return the plainest of the members: one without views if there is one, with the fewest options."""

    def plainness(series: Series) -> tuple:
        options = methods[series].options
        return (VIEWS in options, len(options), sorted(options.items()), series)

    return min(members, key=plainness, default=None)


def _ceiling(members: list[Series], level: str, runs: Mapping[Series, Mapping[str, Result]]) -> Series | None:
    """Return the member with the highest mean PSNR at a level, so that one ceiling serves the whole family."""

    def mean(series: Series) -> float:
        values = list(psnr_by_image(runs[series][level]).values())
        return math.fsum(values) / len(values) if values else -math.inf

    return max(members, key=mean, default=None)
