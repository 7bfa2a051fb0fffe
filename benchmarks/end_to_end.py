"""C2-Matching from LR to SR: ours against the authors' scheme with the same weights, and deformable convolution alone.

    python benchmarks/end_to_end.py          # 320x480 HR, the full network (8.9 M parameters, random weights)

The authors' scheme is direct correlation of patches and torchvision's deformable convolution, all rows at once. Each
runs in its own process; seconds are the best of three, and memory is counted beyond weights and inputs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from apart import apart, measure
from direct import direct_upscale
from torch import Tensor

from c2matching.checkpoints import BUNDLED
from c2matching.nets.model import C2Matching
from c2matching.training.prepare import read_extractors, wake
from refsr_bench.learning import deform
from refsr_bench.learning.training.prepare import kaiming


def inputs(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """A photograph and a shifted part of it as its reference."""
    from skimage import data

    from refsr_bench.learning.tensors import degrade, to_tensor
    from refsr_bench.pixels.resize import resize_pil_bicubic

    photo = resize_pil_bicubic(data.stereo_motorcycle()[0], height + 16, width + 24)
    hr, ref = photo[:height, :width], photo[16:, 24:]
    return tuple(to_tensor(image)[None] for image in (*degrade(hr), ref))


def network() -> C2Matching:
    """The full network: random weights with which the output varies and offsets are predicted; bundled extractors."""
    torch.manual_seed(0)
    model = C2Matching().eval().requires_grad_(False)
    wake(model.restoration)
    kaiming(model.vgg)
    model.extractor = read_extractors(BUNDLED).eval().requires_grad_(False)
    for name, module in model.restoration.named_modules():
        if name.endswith("conv_offset_mask"):
            torch.nn.init.normal_(module.weight, 0, 0.02)
    return model


def one(scheme: str, size: str, found_at: str) -> None:
    height, width = map(int, size.split("x"))
    model, images, result = network(), inputs(height, width), []
    if scheme == "ours":
        model = model.to(memory_format=torch.channels_last)
        upscale = model.upscale
    else:
        upscale = lambda *images: direct_upscale(model, *images)  # noqa: E731
    upscale(*inputs(208, 208))  # libraries are loaded, threads started
    values = measure(lambda: result.append(upscale(*images)), 3)
    torch.save(result[-1].clone(), found_at)
    print(json.dumps(values))


def main(size: str) -> None:
    rows, images = {}, {}
    for scheme in ("authors' scheme", "ours"):
        with tempfile.NamedTemporaryFile(suffix=".pt") as file:
            rows[scheme] = apart(__file__, "one", scheme, size, file.name)
            images[scheme] = torch.load(file.name)
    theirs, ours = rows.values()
    difference = (images["ours"] - images["authors' scheme"]).abs().max()
    print(f"| {size} HR | s | MiB |\n| --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['seconds']:.2f} | {row['mib']:.0f} |")
    print(f"| ratio | {theirs['seconds'] / ours['seconds']:.1f} | {ours['mib'] / theirs['mib']:.2f} |")
    span = images["ours"].max() - images["ours"].min()
    print(f"\nlargest difference of the outputs, whose values span {span:.1f}: {difference:.1e}\n")
    print("| deformable convolution | torchvision, s | grid, s | times | gradients: torchvision, s | grid, s | times |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for channels, factor in ((256, 1), (128, 2), (64, 4)):
        h, w = (int(n) // 4 * factor for n in size.split("x"))
        print(f"| {channels} x {h} x {w} | {deformable(channels, h, w, factor)} |", flush=True)


def deformable(channels: int, h: int, w: int, factor: int) -> str:
    ref, bias = torch.randn(1, channels, h, w), torch.zeros(channels)
    weight = torch.randn(channels, channels, 3, 3) / 48
    flow = F.interpolate(torch.randint(-9, 9, (1, 18, 10, 15)).float() * factor, (h, w))
    offset, mask = flow.repeat(1, 8, 1, 1) + torch.randn(1, 144, h, w), torch.rand(1, 72, h, w)
    cells = []
    for gradients in (False, True):
        seconds = []
        for sample in (deform.sample_by_torchvision, deform.sample_by_grid):
            leaves = [t.clone().requires_grad_(gradients) for t in (offset, mask, weight, bias)]
            best = float("inf")
            for _ in range(3):
                start = time.perf_counter()
                with torch.set_grad_enabled(gradients):
                    out = sample(ref, *leaves)
                    if gradients:
                        out.sum().backward()
                best = min(best, time.perf_counter() - start)
            seconds.append(best)
        cells += [f"{seconds[0]:.2f}", f"{seconds[1]:.2f}", f"{seconds[0] / seconds[1]:.1f}"]
    return " | ".join(cells)


if __name__ == "__main__":
    one(*sys.argv[2:]) if sys.argv[1:2] == ["one"] else main(*(sys.argv[1:] or ["320x480"]))
