"""The convention of SISR papers with MATLAB evaluation scripts: imresize for LR, rounded luma, border of the scale."""

from refsr_bench.protocols.base import Protocol

PROTOCOLS = (
    Protocol(
        name="matlab",
        version=1,
        lr_resizer="matlab-bicubic",
        y_rounded=True,  # rgb2ycbcr of a uint8 image gives uint8
        border=4,
        # The convention says nothing about references; they follow c2.
    ),
)
