"""The device and the number format that a network computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from refsr_bench.core.schema import NumberType

NUMBERS: tuple[NumberType, ...] = ("float32", "bfloat16", "float16")

T = TypeVar("T")


@dataclass(frozen=True)
class Hardware:
    """A device, in torch's name, and the number format of convolutions and products; all else stays float32."""

    device: str = "cpu"
    numbers: NumberType = "float32"

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients in this number format, for the block."""
        import torch

        kind = self.device.partition(":")[0]
        lower = nullcontext() if self.numbers == "float32" else torch.autocast(kind, getattr(torch, self.numbers))
        # With TF32 a GPU would round the inputs of convolutions and give other images than a CPU.
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False), lower:
            yield


def in_float32(function: Callable[..., T]) -> Callable[..., T]:
    """Make a function compute in float32 whatever its surroundings do; its first argument is a tensor, or holds one.

    Matches are the largest of many nearly equal numbers, which 16 bits cannot tell apart.
    """

    @wraps(function)
    def exactly(first: Any, *others: Any, **options: Any) -> T:
        import torch

        device = first.device if hasattr(first, "device") else others[0].device
        with torch.autocast(device.type, enabled=False):
            return function(*map(_float, (first, *others)), **options)

    return exactly


def _float(value: Any) -> Any:
    """Turn tensors of 16-bit numbers into float32; leave all else."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
    return [_float(each) for each in value] if isinstance(value, list) else value
