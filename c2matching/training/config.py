"""The configuration of C2-Matching's training: the common one, plus its matching stages and its network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from c2matching.nets.restoration import RestorationConfig
from refsr_bench.core.reader import LARGEST, Format
from refsr_bench.learning.training.config import Crop, Number, Positive, Training, Whole

LEAST = {"channels": 2, "groups": 1}  # the network's last layer but one has half the channels
MOST_CHANNELS, MOST_BLOCKS = 1024, 1000  # the paper has 64 and 16; far beyond, memory ends before training begins
Temperature = Annotated[float, Meta(gt=0, le=LARGEST)]


class MatchingTraining(Format):
    """The training of the correspondence network, Eq. (1) to (7). The teacher's stage has the margin loss alone.

    start: ``imagenet`` (VGG16), ``random`` or, for the student, ``teacher``. crop: side in pixels. rate: Adam's; it
    falls to a tenth after each of the iterations ``decays`` and rises linearly over the first ``ramp``. clip: the
    largest norm of the gradient, 0 for no limit. margin, safe_radius (T of Eq. (3), in descriptor cells of 4 pixels),
    temperature, distillation_weight: as in Eq. (1) to (7). warm_up: the number of first iterations that use the cross
    entropy of Eq. (4) instead, at ``warm_up_temperature``. It is a gentle start for networks without ImageNet weights,
    which the paper does not have.
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
    temperature: Temperature = 0.15
    distillation_weight: Number = 15.0
    warm_up: Whole = 0
    warm_up_temperature: Temperature = 0.07


class C2Training(Training):
    """The configuration of C2-Matching's three stages; ``restoration`` belongs to the last."""

    elsewhere: ClassVar[tuple[str, ...]] = ()

    teacher: MatchingTraining = MatchingTraining(iterations=5000)
    student: MatchingTraining = MatchingTraining(decays=(72_545,))
    network: RestorationConfig = RestorationConfig()

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            if getattr(self.network, key) < least:
                raise ValueError(f"{key} is {getattr(self.network, key)}, it must be at least {least}")
            if getattr(self.network, key) > MOST_CHANNELS:
                raise ValueError(f"{key} is {getattr(self.network, key)}, it must be at most {MOST_CHANNELS}")
        if min(self.network.blocks) < 0:
            raise ValueError("blocks holds a number below zero")
        if max(self.network.blocks) > MOST_BLOCKS:
            raise ValueError(f"blocks holds a number above {MOST_BLOCKS}")
