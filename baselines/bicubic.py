"""Bicubic interpolation, the floor of every table. It is Pillow's, which every Ref-SR codebase uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from refsr_bench.core.cards import LoadedMethod, MethodCard
from refsr_bench.core.errors import Misuse
from refsr_bench.core.schema import Arithmetic
from refsr_bench.core.types import Image, Prediction
from refsr_bench.pixels.resize import resize_pil_bicubic

BYTES = 16  # for each pixel of SR: of Pillow's image, its copy as an array, and the pass along rows


def upscale(lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
    """Enlarge by Pillow's bicubic (a = -0.5), rounded to the type of LR; references are ignored."""
    height, width = lr.shape[:2]
    return Prediction(resize_pil_bicubic(lr, height * scale, width * scale))


def load(weights: Path | None, device: str) -> LoadedMethod:
    if weights is not None:
        raise Misuse(f"bicubic has no weights; leave --weights {weights} out.")
    return LoadedMethod(upscale, arithmetic=Arithmetic("whole", "fixed point"), bytes_per_pixel=BYTES, deep=True)


METHODS = (
    MethodCard(
        name="bicubic",
        title="Bicubic",
        group="SISR",
        references="none",
        gan=False,
        year=1981,
        paper="Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 29(6), 1981",
        description="Bicubic interpolation of the LR image, as Pillow does it. No weights, no reference.",
        load=load,
    ),
)
