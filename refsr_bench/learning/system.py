"""The description of a network by which it is run, given weights and trained like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refsr_bench.core.schema import Tiling
from refsr_bench.core.types import Correspondence

if TYPE_CHECKING:
    from torch import Tensor, nn

SCALE = 4  # of every method of the field
# C2-Matching's student has one extractor for the LR side and one for the reference, of VGG's shape up to conv3_1; many
# networks match or read with them. These are their names in the authors' files, and in ours.
BRANCHES = ("feature_extraction_image1", "feature_extraction_image2")

State = Mapping[str, "Tensor"]
Converted = tuple[dict[str, Any], dict[str, "Tensor"]]  # options of ``build``, state dict of the network


@dataclass(frozen=True)
class Stages:
    """A training of a system's own. names: of its stages, in order; configuration(): the kind of its configuration, a
    ``training.config.Training``; make(name, plan): the ``training.stage.Stage`` of a ``prepare.TrainingPlan``."""

    names: tuple[str, ...]
    configuration: Callable[[], type]
    make: Callable[[str, Any], Any]


@dataclass(frozen=True)
class System:
    """A network of the field.

    build(**options): the network, any weights; options are plain JSON values with defaults. restore(net, lr, lr_up,
    refs): lr (N, 3, h, w), lr_up (N, 3, 4h, 4w, Pillow-bicubic enlarged in 8 bits), refs: list of (N, 3, H, W), any
    sizes (one for methods that take one, none for SISR), all RGB in [0, 1], to SR (N, 3, 4h, 4w) RGB, about [0, 1], not
    clamped, with gradients; value ranges, channel order and padding are its own business.
    convert(states): what the files of a user hold, each as {key: tensor}, to (options, state dict of ``build``'s
    network), or None when they are not this system's; raises ``weights.Incomplete`` when a file of several is missing.
    older: readers of the formats in which our own files were written before, by the format's name: (metadata, tensors)
    to what ``convert`` gives.

    match(net, lr_up, ref), optional: the network's correspondences with one reference, images as for ``restore``.
    matching: ways of matching, the default first; ``net.matching`` is set to the one that was asked for.
    least: smallest side of an LR image, pixels. tiling: how ``restore`` goes over an image without gradients.
    channels_last: whether weights are arranged so on a CPU, where convolutions then take nearly half the time.

    start(net, vgg, extractor), optional: before training, set the frozen or pretrained parts: vgg, torchvision's
    ``features.N.weight/bias`` up to conv3_1; extractor, the state dict of C2-Matching's trained extractors.
    needs_student: whether those extractors are part of the network. small: the options of the network that the
    fixed-budget track trains. stages: None for a training of ``restore`` alone, as one.
    """

    build: Callable[..., nn.Module]
    restore: Callable[[nn.Module, Tensor, Tensor, Sequence[Tensor]], Tensor]
    convert: Callable[[Sequence[State]], Converted | None]
    start: Callable[[nn.Module, State, State], None] | None = None
    least: int = 1
    small: Mapping[str, Any] = field(default_factory=dict)
    needs_student: bool = False
    older: Mapping[str, Callable[[Mapping[str, str], State], Converted]] = field(default_factory=dict)
    match: Callable[[nn.Module, Tensor, Tensor], Correspondence] | None = None
    matching: tuple[str, ...] = ()
    tiling: Tiling = "whole"
    channels_last: bool = False
    stages: Stages | None = None

    def network(self, **options: Any) -> nn.Module:
        """The network of these options, which it keeps as ``options`` for whoever writes its weights."""
        net = self.build(**options)
        net.options = options
        return net
