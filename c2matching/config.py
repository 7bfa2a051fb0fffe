"""The paper's training values (sections 3.5 and A; what it leaves open is as the authors' code has it)."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass


@dataclass(frozen=True)
class MatchingTraining:
    """The loss of the correspondence network, Eq. (1) to (7). Without a teacher only the margin loss is used.

    safe_radius: T of Eq. (3), in descriptor cells (4 pixels).
    """

    margin: float = 1.0
    safe_radius: int = 4
    temperature: float = 0.15
    distillation_weight: float = 15.0


@dataclass(frozen=True)
class RestorationTraining:
    """The restoration network: weights of the losses, and Adam's rates. Iterations count from 1.

    warm_up: iterations with reconstruction loss alone. ``*_offset_rate``: of the layers that predict offsets and masks.
    discriminator_decays: after these iterations the discriminator's rate falls to a tenth. The generator's never does:
    that is how the authors' program runs, although its options ask for both.
    """

    reconstruction_weight: float = 1.0
    perceptual_weight: float = 1e-4
    adversarial_weight: float = 1e-6
    penalty_weight: float = 10.0
    warm_up: int = 10_000
    rate: float = 1e-4
    small_offset_rate: float = 1e-6
    medium_offset_rate: float = 1e-5
    large_offset_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    discriminator_rate: float = 1e-4
    discriminator_decays: tuple[int, ...] = (72_545, 211_040)


def decayed(rate: float, decays: tuple[int, ...], iteration: int) -> float:
    """``rate`` divided by ten for every entry of ``decays`` (ascending) that lies before ``iteration``."""
    return rate * 0.1 ** bisect_left(decays, iteration)
