"""The best view that there can be: the reference put back by its pair's true transformation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from refsr_bench.core.errors import Misuse
from refsr_bench.core.types import Correspondence, Propose, RefPair, Sample, View
from refsr_bench.geometry.truth import NoTruth, TransformationTruth
from refsr_bench.views.proposals import VERSION
from refsr_bench.views.using import Proposals
from refsr_bench.views.warps import warped

TRUTH = "truth"


def ceiling() -> Proposals:
    """Return proposals of the true view, for pairs whose transformation is known; unrelated references have none."""
    return Proposals(TRUTH, "true views", str(VERSION), _propose)


def refuse_unknown(pairs: Iterable[RefPair], dataset: str) -> None:
    """Raise Misuse naming a pair whose reference is not known to be a transformation of its image."""
    for pair in pairs:
        truth = pair.truth() if pair.truth else None
        if not isinstance(truth, (TransformationTruth, NoTruth)):
            raise Misuse(
                f"--views {TRUTH}: no homography is known between pair '{pair.id}' of {dataset} and its reference, so "
                f"no true view can be made. Leave '{TRUTH}' out, or choose a --transform that is made from the images."
            )


def _propose(pair: RefPair, sample: Sample) -> Propose:
    truth = pair.truth() if pair.truth else None

    def propose(reference: int, found: Correspondence | None) -> Sequence[View]:
        if reference or not isinstance(truth, TransformationTruth):
            return ()
        top, left = sample.crop[:2]
        cut = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])  # from the method's output to the scored image
        size = (sample.lr.shape[0] * sample.scale, sample.lr.shape[1] * sample.scale)
        return (warped(sample.refs[0], np.asarray(truth.transformation.matrix) @ cut, size, "truth"),)

    return propose
