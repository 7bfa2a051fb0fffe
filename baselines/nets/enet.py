"""EnhanceNet (Sajjadi et al., ICCV 2017): a residual network at LR resolution, added to bicubic interpolation.

The network is that of the paper's Table 1. The texture and adversarial losses of its variant "PAT" matter in training
alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from refsr_bench.learning.blocks import NearestTail, conv, residual_blocks

RGB_MEAN = (0.47614917, 0.45001204, 0.40904046)  # the authors', subtracted before the network and added after it
CUBIC_A = -0.75  # TensorFlow 1's and OpenCV's kernel; Pillow and MATLAB have -0.5


class ENet(NearestTail):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 64 channels, 10 blocks, 852,867 parameters."""

    def __init__(self, channels: int = 64, blocks: int = 10) -> None:
        super().__init__()
        self.conv_first = conv(3, channels)
        self.body = residual_blocks(channels, blocks)
        self.add_tail(channels)
        self.register_buffer("mean", torch.tensor(RGB_MEAN).view(3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        x = lr - self.mean
        residual = self.tail(self.body(F.relu(self.conv_first(x))), F.relu)
        return residual + bicubic_top_left(x) + self.mean


def bicubic_top_left(x: Tensor) -> Tensor:
    """Enlarge (N, C, h, w) to (N, C, 4h, 4w) as TensorFlow 1's ``resize_bicubic``: output pixel i lies at input i / 4.

    That aligns the pixels' corners and not their areas, so the image moves by 1.5 pixels to the top left. The network
    has learned to move it back, and other interpolations cost more than one dB. Borders are repeated.
    """
    n, c, h, w = x.shape
    taps = _cubic(torch.arange(4)[:, None] / 4 + 1 - torch.arange(4)).to(x)  # (phase, tap), taps at -1, 0, 1, 2
    kernels = torch.einsum("ik,jl->ijkl", taps, taps).view(16, 1, 4, 4)  # one for each pixel of a 4x4 cell
    padded = F.pad(x.reshape(n * c, 1, h, w), (1, 2, 1, 2), mode="replicate")
    return F.pixel_shuffle(F.conv2d(padded, kernels), 4).view(n, c, 4 * h, 4 * w)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' kernel (1981) with a = CUBIC_A."""
    d, a = distance.abs(), CUBIC_A
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0))
