"""The convention of MASA-SR's released test code (Lu et al., CVPR 2021)."""

from refsr_bench.protocols.base import Protocol, standard_refs

PROTOCOLS = (
    Protocol(
        name="masa",
        version=1,
        # HR is never cut: it is padded on all sides by repeating the border, LR is made from the padded image, and SR
        # is cut back. Multiples of 32, but 64 in the loaders of Sun80 and Urban100.
        hr_fit="pad-replicate",
        hr_multiple=32,
        hr_multiple_for=(("sun80", 64), ("urban100", 64)),
        border=0,
        ref_size="replicate-16",
        # The test script's default: five references, each centred on a 512x512 canvas with repeated borders, stacked.
        # The paper and its author say four; level 1 alone is --refs L1 (27.35 dB against 27.54).
        stitch="replicate-512",
        # Urban100 takes the padded LR at LR size; Sun80's draw has no seed; Manga109 has no loader.
        standard_refs=standard_refs(cufed5="all", sample="all"),
    ),
)
