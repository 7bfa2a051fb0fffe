"""EDSR (Lim et al., CVPR Workshops 2017): residual blocks without BatchNorm at the resolution of the LR image."""

from __future__ import annotations

from refsr_bench.learning.blocks import LongSkip, residual_blocks


class EDSR(LongSkip):
    """(N, 3, h, w) RGB in [0, 1] -> (N, 3, 4h, 4w). Published: 256 channels, 32 blocks, scale 0.1, 43.1 M parameters.

    The small one of the paper ("baseline") has 64 channels, 16 blocks and scale 1, 1.5 M parameters.
    """

    def __init__(self, channels: int = 256, blocks: int = 32, scale: float = 0.1) -> None:
        super().__init__(channels, lambda: residual_blocks(channels, blocks, scale))
