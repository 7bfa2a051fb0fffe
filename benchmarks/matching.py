"""Patch matching against the direct scheme (correlating unfolded 3x3 patches with conv2d), in one run.

    python benchmarks/matching.py 60x80 80x120

Prints seconds, their ratio and how many of the matches agree, on 256-channel maps of random unit descriptors.
"""

import sys
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.correspondence import NORM_EPS, match

CHUNK = 1 << 29  # correlations held at once by the direct scheme, as in the authors' description


def direct(features: Tensor, ref: Tensor) -> Tensor:
    """Index of the best reference patch by convolving the input with every normalised reference patch."""
    channels, h, w = features.shape
    patches = F.unfold(ref[None], 3)[0].T
    patches = (patches / (patches.norm(dim=1, keepdim=True) + NORM_EPS)).view(-1, channels, 3, 3)
    best, index = torch.full((h - 2, w - 2), -torch.inf), torch.zeros((h - 2, w - 2), dtype=torch.int64)
    step = CHUNK // (h * w)
    for start in range(0, len(patches), step):
        value, where = F.conv2d(features[None], patches[start : start + step])[0].max(0)
        better = value > best
        best, index = torch.where(better, value, best), torch.where(better, where + start, index)
    return index


@torch.inference_mode()
def main(sizes: list[str]) -> None:
    torch.manual_seed(0)
    for size in sizes:
        h, w = map(int, size.split("x"))
        features, ref = (F.normalize(torch.randn(256, h, w), dim=0) for _ in range(2))
        start = time.perf_counter()
        ours, _ = match(features, ref)
        middle = time.perf_counter()
        theirs = direct(features, ref)
        end = time.perf_counter()
        agree = (ours == theirs).float().mean().item()
        ratio = (end - middle) / (middle - start)
        times = f"{middle - start:.2f} s, direct {end - middle:.2f} s, {ratio:.1f} times"
        print(f"{size}: {times}, {agree:.2%} agree", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["60x80", "80x120"])
