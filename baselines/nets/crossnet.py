"""CrossNet (Zheng et al., ECCV 2018): the reference's features, moved by optical flow at four scales, join a U-Net.

1. flow: FlowNetS with a full-resolution head, from the enlarged LR image to the reference; nothing is searched
2. encoder: features of the reference and of the image, at four scales
3. warping: the reference's features at the places the flow names
4. decoder: from the coarsest scale up, both kinds of features join

All sizes are multiples of 64; image and reference have the same size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from refsr_bench.learning.blocks import conv, leaky, warp

MULTIPLE = 64  # the flow network halves the resolution six times

# name: channels, kernel, stride
FLOW_ENCODER = {
    "conv1": (64, 7, 2),
    "conv2": (128, 5, 2),
    "conv3": (256, 5, 2),
    "conv3_1": (256, 3, 1),
    "conv4": (512, 3, 2),
    "conv4_1": (512, 3, 1),
    "conv5": (512, 3, 2),
    "conv5_1": (512, 3, 1),
    "conv6": (1024, 3, 2),
    "conv6_1": (1024, 3, 1),
}
# level, 1/2^level of the size: the encoder's map that joins there, and the channels of the enlarged features beside it
FLOW_DECODER = {
    5: ("conv5_1", 256),
    4: ("conv4_1", 256),
    3: ("conv3_1", 128),
    2: ("conv2", 64),
    1: ("conv1", 64),
    0: ("ref", 64),
}


def twice(in_channels: int, out_channels: int) -> nn.ConvTranspose2d:
    """A transposed convolution to twice the resolution."""
    return nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)


class FlowNet(nn.Module):
    """lr_up, ref (N, 3, H, W) -> flow from image to reference by level 0 to 6, (N, 2, H / 2^level, W / 2^level).

    Flows are (x, y), each in pixels of its own level.
    """

    def __init__(self) -> None:
        super().__init__()
        channels, skips = 6, {"ref": 3}
        for name, (width, kernel, stride) in FLOW_ENCODER.items():
            self.add_module(name, conv(channels, width, kernel, stride))
            channels = skips[name] = width
        for level, (skip, width) in FLOW_DECODER.items():
            self.add_module(f"flow{level + 1}", conv(channels, 2))
            self.add_module(f"flow{level + 1}_up", twice(2, 2))
            self.add_module(f"deconv{level}", twice(channels, width))
            channels = skips[skip] + width + 2
        self.concat0_conv1 = conv(channels, 16, 7)
        self.concat0_conv2 = conv(16, 16, 7)
        self.flow_12 = conv(16, 2)

    def forward(self, lr_up: Tensor, ref: Tensor) -> dict[int, Tensor]:
        layer, skips, flows = self._modules, {"ref": ref}, {}
        x = torch.cat((lr_up, ref), 1)
        for name in FLOW_ENCODER:
            x = skips[name] = leaky(layer[name](x))
        for level, (skip, _) in FLOW_DECODER.items():
            flow = flows[level + 1] = layer[f"flow{level + 1}"](x)
            wider = leaky(layer[f"deconv{level}"](x))
            x = torch.cat((skips[skip], wider, layer[f"flow{level + 1}_up"](flow)), 1)
        flows[0] = self.flow_12(F.selu(self.concat0_conv2(F.selu(self.concat0_conv1(x)))))
        return flows


class Encoder(nn.Module):
    """The features (N, 64, H / 2^level, W / 2^level) of an image (N, 3, H, W), for levels 0 to 3."""

    def __init__(self) -> None:
        super().__init__()
        self.layer_f = conv(3, 64, 5)
        self.conv1 = conv(64, 64, 5)
        self.conv2, self.conv3, self.conv4 = (conv(64, 64, 5, stride=2) for _ in range(3))

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [F.selu(self.conv1(F.selu(self.layer_f(image))))]
        for layer in (self.conv2, self.conv3, self.conv4):
            features.append(F.selu(layer(features[-1])))
        return features


class Decoder(nn.Module):
    """Joins features of the image with moved ones of the reference, from the coarsest level up."""

    def __init__(self) -> None:
        super().__init__()
        self.warp_deconv4 = twice(128, 64)
        self.warp_deconv3 = twice(192, 64)
        self.warp_deconv2 = twice(192, 64)
        self.post_fusion1 = conv(192, 64, 5)
        self.post_fusion2 = conv(64, 64, 5)  # in the authors' files and count; no output depends on it there either
        self.final = conv(64, 3, 5)

    def forward(self, image: list[Tensor], warped: list[Tensor]) -> Tensor:
        x = F.selu(self.warp_deconv4(torch.cat((image[3], warped[3]), 1)))
        x = F.selu(self.warp_deconv3(torch.cat((x, image[2], warped[2]), 1)))
        x = F.selu(self.warp_deconv2(torch.cat((x, image[1], warped[1]), 1)))
        return self.final(F.selu(self.post_fusion1(torch.cat((x, image[0], warped[0]), 1))))


class CrossNet(nn.Module):
    """lr_up, sr_init, ref (N, 3, H, W) RGB in [0, 1], multiples of 64 -> SR image, same shape. 35.2 M parameters.

    The flow is estimated from lr_up, which is enlarged bicubically. Details are added to sr_init, which a SISR network
    (MDSR) has enlarged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flownet = FlowNet()
        self.encoder = Encoder()
        self.decoder = Decoder()

    def forward(self, lr_up: Tensor, sr_init: Tensor, ref: Tensor) -> Tensor:
        flows = self.flownet(lr_up, ref)  # 1
        ref_features = self.encoder(ref)  # 2
        warped = [  # 3: (N, 2, H, W) -> (N, H, W, 2)
            warp(features, flows[level].permute(0, 2, 3, 1), "border") for level, features in enumerate(ref_features)
        ]
        return self.decoder(self.encoder(sr_init), warped)  # 2 and 4
