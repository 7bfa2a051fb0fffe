"""The cards of methods that have a network, and the one path from images to tensors and back.

Nothing here imports torch before weights are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refsr_bench.core.cards import LoadedMethod, MethodCard, WeightsFile
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, NoWeights
from refsr_bench.core.schema import Arithmetic, NumberType, Weights
from refsr_bench.core.types import Correspondence, Image, Prediction, PredictViews, Propose, Upright, View
from refsr_bench.learning.hardware import Hardware
from refsr_bench.learning.system import SCALE, Located, System
from refsr_bench.learning.weights import SYNTHETIC, find, opened

if TYPE_CHECKING:
    from torch import Tensor, nn

# -- from images to tensors and back -------------------------------------------------------------------------------


def check_sizes(least: int, lr: Image, refs: Sequence[Image]) -> None:
    """Raise BenchError naming the first image that is too small. least: pixels per side of the LR image."""
    for name, image, side in (("LR image", lr, least), *(("reference", ref, SCALE * least) for ref in refs)):
        height, width = image.shape[:2]
        if min(height, width) < side:
            raise BenchError(
                f"The {name} has {width}x{height} pixels; this method needs an LR image of at least {least}x{least} "
                f"and references of at least {SCALE * least}x{SCALE * least} pixels."
            )


def tensors(device: str, lr: Image, refs: Sequence[Image], scale: int = SCALE) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Turn one image and its references (uint8 H x W x 3) into ``lr``, ``lr_up`` and ``refs`` for ``System.restore``.

    LR may be uint16. It is enlarged by Pillow's bicubic and rounded to its type; references are cut to multiples of
    four. Each tensor is float32 (1, 3, H, W) in [0, 1] on ``device``.
    """
    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.resize import resize_pil_bicubic

    enlarged = resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])
    images = (lr, enlarged, *(mod_crop(ref, SCALE) for ref in refs))
    first, second, *others = (to_tensor(image)[None].to(device) for image in images)
    return first, second, others


def _check(system: System, lr: Image, refs: Sequence[Image], scale: int) -> None:
    if scale != SCALE:
        raise BenchError(f"These weights are for x{SCALE}; scale {scale} was asked for.")
    check_sizes(system.least, lr, refs)


def upscale(
    system: System, net: nn.Module, on: Hardware, lr: Image, refs: Sequence[Image], scale: int
) -> Prediction:
    """Upscale one image with ``system.restore``; SR is clamped and rounded half to even.

    lr: uint8 or uint16 H x W x 3, SR has its type. refs: uint8. Raises BenchError for a scale other than four or an
    image that is too small.
    """
    _check(system, lr, refs, scale)
    with on.computing():
        sr = system.restore(net, *tensors(on.device, lr, refs))
    return Prediction(_image(sr, lr))


def _image(sr: Tensor, lr: Image) -> Image:
    """Turn SR (1, 3, H, W) into an image of LR's type."""
    from refsr_bench.pixels.colour import quantise

    return quantise(sr[0].permute(1, 2, 0).float().cpu().numpy(), lr.dtype)


@dataclass
class Asking:
    """The function ``ask`` of ``System.restore_views``: it asks for views, and keeps them as ``views``."""

    propose: Propose
    device: str = "cpu"
    views: list[View] = field(default_factory=list)

    def __call__(
        self, number: int, found: Correspondence | None
    ) -> tuple[list[tuple[Tensor, Tensor]], Tensor | None]:
        import torch

        from refsr_bench.learning.tensors import to_tensor

        proposed = self.propose(number, found)
        self.views.extend(proposed)
        masked = [
            (to_tensor(view.image)[None].to(self.device), torch.from_numpy(view.valid).to(self.device))
            for view in proposed
        ]
        stands = upright_of(proposed, number)
        return masked, None if stands is None else to_tensor(stands.image)[None].to(self.device)


def upright_of(views: Sequence[View], number: int) -> Upright | None:
    """Return the reference of this number as its views say that it should stand; None for as it is."""
    return next((view.upright for view in views if view.reference == number and view.upright), None)


