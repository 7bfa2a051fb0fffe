"""Patch matching: ours against the direct scheme of the authors, growth with size, and coarse-to-fine recall.

    python benchmarks/matching.py sizes      # 256-channel maps of 60x80, 80x120, 120x160, against the direct scheme
    python benchmarks/matching.py growth     # a map of 80x120 with references of up to 12 megapixels

"exact" is the default of ``match``, "unpruned" leaves out the bounds. Maps are random unit descriptors ("random")
or descriptors of photographs by the bundled network ("photos": scikit-image's stereo pair). Every scheme runs in a
process of its own; seconds are the best of three, and memory is counted beyond the inputs.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
from apart import apart, measure
from direct import direct_match
from torch import Tensor

from c2matching.matching.coarse import match_coarse
from c2matching.matching.patch_correlation import match

SIZES = ("60x80", "80x120", "120x160")
WARM = 50  # the side of maps that are matched first, large enough for all that large ones need
SCHEMES = {"direct": direct_match, "exact": match, "unpruned": lambda a, b: match(a, b, prune=False),
           "half": lambda a, b: match(a, b, precision="half"),
           "coarse": match_coarse}  # fmt: skip


def maps(kind: str, size: str, ref_size: str) -> tuple[Tensor, Tensor]:
    (h, w), (ref_h, ref_w) = (map(int, s.split("x")) for s in (size, ref_size))
    torch.manual_seed(0)
    if kind == "random":
        return tuple(F.normalize(torch.randn(256, *s), dim=0) for s in ((h, w), (ref_h, ref_w)))
    from skimage import data

    from c2matching.checkpoints import BUNDLED
    from c2matching.nets.strips import in_strips
    from c2matching.training.prepare import read_extractors
    from refsr_bench.learning.tensors import degrade, to_tensor
    from refsr_bench.pixels.resize import resize_pil_bicubic

    left, right, _ = data.stereo_motorcycle()
    image, ref = (resize_pil_bicubic(photo, 4 * h, 4 * w) for photo in (left, right))
    if (ref_h, ref_w) != (h, w):  # the true reference at the same scale, in a mosaic of other photos
        others = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), data.immunohistochemistry()]
        tiles = [resize_pil_bicubic(photo, 400, 500) for photo in others]
        rows = [np.concatenate([tiles[(3 * y + x) % 5] for x in range(-(-ref_w // 125))], 1)
                for y in range(-(-ref_h // 100))]  # fmt: skip
        mosaic = np.concatenate(rows)[: 4 * ref_h, : 4 * ref_w]
        top, left = (mosaic.shape[0] - 4 * h) // 2, (mosaic.shape[1] - 4 * w) // 2
        mosaic[top : top + 4 * h, left : left + 4 * w] = ref
        ref = mosaic
    net = read_extractors(BUNDLED).requires_grad_(False)
    inputs = ((net.feature_extraction_image1, degrade(image)[1]), (net.feature_extraction_image2, ref))
    return tuple(
        F.normalize(in_strips(f, to_tensor(i)[None])[0], dim=0)
        for f, i in inputs
    )


@torch.inference_mode()
def one(scheme: str, kind: str, size: str, ref_size: str, times: str, found_at: str) -> None:
    inputs = maps(kind, size, ref_size)
    SCHEMES[scheme](*(x[:, :WARM, :WARM].contiguous() for x in inputs))  # libraries are loaded, loops compiled
    result: list = []
    values = measure(lambda: result.append(SCHEMES[scheme](*inputs)), int(times))
    torch.save(result[-1], found_at)
    print(json.dumps(values))


def run(scheme: str, kind: str, size: str, ref_size: str, times: int = 3) -> tuple[dict, Tensor, Tensor]:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".pt") as file:
        values = apart(__file__, "one", scheme, kind, size, ref_size, str(times), file.name)
        return values, *torch.load(file.name)


def sizes() -> None:
    print("| maps | size | scheme | s | times faster | MiB | of direct | same match | cosine lost |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("random", "photos"):
        for size in SIZES:
            direct, index, cosine = run("direct", kind, size, size)
            cells = f"{direct['seconds']:.2f} | 1 | {direct['mib']:.0f} | 1 | | |"
            print(f"| {kind} | {size} | direct | {cells}", flush=True)
            for scheme in ("exact", "unpruned", "half", "coarse"):
                ours, found, value = run(scheme, kind, size, size)
                ratio, memory = direct["seconds"] / ours["seconds"], ours["mib"] / direct["mib"]
                same, lost = (found == index).float().mean(), (cosine - value).mean()
                print(
                    f"| {kind} | {size} | {scheme} | {ours['seconds']:.2f} | {ratio:.1f} | "
                    f"{ours['mib']:.0f} | {memory:.2f} | {same:.2%} | {lost:.1e} |",
                    flush=True,
                )


def growth() -> None:
    print("| reference | megapixels | exact, s | MiB | coarse, s | MiB | same match | within a cell | cosine lost |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for ref_size in ("80x120", "150x200", "300x400", "750x1000"):
        exact, index, cosine = run("exact", "photos", "80x120", ref_size, 1)
        coarse, found, value = run("coarse", "photos", "80x120", ref_size, 1)
        h, w = map(int, ref_size.split("x"))
        cols = w - 2
        apart_by = (index // cols - found // cols).abs().maximum((index % cols - found % cols).abs())
        print(
            f"| {ref_size} | {16 * h * w / 1e6:.1f} | {exact['seconds']:.1f} | {exact['mib']:.0f} | "
            f"{coarse['seconds']:.1f} | {coarse['mib']:.0f} | {(index == found).float().mean():.1%} | "
            f"{(apart_by <= 1).float().mean():.1%} | {(cosine - value).mean():.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*sys.argv[2:])
    else:
        for part in sys.argv[1:] or ["sizes", "growth"]:
            {"sizes": sizes, "growth": growth}[part]()
