"""C2-Matching as a method of the benchmark: cards, weights, and the way from uint8 images to tensors and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from c2matching.bundle import BUNDLED, HOME, import_official, load_bundle, load_official
from refsr_bench.core.cards import LoadedMethod, MethodCard, WeightsFile
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Arithmetic, Weights
from refsr_bench.core.types import Correspondence, Image, Prediction

if TYPE_CHECKING:
    from torch import Tensor

    from c2matching.nets.model import C2Matching

MATCHING = ("exact", "half", "coarse")
MIN_SIDE = 3  # matching compares 3x3 patches of maps at LR resolution


def check_sizes(lr: Image, refs: Sequence[Image]) -> None:
    """Raise BenchError when an image is too small for 3x3 patches of descriptors."""
    for name, image, least in (("LR image", lr, MIN_SIDE), *(("reference", ref, 4 * MIN_SIDE) for ref in refs)):
        height, width = image.shape[:2]
        if min(height, width) < least:
            raise BenchError(
                f"The {name} has {width}x{height} pixels; C2-Matching needs an LR image of at least "
                f"{MIN_SIDE}x{MIN_SIDE} and references of at least {4 * MIN_SIDE}x{4 * MIN_SIDE} pixels."
            )


def upscale(model: C2Matching, device: str, lr: Image, refs: Sequence[Image], scale: int) -> Image:
    """The adapter: PIL-bicubic x4 LR for the extractor, sides cut to multiples of 4, [0, 1], clamp, round half to even.

    Of several references each patch uses the best match among all. Raises BenchError when an image is too small to be
    matched or the scale is not 4.
    """
    import torch

    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.colour import quantise
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.resize import resize_pil_bicubic

    if scale != 4:
        raise BenchError(f"C2-Matching is an x4 method; scale {scale} was asked for.")
    check_sizes(lr, refs)
    height, width = lr.shape[:2]

    def tensor(image: Image) -> Tensor:
        return to_tensor(image)[None].to(device)

    inputs = tensor(lr), tensor(resize_pil_bicubic(lr, 4 * height, 4 * width)), [tensor(mod_crop(r, 4)) for r in refs]
    with torch.backends.cudnn.flags(allow_tf32=False):  # on a GPU too, the numbers of float32
        sr = model.upscale(*inputs)
    return quantise(sr[0].permute(1, 2, 0).cpu().numpy())


def match(model: C2Matching, device: str, lr: Image, ref: Image, scale: int) -> Correspondence:
    """Where the middle of every 3x3 patch of descriptors is found, from the images that ``upscale`` compares.

    Raises BenchError when an image is too small.
    """
    import torch

    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.resize import resize_pil_bicubic

    check_sizes(lr, [ref])
    enlarged = resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])
    inputs = [to_tensor(mod_crop(image, 4))[None].to(device) for image in (enlarged, ref)]
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        (found,) = model.correspondences(*inputs)
    return dataclasses.replace(matches_of(found.flow), confidence=found.similarity.cpu().numpy().reshape(-1))


def matches_of(flow: Tensor) -> Correspondence:
    """Displacements (h-2, w-2, 2), (x, y), in descriptors, to one reference as pixels: from the middle of every patch.

    A descriptor covers 4x4 pixels, its middle lies at 4n + 1.5; a patch is named by its top-left descriptor.
    """
    import numpy as np

    displacement = flow.cpu().numpy()
    y, x = np.mgrid[: displacement.shape[0], : displacement.shape[1]]
    points = (4 * np.stack((x, y), axis=-1) + 5.5).astype(np.float32)
    return Correspondence(points.reshape(-1, 2), (points + 4 * displacement).reshape(-1, 2))


def predict(model: C2Matching, device: str, lr: Image, refs: Sequence[Image], scale: int) -> Prediction:
    """``upscale`` in the form of a method."""
    return Prediction(upscale(model, device, lr, refs, scale))


def _weights(path: Path, files: Sequence[Path]) -> Weights:
    from refsr_bench.learning.checkpoints import read_metadata, sha256

    if not files:
        return Weights("synthetic", "synthetic", None)
    metadata = read_metadata(path)
    if path == BUNDLED:
        return Weights("bundled", f"bundled {path.stem}", sha256(*files))
    return Weights("own" if "training" in metadata else "authors", metadata.get("name", path.name), sha256(*files))


def load(
    weights: Path | None, device: str, name: str = "c2matching", matching: str = MATCHING[0]
) -> LoadedMethod:
    """weights: None (what was imported for the method, else the bundled file), one of ours (``.safetensors``), the
    authors' restoration ``.pth``, or ``synthetic``. matching: of ``MATCHING``, see ``correspondence.correspond``."""
    from refsr_bench.learning.checkpoints import SYNTHETIC, synthetic, weights_folder

    imported = weights_folder() / f"{name}.safetensors"
    path = weights or (imported if imported.is_file() else BUNDLED if name == "c2matching" else None)
    if path is None:
        raise NoWeights(
            f"No GAN weights come with refsr-bench. Bring in the authors' files ({HOME}) with 'refsr-bench weights "
            f"import --method {name} FILES', or give one with --weights."
        )
    if path == SYNTHETIC:
        from c2matching.nets.model import C2Matching

        model, files = synthetic(C2Matching()), []
    elif path.suffix == ".safetensors":
        model, files = load_bundle(path), [path]
    else:
        model, files = load_official(path)
    model = model.eval().requires_grad_(False).to(device)
    model.matching = matching
    if device == "cpu":  # there convolutions are nearly twice as fast with channels last
        import torch

        model = model.to(memory_format=torch.channels_last)
    return LoadedMethod(
        predict=partial(predict, model, device),
        weights=_weights(path, files),
        parameters=sum(p.numel() for p in model.restoration.parameters()),
        variant="" if matching == MATCHING[0] else f"{matching} matching",
        options={} if matching == MATCHING[0] else {"matching": matching},
        arithmetic=Arithmetic("strips", "float32"),
        match=partial(match, model, device),
    )


_PAPER = "Jiang et al., Robust Reference-based Super-Resolution via C2-Matching, CVPR 2021"

def _files(restoration: str) -> tuple[WeightsFile, ...]:
    return (
        WeightsFile(restoration, HOME, "trained on CUFED5"),
        WeightsFile("feature_extraction.pth", HOME, "the student's extractors"),
        WeightsFile("vgg19-dcbb9e9d.pth", "https://download.pytorch.org/models", "torchvision's ImageNet VGG19"),
    )


METHODS = (
    MethodCard(
        name="c2matching",
        title="C²-Matching-rec",
        group="Ref-SR",
        references="many",
        gan=False,
        year=2021,
        paper=_PAPER,
        description="Contrastive correspondence, dynamic aggregation, restoration; reconstruction loss alone. "
        "Bundled weights: see c2matching/weights/MODEL_CARD.md.",
        load=load,
        matching=MATCHING,
        parameters=8_865_547,
        gmacs=1294.7,
        files=_files("c2_matching_restoration_mse.pth"),
        verified="golden vectors",
        importer=import_official,
    ),
    MethodCard(
        name="c2matching-gan",
        title="C²-Matching",
        group="Ref-SR",
        references="many",
        gan=True,
        year=2021,
        paper=_PAPER,
        description="The same network trained with perceptual and adversarial losses; needs the authors' weights.",
        load=partial(load, name="c2matching-gan"),
        matching=MATCHING,
        parameters=8_865_547,
        gmacs=1294.7,
        files=_files("c2_matching_restoration.pth"),
        verified="golden vectors",
        importer=import_official,
    ),
)
