"""The uniform description of a network, by which it is run, given weights and trained like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from refsr_bench.core.schema import Tiling
from refsr_bench.core.types import Correspondence

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

SCALE = 4  # of every method of the field
# C2-Matching's student has two extractors, one for the LR image and one for the reference, each of VGG's shape up to
# conv3_1. Many networks match with them. These are their names in the authors' files and in ours.
BRANCHES = ("feature_extraction_image1", "feature_extraction_image2")

State = Mapping[str, "Tensor"]
Converted = tuple[dict[str, Any], dict[str, "Tensor"]]  # options of ``build``, state dict of the network


@dataclass(frozen=True)
class Located:
    """The places at which parts of an image were found in its views and references.

    points, targets (n, 2) float32, (x, y), confidence (n,): as in ``Correspondence``, targets in pixels of the image
    that was chosen. chosen (n,): its number; views come first, in the order in which they were given.
    """

    points: np.ndarray
    targets: np.ndarray
    confidence: np.ndarray
    chosen: np.ndarray


@dataclass(frozen=True)
class Stages:
    """The training of a system that needs more than one stage.

    names: the stages in order. configuration(): the class of its configuration, a ``training.config.Training``.
    make(name, plan): makes the ``training.stage.Stage`` for a ``prepare.TrainingPlan``.
    """

    names: tuple[str, ...]
    configuration: Callable[[], type]
    make: Callable[[str, Any], Any]


@dataclass(frozen=True)
class Port:
    """One float32 input of a graph.

    shape: a number for a side of fixed length, else a word such as ``height``, ``4*height`` or ``height-2``. meaning:
    what it holds, for the people who fill it.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True)
class Graph:
    """A network for programs that do not have this package: one fixed computation from tensors to SR.

    module: takes a tensor for each of ``inputs``, in this order, and returns SR (1, 3, 4*height, 4*width), not clamped.
    prepare(lr, lr_up, refs): makes these tensors from one image, which ``System.restore`` would take.
    """

    module: nn.Module
    inputs: tuple[Port, ...]
    prepare: Callable[[Tensor, Tensor, Sequence[Tensor]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class System:
    """A network, and everything that running, converting and training it takes.

    ``build(**options)``: makes the network with arbitrary weights; options are plain JSON values with defaults.
    restore(net, lr, lr_up, refs): upscales a batch, with gradients. It takes lr (N, 3, h, w); lr_up (N, 3, 4h, 4w),
    enlarged by Pillow's bicubic in 8 bits; refs, a list of (N, 3, H, W) of any sizes, one for methods that take one and
    none for SISR; all RGB in [0, 1]. It returns SR (N, 3, 4h, 4w) RGB, roughly in [0, 1], not clamped. Conversion to
    the network's own value range, channel order and padding happens inside.
    convert(states): turns the contents of a user's files, each as {key: tensor}, into (options, state dict of
    ``build``'s network); None when they belong to another system. Raises ``weights.Incomplete`` when one of several
    files is missing.
    older: readers of earlier formats of our own files, by the format's name. Each turns (metadata, tensors) into what
    ``convert`` returns.

    match(net, lr_up, ref), optional: finds correspondences with one reference; images as for ``restore``.
    restore_views(net, lr, lr_up, refs, ask), optional: like ``restore`` for one image without gradients, with views of
    references. ask(number, correspondence) gives those of one reference, each as an image (1, 3, 4h, 4w) and a mask
    (4h, 4w) bool, False where it shows nothing; and the whole reference as it should stand (1, 3, H, W), None if as it
    is. ``restore_views`` also returns where every patch was found.
    matching: the ways of matching, the default first; ``net.matching`` is set to the one that was asked for.
    variants: what a way of matching is called in the names of rows; "NAME matching" for those not listed.
    least: the smallest side of an LR image, in pixels. tiling: the way ``restore`` covers an image without gradients.
    bytes_per_pixel: memory that the network takes at most for each pixel of SR, with a reference of twice that size,
    measured as in ``benchmarks/memory.py``; None if nobody has. Tiles are sized by it.
    channels_last: stores weights in that memory format on a CPU, where convolutions then take nearly half the time.

    start(net, vgg, extractor), optional: fills the frozen or pretrained parts before training. vgg: torchvision's
    ``features.N.weight/bias`` up to conv3_1; extractor: the state dict of C2-Matching's trained extractors.
    needs_student: the network contains those extractors. small: the options of the network that the fixed-budget track
    trains. stages: None when ``restore`` is trained as a whole, in one stage.
    graph(net), optional: the ``Graph`` of a network that takes references. SISR networks need none.
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
    variants: Mapping[str, str] = field(default_factory=dict)
    tiling: Tiling = "whole"
    channels_last: bool = False
    stages: Stages | None = None
    restore_views: Callable[..., tuple[Tensor, Located]] | None = None
    bytes_per_pixel: int | None = None
    graph: Callable[[nn.Module], Graph] | None = None

    def network(self, **options: Any) -> nn.Module:
        """Build the network and keep its options as ``net.options``, for whoever writes its weights."""
        net = self.build(**options)
        net.options = options
        return net
