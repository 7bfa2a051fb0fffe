"""The convention of mmagic's configuration files for TTSR: metrics in RGB."""

from refsr_bench.protocols.base import Protocol

PROTOCOLS = (
    Protocol(
        name="mmagic-rgb",
        version=1,
        channel="rgb",  # its metrics are not told to convert to Y; crop_border is 4
        ref_size="crop-pad",  # CropLike: the reference is cut, or padded with black, to the ground truth's size
    ),
)