def with_views(system: System, net: nn.Module, on: Hardware) -> PredictViews:
    """Return the function that upscales one image with ``system.restore_views``.

    It is like ``upscale``, with the views that are proposed to it.
    """

    def predict(lr: Image, refs: Sequence[Image], scale: int, propose: Propose) -> Prediction:
        _check(system, lr, refs, scale)
        ask = Asking(propose, on.device)
        with on.computing():
            sr, found = system.restore_views(net, *tensors(on.device, lr, refs), ask)
        shares = tuple(float((found.chosen == n).mean()) for n in range(len(ask.views)))
        return Prediction(_image(sr, lr), in_first_reference(found, ask.views), tuple(ask.views), shares)

    return predict


def in_first_reference(found: Located, views: Sequence[View]) -> Correspondence:
    """Return the places in the first reference itself of what was found in it or in its views."""
    import numpy as np

    from refsr_bench.pixels.sampling import linearly

    targets, kept = found.targets.copy(), found.chosen == len(views)
    stands = upright_of(views, 0)
    if stands is not None:
        targets[kept] = linearly(stands.source, targets[kept])
    for number, view in enumerate(views):
        own = found.chosen == number
        targets[own] = linearly(view.source, found.targets[own])
        if view.reference == 0:
            kept |= own
    return Correspondence(found.points[kept], targets[kept].astype(np.float32), found.confidence[kept])


def match(system: System, net: nn.Module, on: Hardware, lr: Image, ref: Image, scale: int) -> Correspondence:
    """Return the network's correspondences with one reference, found on the same tensors as in ``upscale``.

    Raises BenchError when an image is too small.
    """
    check_sizes(system.least, lr, [ref])
    with on.computing():
        _, lr_up, (ref_tensor,) = tensors(on.device, lr, [ref], scale)
        return system.match(net, lr_up, ref_tensor)


# -- cards ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loader:
    """The ``load`` of a card. Without given weights it takes those that ``weights.find`` finds.

    Raises NoWeights when there are none.
    """

    system: System
    name: str
    files: tuple[WeightsFile, ...] = ()
    bundled: Path | None = None

    def __call__(
        self, weights: Path | None, device: str, matching: str = "", numbers: NumberType = "float32"
    ) -> LoadedMethod:
        system, on = self.system, Hardware(device, numbers)
        net, about = self.network(weights)
        trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
        net = net.requires_grad_(False).to(device)
        if system.channels_last and device == "cpu":
            import torch

            net = net.to(memory_format=torch.channels_last)
        other = matching if matching not in ("", *system.matching[:1]) else ""
        if system.matching:
            net.matching = matching or system.matching[0]
        variants = [system.variants.get(other, f"{other} matching")] if other else []
        lower = {"dtype": numbers} if numbers != "float32" else {}
        return LoadedMethod(
            predict=partial(upscale, system, net, on),
            weights=about,
            parameters=trained,
            variant=", ".join([*variants, *lower.values()]),
            options=({"matching": other} if other else {}) | lower,
            match=partial(match, system, net, on) if system.match else None,
            arithmetic=Arithmetic(system.tiling, numbers),
            predict_views=with_views(system, net, on) if system.restore_views else None,
            scale=SCALE,
            bytes_per_pixel=system.bytes_per_pixel,
            deep=True,
        )

    def network(self, weights: Path | None = None) -> tuple[nn.Module, Weights]:
        """Return the network on the CPU, in evaluation mode, and its weights as results record them."""
        net, about = opened(self.system, self.name, weights or self._found(), self.bundled)
        return net.eval(), about

    def _found(self) -> Path:
        path = find(self.name, self.bundled, self.files)
        if path is None:
            known = "; ".join(f"{f.file} ({f.home})" for f in self.files) or "none is known to be published"
            bring = command("weights", "import", "--method", self.name, "FILE")
            train = command("train", self.name, "--help")
            raise NoWeights(
                f"{self.name} comes without weights. Its authors' files: {known}. Bring them in with `{bring}`, train "
                f"it (`{train}`), or give --weights {SYNTHETIC} to see that it runs."
            )
        return path


def method_card(
    system: System, *, files: Sequence[WeightsFile] = (), bundled: Path | None = None, **facts: Any
) -> MethodCard:
    """Make the card of one row of the tables from a system and facts.

    files: the authors' weights files; bundled: weights that come with the package; facts: other fields of
    ``MethodCard``.
    """
    name = facts["name"]
    return MethodCard(
        load=Loader(system, name, tuple(files), bundled),
        files=tuple(files),
        bundled=bundled,
        matching=system.matching,
        system=system,
        **facts,
    )
