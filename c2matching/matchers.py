"""Matchers made of C2-Matching's parts: its student and its teacher, VGG features, and raw pixels.

All compare 3x3 patches of descriptors, one descriptor per 4x4 pixels, and return the best match of every patch. Even a
right match may therefore be off by half a descriptor (2 pixels) along either axis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from c2matching.checkpoints import BUNDLED
from c2matching.method import METHODS, MIN_SIDE, SYSTEM, matches_of
from refsr_bench.core.cards import LoadedMatcher, MatcherCard
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Weights
from refsr_bench.core.types import Correspondence, Image
from refsr_bench.matchers._inputs import enlarged

if TYPE_CHECKING:
    from torch import Tensor

    from c2matching.nets.correspondence_network import ContrastiveExtractor

    Describe = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def by_patches(describe: Describe, device: str, descriptors: bool, lr: Image, ref: Image, scale: int) -> Correspondence:
    """Match 3x3 patches of the maps that ``describe`` makes of both images, (1, C, H/4, W/4) each.

    describe: takes both images, (1, 3, H, W) RGB in [0, 1]. descriptors: True normalises every descriptor before its
    patch, as the student does (Eq. 4); False normalises patches alone, as SRNTT does. lr, ref: uint8 H x W x 3.
    Raises BenchError when an image is smaller than a patch.
    """
    import torch
    import torch.nn.functional as F

    from c2matching.matching.patch_correlation import match as match_patches
    from c2matching.matching.patches import index_to_flow
    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.crop import mod_crop

    images = [mod_crop(image, 4) for image in (enlarged(lr, scale), ref)]
    if min(side for image in images for side in image.shape[:2]) < 4 * MIN_SIDE:
        sizes = " and ".join(f"{image.shape[1]}x{image.shape[0]}" for image in images)
        raise BenchError(f"Images of {sizes} pixels are too small for patches of {4 * MIN_SIDE} pixels.")
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        maps = [m[0] for m in describe(*(to_tensor(image)[None].to(device) for image in images))]
        if descriptors:
            maps = [F.normalize(m, dim=0) for m in maps]
        index, _ = match_patches(*maps)
        return matches_of(index_to_flow(index, maps[1].shape[2] - 2))


# -- the student and the teacher -----------------------------------------------------------------------------------


def load_student(weights: Path | None, device: str) -> LoadedMatcher:
    """Load the student, from the same weights as the method c2matching."""
    loaded = METHODS[0].load(weights, device)
    return LoadedMatcher(loaded.match, loaded.weights)


def load_teacher(weights: Path | None, device: str) -> LoadedMatcher:
    """Load the teacher, which sees the HR image itself (``oracle``). weights: a file of ``refsr-bench train``.

    Raises NoWeights without one.
    """
    from c2matching.training.prepare import read_extractors
    from refsr_bench.formats.checkpoints import read_metadata, sha256

    if weights is None:
        raise NoWeights("No teacher comes with refsr-bench: give one that was trained, --weights teacher=FILE.")
    network: ContrastiveExtractor = read_extractors(weights).eval().requires_grad_(False).to(device)
    match = partial(by_patches, network, device, True)
    name = read_metadata(weights).get("name", weights.name)
    return LoadedMatcher(match, Weights("own", name, sha256(weights)), oracle=True)


# -- VGG features, as SRNTT matches --------------------------------------------------------------------------------


def blurred(ref: Tensor) -> Tensor:
    """Blur a reference (1, 3, H, W) like enlarged LR: reduce it x4 and enlarge it again, antialiased bicubic.

    Nothing is rounded to 8 bits on the way, unlike in ``learning.tensors.down_up``.
    """
    import torch.nn.functional as F

    height, width = ref.shape[2:]
    small = F.interpolate(ref, (height // 4, width // 4), mode="bicubic", antialias=True)
    return F.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def load_vgg(weights: Path | None, device: str) -> LoadedMatcher:
    """Load SRNTT's matcher: relu3_1 of the enlarged LR image against that of the equally blurred reference.

    weights: torchvision's ImageNet VGG19 (or VGG16, whose layers are the same so far). None takes branch 2 of the
    bundled extractor, which has VGG's shape but was trained for matching; the variant says so.
    """
    from c2matching.nets.correspondence_network import reference_features
    from c2matching.nets.strips import in_strips
    from refsr_bench.formats.checkpoints import load_strict, read_weights, sha256
    from refsr_bench.learning.vgg import VGG19Features, from_torchvision
    from refsr_bench.learning.weights import read

    layer = "relu3_1"
    if weights is None:
        extractor = read(SYSTEM, METHODS[0].name, [BUNDLED]).net.extractor
        vgg = reference_features(extractor.feature_extraction_image2, (layer,))
        about, variant = Weights("bundled", f"bundled {BUNDLED.stem}", sha256(BUNDLED)), "not ImageNet"
    else:
        vgg = VGG19Features((layer,))
        try:
            renamed = from_torchvision(read_weights(weights), layer)
        except KeyError as error:
            raise BenchError(f"{weights} does not hold torchvision's VGG: it lacks {error}.") from None
        load_strict(vgg, {**vgg.state_dict(), **renamed}, weights, "VGG19")
        about, variant = Weights("authors", weights.name, sha256(weights)), ""
    vgg = vgg.eval().requires_grad_(False).to(device)

    def describe(image: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        image, ref = (in_strips(vgg, x)[layer] for x in (image, blurred(ref)))
        return image, ref

    return LoadedMatcher(partial(by_patches, describe, device, False), about, variant)


# -- raw pixels ----------------------------------------------------------------------------------------------------


def pixels(image: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
    """Describe each cell by its 4x4 pixels, less the mean colour of the 12x12 around it: (1, 48, H/4, W/4) each."""
    import torch.nn.functional as F

    def cells(x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x, 4)
        mean = F.avg_pool2d(F.pad(mean, (1, 1, 1, 1), mode="replicate"), 3, 1)
        return F.pixel_unshuffle(x - F.interpolate(mean, scale_factor=4.0), 4)

    return cells(image), cells(blurred(ref))


def load_pixels(weights: Path | None, device: str) -> LoadedMatcher:
    """Load the matcher of raw 12x12 pixel patches, at stride 4, against the equally blurred reference."""
    if weights is not None:
        raise BenchError(f"{weights}: this matcher has no weights to load.")
    return LoadedMatcher(partial(by_patches, pixels, device, False))


MATCHERS = (
    MatcherCard(
        name="student",
        title="C²-Matching student",
        year=2021,
        paper=METHODS[0].paper,
        description="The contrastive correspondence network on enlarged LR and HR reference, as C²-Matching uses it.",
        load=load_student,
    ),
    MatcherCard(
        name="teacher",
        title="C²-Matching teacher (sees HR)",
        year=2021,
        paper=METHODS[0].paper,
        description="The same network as trained on two HR images; it is given the HR image, so it is an upper bound.",
        load=load_teacher,
    ),
    MatcherCard(
        name="vgg",
        title="VGG features",
        year=2019,
        paper="Zhang et al., Image Super-Resolution by Neural Texture Transfer (SRNTT), CVPR 2019",
        description="Patches of relu3_1 by cosine, the reference blurred like LR. ImageNet VGG19 by --weights "
        "vgg=FILE; without it the bundled extractor, which was trained for matching.",
        load=load_vgg,
    ),
    MatcherCard(
        name="pixels",
        title="raw pixels",
        year=2021,
        paper="normalised cross-correlation of pixels, of no one paper",
        description="Patches of 12x12 pixels without their mean by cosine, stride 4, the reference blurred like LR.",
        load=load_pixels,
    ),
)
