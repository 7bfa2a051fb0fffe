"""Multiply-accumulates of every method for one LR image: convolutions, products, attention, matching included.

    python benchmarks/gmacs.py            prints a line per method

PyTorch's own counter counts them, on tensors without values where a method runs on those. Matching looks at values, so
methods that match are counted on small images; the polynomial in the side through these counts gives 160x160. A
network's cost is of degree 2, that of matching of degree 4, and padding adds the odd degrees.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from c2matching.matching import patch_correlation, pruned
from refsr_bench.core import catalogue

SIDE = 160
ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which PyTorch does not count
SIDES = (32, 40, 48, 56, 64)


Restore = Callable[[torch.nn.Module, Tensor, Tensor, Sequence[Tensor]], Tensor]


def macs(restore: Restore, net: torch.nn.Module, side: int, refs: int) -> int:
    """The count for one LR image (side x side) and references of four times its size."""
    device = next(net.parameters()).device
    torch.manual_seed(0)
    images = torch.rand(2 + refs, 3, 4 * side, 4 * side, device=device)
    lr = torch.rand(1, 3, side, side, device=device)
    counter = FlopCounterMode(display=False, custom_mapping={ATTENTION: attention_flops})
    net.requires_grad_(False)  # with gradients enabled and none wanted, nothing is cut into strips that overlap
    with torch.enable_grad(), plain_matching(), counter:
        restore(net, lr, images[:1], [image[None] for image in images[2:]])
    return counter.get_total_flops() // 2


@contextmanager
def plain_matching() -> Iterator[None]:
    """Match in one tile, and without numba's loops, whose products nobody counts."""
    before = patch_correlation.TILE["cpu"], pruned.SMALLEST
    patch_correlation.TILE["cpu"], pruned.SMALLEST = 1 << 34, 1 << 62
    try:
        yield
    finally:
        patch_correlation.TILE["cpu"], pruned.SMALLEST = before


def attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


def gmacs(restore: Restore, net: torch.nn.Module, refs: int, sides: tuple[int, ...] = SIDES) -> float:
    """The count at SIDE, in billions."""
    try:
        return macs(restore, copy.deepcopy(net).to("meta"), SIDE, refs) / 1e9
    except (NotImplementedError, RuntimeError):
        pass
    counts = [macs(restore, net, side, refs) for side in sides]
    polynomial = np.polynomial.Polynomial.fit(np.array(sides, float), np.array(counts, float), len(sides) - 1)
    return float(polynomial(SIDE)) / 1e9


def main() -> None:
    from refsr_bench.formats.checkpoints import synthetic

    done: dict[int, float] = {}
    for card in catalogue.collect("METHODS").values():
        if card.system is None:
            continue
        if id(card.system) not in done:
            net = synthetic(card.system.build()).eval()
            done[id(card.system)] = gmacs(card.system.restore, net, card.references != "none")
        print(f"{card.name:<14} {done[id(card.system)]:10.1f}", flush=True)


if __name__ == "__main__":
    main()
