"""VGG-shaped feature stacks with readable layer names (Simonyan & Zisserman, ICLR 2015).

Up to ``conv3_1`` VGG16 and VGG19 have the same five convolutions, so one builder serves C2-Matching's correspondence
network (VGG16, Table 2 of its paper), the reference features of Ref-SR networks and the perceptual loss (VGG19).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

VGG19_BLOCKS = ((1, 2, 64), (2, 2, 128), (3, 4, 256), (4, 4, 512), (5, 4, 512))  # (block, convolutions, channels)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def vgg_layers(last: str) -> nn.Sequential:
    """Make the layers ``conv1_1, relu1_1, conv1_2, ...`` up to and including ``last``; 2x2 max pooling between blocks.

    Raises ValueError for a layer that VGG19 does not have.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block, convolutions, width in VGG19_BLOCKS:
        for n in range(1, convolutions + 1):
            layers[f"conv{block}_{n}"] = nn.Conv2d(channels, width, 3, padding=1)
            channels = width
            if last == f"conv{block}_{n}":
                return nn.Sequential(layers)
            layers[f"relu{block}_{n}"] = nn.ReLU(inplace=False)  # the convolution before it may be an output, too
            if last == f"relu{block}_{n}":
                return nn.Sequential(layers)
        layers[f"pool{block}"] = nn.MaxPool2d(2, 2)
    raise ValueError(f"no such VGG19 layer: {last}")


class ImageNetNormalised(nn.Module):
    """A network that normalises its input by ImageNet's statistics.

    The statistics are buffers, because the authors' files hold them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def normalise(self, image: Tensor) -> Tensor:
        """Normalise (N, 3, H, W) RGB in [0, 1] to zero mean and unit variance per channel, over ImageNet."""
        return (image - self.mean) / self.std


class VGG19Features(ImageNetNormalised):
    """Features after ReLU at the named layers. Input (N, 3, H, W) RGB in [0, 1]; output by layer name.

    relu1_1 (N, 64, H, W), relu2_1 (N, 128, H/2, W/2), relu3_1 (N, 256, H/4, W/4), relu5_1 (N, 512, H/16, W/16).
    """

    def __init__(self, layers: Iterable[str]) -> None:
        super().__init__()
        self.layers = tuple(layers)
        self.vgg_net = vgg_layers(max(self.layers))  # names sort by depth: relu1_1 < relu2_1 < ...

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.normalise(image)
        out = {}
        for name, layer in self.vgg_net.named_children():
            x = layer(x)
            if name in self.layers:
                out[name] = x
        return out


def from_torchvision(state: Mapping[str, Tensor], last: str) -> dict[str, Tensor]:
    """Rename a torchvision ``vgg19`` state dict (``features.N.weight``) to ``vgg_net.convB_N.weight`` up to ``last``.

    ``vgg16`` has the same layers up to conv3_3 and serves as well. Raises KeyError when a convolution is missing.
    """
    renamed = {}
    for index, (name, layer) in enumerate(vgg_layers(last).named_children()):
        if isinstance(layer, nn.Conv2d):
            for part in ("weight", "bias"):
                renamed[f"vgg_net.{name}.{part}"] = state[f"features.{index}.{part}"]
    return renamed
