"""The processes that train together: one, or many under ``torchrun`` or ``accelerate launch``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Parallel:
    """The processes that train together.

    processes: their number. process: the number of this one, from 0. sum: adds up a tensor over all of them. autocast:
    the context in which networks run.
    """

    processes: int = 1
    process: int = 0
    sum: Callable[[Tensor], Tensor] = lambda tensor: tensor
    autocast: Callable[[], AbstractContextManager] = nullcontext
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


ALONE = Parallel()


def parallel_of(precision: str, device: str) -> Parallel:
    """Describe this process and its siblings as Accelerate finds them.

    precision: of the networks, ``float32`` or ``bfloat16``. device: ``auto`` or ``cpu``.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if precision == "bfloat16" else "no")
    return Parallel(
        processes=accelerator.num_processes,
        process=accelerator.process_index,
        sum=lambda tensor: accelerator.reduce(tensor, "sum"),
        autocast=accelerator.autocast,
        device=accelerator.device,
    )
