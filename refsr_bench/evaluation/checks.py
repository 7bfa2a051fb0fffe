"""Checks before a run starts whether the method can take the references, and whether they give the answer away."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence

from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.schema import LEAST_LR_PSNR, NO_LEAK, MethodInfo
from refsr_bench.core.schema import Leak as LeakInfo
from refsr_bench.core.types import Dataset, Image, RefPair
from refsr_bench.data.leaks import BY_CONSTRUCTION, Leak, describe, find_leaks
from refsr_bench.metrics.psnr import psnr
from refsr_bench.pixels.colour import eight_bits
from refsr_bench.pixels.resize import resize_pil_bicubic
from refsr_bench.protocols.base import Protocol

log = logging.getLogger(__name__)

MOST_LR_PSNR = 100.0  # dB, for an SR image that scales down to LR exactly


def lr_psnr(sr: Image, lr: Image) -> float:
    """Return PSNR in dB, at most 100, of SR scaled down to LR's size against LR; both uint8 or uint16 H x W x 3.

    Weights do not tell everything that a network depends on, the range of its values for one. A guess that is wrong
    shows here: SR is another image then.
    """
    sr, lr = eight_bits(sr), eight_bits(lr)
    found = psnr(resize_pil_bicubic(sr, *lr.shape[:2]), lr, "rgb", 0)
    return min(found, MOST_LR_PSNR)


def tell_unlike(name: str, *likenesses: float) -> None:
    """Say so when SR images, scaled down, are other images than LR. likenesses: of each image, see ``lr_psnr``."""
    if unlike := [likeness for likeness in likenesses if likeness < LEAST_LR_PSNR]:
        log.warning(
            "%s: %d of %d SR images are not like LR when they are scaled down (%.1f dB; %.0f are expected). "
            "The file does not tell all that its network depends on. What was assumed seems wrong: do not trust it.",
            *(name, len(unlike), len(likenesses), min(unlike), LEAST_LR_PSNR),
        )


def must_stack(info: MethodInfo, protocol: Protocol, dataset: Dataset, pairs: Sequence[RefPair]) -> bool:
    """Tell whether the protocol gives several references, unstitched, to a method that takes one."""
    if info.references != "one" or protocol.stitch != "none" or protocol.rule_for(dataset.name) != "all":
        return False
    return any(len(pair.refs) > 1 for pair in pairs)


def leaks_of(dataset: Dataset, protocol: Protocol, pairs: Sequence[RefPair]) -> Iterator[Leak]:
    """Return the references that the protocol chooses and that are their pair's HR image or a near duplicate of it.

    A pair that cannot be read or has no reference to choose is skipped; the run itself records why it failed. Raises
    Misuse when the protocol's rule does not fit the data set at all.
    """
    for pair in pairs:
        try:
            chosen = dataclasses.replace(pair, refs=protocol.references(pair, dataset.name))
            yield from find_leaks([chosen])
        except Misuse:
            raise
        except BenchError:
            continue


def refuse_leaks(
    dataset: Dataset, protocol: Protocol, pairs: Sequence[RefPair], allow: bool
) -> dict[str, LeakInfo]:
    """Look for leaks among the chosen references and return the leaks by pair id. Raises Misuse unless allowed."""
    if dataset.leak == "by construction":
        if allow:
            return {}  # every record says "by construction" anyway
        instead = command("robustness", "--transform", "given", "--dataset", dataset.name, "--data-root", "FOLDER")
        raise Misuse(
            f"{dataset.name} has {BY_CONSTRUCTION}. Measure on it with `{instead}`, or give --allow-leaks, which the "
            "results will state."
        )
    leaks = list(leaks_of(dataset, protocol, pairs))
    if leaks and not allow:
        raise Misuse(
            f"{dataset.name} under {protocol.label} shows the answer to the method: {describe(leaks)}. "
            "Choose other references with --refs, or give --allow-leaks."
        )
    found = {leak.pair_id: LeakInfo(leak.kind, leak.correlation) for leak in leaks}
    return {pair.id: found.get(pair.id, NO_LEAK) for pair in pairs}
