"""The measurements of TTSR's paper (Yang et al., CVPR 2020), with its author's answers where the code does less."""

from refsr_bench.protocols.base import Protocol, standard_refs

PROTOCOLS = (
    Protocol(
        name="ttsr",
        version=1,
        # Luma weights are written (65.738, 129.057, 25.064) / 256: equal to /255 studio range to five digits, 0 dB.
        border=0,
        ref_size="mod-crop",  # references are cut to multiples of 4 and otherwise keep their size
        # The author: 27.09 dB is all five references, each top left on a black 500x500 canvas, stacked; the released
        # loader's level 1 alone gives 26.99 (--refs L1).
        stitch="black-500",
        # The author: Urban100 and Manga109 take the LR image itself; Sun80 takes one of about twenty at random,
        # unpublished.
        standard_refs=standard_refs(cufed5="all", sample="all", manga109="lr"),
    ),
)
