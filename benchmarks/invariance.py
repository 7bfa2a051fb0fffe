"""AEE of correspondence networks under rotation, scale and light, on photographs that none of them was trained on.

    python benchmarks/invariance.py --photos DIR [--limit N] paper=FILE robust=FILE ...

Every photo is cut to 160x160 about its middle; the reference is the photo itself turned or scaled about that middle, so
that the true correspondence is known. The files are compared with the same network with random weights, and with raw
pixels (each cell's 4x4, without their mean). AEE is in HR pixels, over all patches whose match lies inside.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from c2matching.nets.correspondence_network import ContrastiveExtractor
from c2matching.training.pairs import transform_points
from c2matching.training.prepare import read_extractors
from c2matching.training.stages import end_point_errors
from refsr_bench.learning.tensors import degrade, to_tensor
from refsr_bench.learning.training.prepare import kaiming
from refsr_bench.pixels.images import image_files, read_image

SIDE = 160
GROUPS = {
    "none": [(0, 1.0, 1.0)],
    "small": [(5, 1.0, 1.0), (-5, 1.1, 1.0), (0, 0.9, 0.9)],
    "medium": [(15, 1.0, 1.0), (0, 1.25, 1.0), (-15, 1.25, 1.0), (0, 0.8, 0.8)],
    "large": [(30, 1.0, 1.0), (0, 1.5, 1.0), (-30, 1.5, 1.0), (0, 0.67, 0.7)],
}  # (degrees, scale, gain) of the reference


def pair(photo: np.ndarray, degrees: float, scale: float, gain: float) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """HR and reference (160, 160, 3), and the place in the reference of pixel (4r, 4c) of HR, (40, 40, 2)."""
    top, left = ((n - SIDE) // 2 for n in photo.shape[:2])
    middle = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    there = np.vstack([cv2.getRotationMatrix2D(middle, degrees, scale), [0, 0, 1]])
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    ref = cv2.warpPerspective(photo, there @ shift, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    coordinates = torch.from_numpy(transform_points(there, SIDE, SIDE, step=4))
    return photo[top : top + SIDE, left : left + SIDE], np.rint((ref * gain).clip(0, 255)).astype(np.uint8), coordinates


def raw_pixels(lr_up: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """The 4x4 pixels of each cell as its descriptor, without their mean."""
    cells = (F.pixel_unshuffle(x, 4) for x in (lr_up, ref))
    return tuple(x - x.mean(1, keepdim=True) for x in cells)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("networks", nargs="*", metavar="NAME=FILE")
    options = parser.parse_args()
    torch.manual_seed(0)
    untrained = ContrastiveExtractor()
    kaiming(untrained.feature_extraction_image1)
    untrained.feature_extraction_image2.load_state_dict(untrained.feature_extraction_image1.state_dict())
    networks = {"raw pixels": raw_pixels, "random weights": untrained}
    for name, _, path in (network.partition("=") for network in options.networks):
        networks[name] = read_extractors(Path(path)).eval()
    photos = [read_image(path) for path in image_files(options.photos)]
    photos = [photo for photo in photos if min(photo.shape[:2]) >= SIDE][: options.limit]
    print(f"AEE, HR pixels, {len(photos)} photos\n\n| | {' | '.join(GROUPS)} |\n|{' --- |' * (len(GROUPS) + 1)}")
    for name, network in networks.items():
        cells = []
        for transforms in GROUPS.values():
            errors = []
            for photo in photos:
                for transform in transforms:
                    hr, ref, coordinates = pair(photo, *transform)
                    low, high = (to_tensor(image)[None] for image in (degrade(hr)[1], ref))
                    first, second = network(low, high)
                    error, inside = end_point_errors(first[0], second[0], coordinates, (SIDE, SIDE))
                    errors.append(error[inside].mean().item())
            cells.append(f"{np.mean(errors):.1f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
