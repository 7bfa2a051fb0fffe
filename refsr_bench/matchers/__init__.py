"""Matchers: correspondences without restoration, one module per family, each exporting ``MATCHERS``.

Anyone's function takes part as a card in a module of any package in the entry-point group ``refsr_bench``:

```python
import numpy as np
from refsr_bench.core.types import Correspondence, MatcherCard

def same_place(lr, ref, scale):  # uint8 (h, w, 3), uint8 (H, W, 3), 4
    y, x = np.mgrid[: scale * lr.shape[0], : scale * lr.shape[1]]
    points = np.stack((x, y), axis=-1).reshape(-1, 2).astype(np.float32)  # HR pixels, any of them
    return Correspondence(points, points)  # reference pixels

MATCHERS = (
    MatcherCard("same-place", "the same place", 2026, "none", "Every point stays where it is.",
                load=lambda weights, device: same_place),
)
```

``load`` may return a ``LoadedMatcher`` instead of a bare function, to say which weights are behind it.
"""

from __future__ import annotations

from refsr_bench.core.types import Image
from refsr_bench.pixels.resize import resize_pil_bicubic


def enlarged(lr: Image, scale: int) -> Image:
    """LR at the size of HR, Pillow's bicubic: what matchers of this field compare with a reference."""
    return lr if scale == 1 else resize_pil_bicubic(lr, scale * lr.shape[0], scale * lr.shape[1])
