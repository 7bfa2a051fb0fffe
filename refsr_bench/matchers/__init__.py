"""Matchers: correspondences without restoration, one module each, exporting ``MATCHERS``.

Anyone's function takes part as a card in a module of any package in the entry-point group ``refsr_bench``:

```python
import numpy as np
from refsr_bench.core.cards import LoadedMatcher, MatcherCard
from refsr_bench.core.types import Correspondence

def same_place(lr, ref, scale):  # uint8 (h, w, 3), uint8 (H, W, 3), 4
    y, x = np.mgrid[: scale * lr.shape[0], : scale * lr.shape[1]]
    points = np.stack((x, y), axis=-1).reshape(-1, 2).astype(np.float32)  # HR pixels, any of them
    return Correspondence(points, points)  # their places in the reference, in its pixels

MATCHERS = (
    MatcherCard("same-place", "the same place", 2026, "none", "Every point stays where it is.",
                load=lambda weights, device: LoadedMatcher(same_place)),
)
```

``LoadedMatcher`` also says which weights are behind a matcher, and whether it must be given the HR image.
"""
