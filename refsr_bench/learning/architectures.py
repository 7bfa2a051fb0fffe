"""The architectures of spandrel that enlarge images: who published each, and when."""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """The publication of an architecture: paper, or the repository where there is none, and year."""

    paper: str
    year: int


ARCHITECTURES = {
    "ATD": Published("Zhang et al., CVPR 2024", 2024),
    "AuraSR": Published("github.com/fal-ai/aura-sr", 2024),
    "CRAFT": Published("Li et al., ICCV 2023", 2023),
    "Compact": Published("Wang et al., Real-ESRGAN, ICCV workshops 2021", 2021),
    "DAT": Published("Chen et al., ICCV 2023", 2023),
    "DITN": Published("Liu et al., ACM MM 2023", 2023),
    "DRCT": Published("Hsu et al., CVPR workshops 2024", 2024),
    "ESRGAN": Published("Wang et al., ECCV workshops 2018", 2018),
    "GRL": Published("Li et al., CVPR 2023", 2023),
    "HAT": Published("Chen et al., CVPR 2023", 2023),
    "IPT": Published("Chen et al., CVPR 2021", 2021),
    "MMRealSR": Published("Mou et al., ECCV 2022", 2022),
    "OmniSR": Published("Wang et al., CVPR 2023", 2023),
    "RCAN": Published("Zhang et al., ECCV 2018", 2018),
    "RGT": Published("Chen et al., ICLR 2024", 2024),
    "RealCUGAN": Published("github.com/bilibili/ailab", 2022),
    "SAFMN": Published("Sun et al., ICCV 2023", 2023),
    "SPAN": Published("Wan et al., CVPR workshops 2024", 2024),
    "SeemoRe": Published("Zamfir et al., ICML 2024", 2024),
    "Swin2SR": Published("Conde et al., ECCV workshops 2022", 2022),
    "SwinIR": Published("Liang et al., ICCV workshops 2021", 2021),
}
