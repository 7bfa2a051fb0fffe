"""The gain of torch.compile on a CPU: extractor, reference features and residual blocks, plain and compiled in turn.

    python benchmarks/compiled.py          # 320x480 HR, the full network; needs a C++ compiler

Seconds are the best of five, without compilation. The rest of the network (matching, sampling) depends on values or
lies in operators that the compiler does not open.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from end_to_end import inputs, network

RUNS = 5


def best(functions: list[Callable[[], object]]) -> list[float]:
    """The seconds of each, the best of RUNS, taken in turn."""
    seconds = [float("inf")] * len(functions)
    for _ in range(RUNS):
        for n, function in enumerate(functions):
            start = time.perf_counter()
            function()
            seconds[n] = min(seconds[n], time.perf_counter() - start)
    return seconds


def main() -> None:
    model = network().to(memory_format=torch.channels_last)
    lr, lr_up, ref = (image.contiguous(memory_format=torch.channels_last) for image in inputs(320, 480))
    restoration = model.restoration.dyn_agg_restore
    x = torch.rand(1, 64, 320, 480).contiguous(memory_format=torch.channels_last)
    parts = {
        "extractor, branch 1": (model.extractor.feature_extraction_image1, lr_up),
        "reference features": (model.vgg, ref),
        "16 residual blocks at 320x480": (restoration.body_large, x),
        "content extractor at 80x120": (model.restoration.content_extractor, lr),
    }
    print("| | plain, s | compiled, s | times | compilation, s | largest difference |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (module, image) in parts.items():
        compiled = torch.compile(module, dynamic=False)
        with torch.inference_mode():
            start = time.perf_counter()
            first = compiled(image)
            took = time.perf_counter() - start
            plain = module(image)
            pairs = [(first[k], plain[k]) for k in plain] if isinstance(plain, dict) else [(first, plain)]
            difference = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
            seconds = best([lambda: module(image), lambda: compiled(image)])  # noqa: B023
        cells = f"{seconds[0]:.3f} | {seconds[1]:.3f} | {seconds[0] / seconds[1]:.2f} | {took:.0f} | {difference:.0e}"
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
