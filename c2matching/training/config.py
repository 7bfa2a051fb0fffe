"""The configuration of C2-Matching's training: its matching stages and its network, beside what every training has."""

from __future__ import annotations

from typing import ClassVar, Literal

from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.reader import Format
from refsr_bench.learning.training.config import Crop, Number, Positive, Training, Whole

LEAST = {"channels": 2, "groups": 1}  # of the network: its last layer but one has half the channels


class MatchingTraining(Format):
    """The correspondence network, Eq. (1) to (7). Without a teacher only the margin loss is used.

    start: ``imagenet`` (VGG16), ``random`` or, for the student, ``teacher``. crop: pixels. rate: Adam's; it falls to a
    tenth after the iterations ``decays`` and rises linearly over the first ``ramp``. clip: largest norm of the
    gradient, 0: any. margin, safe_radius (T of Eq. (3), in descriptor cells of 4 pixels), temperature,
    distillation_weight: Eq. (1) to (7). warm_up: iterations with the cross entropy of Eq. (4) instead, at
    ``warm_up_temperature``, a gentle start for networks that do not come from ImageNet; none in the paper.
    """

    iterations: Positive = 75_000
    batch: Positive = 8
    crop: Crop = 160
    start: Literal["imagenet", "random", "teacher"] = "imagenet"
    rate: Number = 1e-3
    decays: tuple[Whole, ...] = ()
    ramp: Whole = 0
    clip: Number = 0.0
    margin: Number = 1.0
    safe_radius: Whole = 4
    temperature: Number = 0.15
    distillation_weight: Number = 15.0
    warm_up: Whole = 0
    warm_up_temperature: Number = 0.07


class C2Training(Training):
    """The configuration of C2-Matching's three stages; ``restoration`` is the last one's."""

    elsewhere: ClassVar[tuple[str, ...]] = ()

    teacher: MatchingTraining = MatchingTraining(iterations=5000)
    student: MatchingTraining = MatchingTraining(decays=(72_545,))
    network: RestorationConfig = RestorationConfig()

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            if getattr(self.network, key) < least:
                raise ValueError(f"{key} is {getattr(self.network, key)}, it must be at least {least}")
        if min(self.network.blocks) < 0:
            raise ValueError("blocks holds a number below zero")
