"""The convention of the C2-Matching authors' released test code (Jiang et al., CVPR 2021)."""

from refsr_bench.protocols.base import Protocol

PROTOCOLS = (
    # Every field is Protocol's default:
    # hr_multiple 4       input and reference are each cut to multiples of 4
    # ref_size pad-common if their sizes differ, both get black at the bottom and right up to the common maximum, and LR
    #                     is made from the padded HR; SR is cut back before it is measured
    # lr_resizer          Pillow bicubic on 8-bit values
    # channel y, not rounded: weights 65.481, 128.553, 24.966 over 255, plus 16, on whole RGB values kept as float
    # border 4            the option files say "none", which the code reads as the scale
    # ssim_window gauss11 valid area, sigma 1.5
    # refs                CUFED5 level 1 and WR-SR by the released pair files. The other lists were never released:
    #                     Urban100 is "the LR version" in the paper (at LR size on black, as MRefSR's loader does it),
    #                     Sun80 and Manga109 are random in the papers, hence the fixed lists shipped here.
    Protocol(name="c2", version=1),
)
