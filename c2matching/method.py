"""C2-Matching as a method of the benchmark: cards, weights, and the way from uint8 images to tensors and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from refsr_bench.types import BenchError, Image, LoadedMethod, MethodCard, Misuse

if TYPE_CHECKING:
    from torch import Tensor

    from c2matching.model import C2Matching
    from c2matching.restoration import RestorationConfig

WEIGHTS = Path(__file__).parent / "weights"
BUNDLED = WEIGHTS / "c2matching-nano-v1.safetensors"
HOME = "https://github.com/yumingj/C2-Matching"
VGG19_URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"  # torchvision's ImageNet weights
MIN_SIDE = 3  # matching compares 3x3 patches of maps at LR resolution


def config_of(state: Mapping[str, Tensor]) -> RestorationConfig:
    """Read the sizes of a restoration network off its state dict. Raises KeyError when it is none."""
    from c2matching.restoration import RestorationConfig

    def count(body: str) -> int:
        return len({m[1] for key in state if (m := re.match(rf"{re.escape(body)}\.(\d+)\.", key))})

    bodies = ("content_extractor.body", *(f"dyn_agg_restore.body_{s}" for s in ("small", "medium", "large")))
    return RestorationConfig(
        channels=len(state["content_extractor.conv_first.weight"]),
        blocks=tuple(count(body) for body in bodies),  # type: ignore[arg-type]
        groups=len(state["dyn_agg_restore.large_dyn_agg.conv_offset_mask.bias"]) // 27,
        small_reference="dyn_agg_restore.small_dyn_agg.weight" in state,
    )


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _build(restoration: Mapping[str, Tensor], path: Path) -> C2Matching:
    from c2matching.model import C2Matching
    from refsr_bench.checkpoints import load_strict

    try:
        model = C2Matching(config_of(restoration))
    except (KeyError, TypeError):
        raise BenchError(f"{path} does not hold the weights of a C2-Matching restoration network.") from None
    load_strict(model.restoration, restoration, path, "a C2-Matching restoration network")
    return model


def load_bundle(path: Path) -> C2Matching:
    """One ``.safetensors`` file with ``restoration.*`` and ``extractor.*``, and ``vgg.*`` or, without it, the reference
    features of the extractor's branch 2, which has the shape of VGG19 up to conv3_1."""
    from c2matching.extractor import reference_features
    from refsr_bench.checkpoints import load_strict, read_weights

    state = read_weights(path)
    model = _build(_part(state, "restoration."), path)
    load_strict(model.extractor, _part(state, "extractor."), path, "the C2-Matching extractors")
    if vgg := _part(state, "vgg."):
        load_strict(model.vgg, vgg, path, "the reference features")
    else:
        model.vgg = reference_features(model.extractor.feature_extraction_image2, model.vgg.layers)
    return model


def _imagenet_vgg19(folder: Path) -> Path:
    """torchvision's VGG19 file: beside the authors' files, in torch's cache, or from its normal download."""
    from refsr_bench import checkpoints

    if found := sorted(folder.glob("vgg19*.pth")):
        return found[0]
    try:
        return checkpoints.fetch(VGG19_URL)
    except BenchError as error:
        raise BenchError(
            f"C2-Matching's own checkpoints need the ImageNet weights of VGG19. {error} Fetch {VGG19_URL} on a machine "
            f"with a connection and put it beside the checkpoint, in {folder}."
        ) from None


def load_official(path: Path) -> tuple[C2Matching, list[Path]]:
    """The authors' files: a restoration ``.pth``, with ``feature_extraction.pth`` and torchvision's VGG19 beside it.

    Returns the model and the three files. Raises BenchError or Misuse naming the file that is missing or does not fit.
    """
    from c2matching.vgg import from_torchvision
    from refsr_bench.checkpoints import load_strict, read_weights

    model = _build(read_weights(path), path)
    extractor = path.parent / "feature_extraction.pth"
    if not extractor.is_file():
        raise Misuse(f"{path.name} needs the authors' feature_extraction.pth beside it, in {path.parent} ({HOME}).")
    load_strict(model.extractor, read_weights(extractor), extractor, "the C2-Matching extractors")
    vgg_file = _imagenet_vgg19(path.parent)
    try:
        vgg = from_torchvision(read_weights(vgg_file), max(model.vgg.layers))
    except KeyError as error:
        raise BenchError(f"{vgg_file} does not hold torchvision's VGG19: it lacks {error}.") from None
    load_strict(model.vgg, {**model.vgg.state_dict(), **vgg}, vgg_file, "VGG19")
    return model, [path, extractor, vgg_file]


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

    from c2matching.pairs import to_tensor
    from refsr_bench.imaging import mod_crop, quantise, resize_pil_bicubic

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


def load(weights: Path | None, device: str, default: Path | None = BUNDLED) -> LoadedMethod:
    """weights: None (the bundled file), one of ours (``.safetensors``) or the authors' restoration ``.pth``."""
    from refsr_bench.checkpoints import sha256

    path = weights or default
    if path is None:
        raise Misuse(f"No GAN weights come with refsr-bench. Give the authors' file with --weights ({HOME}).")
    if path.suffix == ".safetensors":
        model, files = load_bundle(path), [path]
    else:
        model, files = load_official(path)
    model = model.eval().requires_grad_(False).to(device)
    return LoadedMethod(
        upscale=partial(upscale, model, device),
        weights=f"bundled {path.stem}" if path == BUNDLED else path.name,
        weights_sha256=sha256(*files),
        parameters=sum(p.numel() for p in model.restoration.parameters()),
    )


_PAPER = "Jiang et al., Robust Reference-based Super-Resolution via C2-Matching, CVPR 2021"

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
        load=partial(load, default=None),
    ),
)
