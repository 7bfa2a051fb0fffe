"""Upper bounds of patch correlations, by which exact matching looks only where the best patch can be (Eq. 4 and 8).

Descriptors of photographs lie close to few directions. With pixel descriptors a = Pa + a', P the projection on the
first k principal directions of both maps, Cauchy and Schwarz bound every pixel correlation,

    a.b = Pa.Pb + a'.b' <= Pa.Pb + |a'| |b'|,

which is a product of k + 1 numbers instead of C: |a'| is one more channel. Summed over the nine pixels of a patch it
bounds the patch correlation. Patches whose bound reaches a correlation already found get a closer bound, of KNOWN
directions, and only those that it cannot exclude are correlated in full. Nothing is approximate: rounding is allowed
for by more than it can take.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RANKS = (63, 95, 47)  # k, the usual one first; with one channel more, multiples of what vector units hold
KNOWN = 125  # directions of the closer bound
PROBES = 8  # patches that decide k
SPREAD = 0.6  # of all directions: with their energy in more than these, descriptors are as good as random
SAMPLE = 1024  # pixels of each map that give the directions
# What a pair of patches costs, in multiplications of the product: sums and maximum, and a look at what bounds leave.
SUMS, LOOK = 30, 2000
ROUNDING = 4e-6  # relative, of squared norms in float32
SLACK = 4e-6  # of a patch correlation, relative to the patches' norms: more than rounding may take from a bound


def directions(features: Tensor, ref_features: Tensor) -> Tensor | None:
    """(C, KNOWN) orthonormal: the principal directions of both maps, of falling energy; None where there are none."""
    pixels = torch.cat([f.flatten(1)[:, :: max(1, f[0].numel() // SAMPLE)] for f in (features, ref_features)], 1)
    energy = pixels @ pixels.T
    channels = len(energy)
    if channels <= KNOWN or energy.trace().square() > SPREAD * channels * energy.square().sum():
        return None
    return torch.linalg.eigh(energy)[1].flip(1)[:, :KNOWN]


@dataclass(frozen=True)
class Known:
    """What is known of n descriptors: products with the directions (n, KNOWN) and squared norms (n)."""

    along: Tensor
    energy: Tensor

    @classmethod
    def of(cls, pixels: Tensor, basis: Tensor) -> Known:
        """pixels (n, C), basis (C, KNOWN) orthonormal."""
        return cls(pixels @ basis, pixels.square().sum(1))

    def rest(self, rank: int) -> Tensor:
        """(n, 1): at least the norms of what ``rank`` directions leave."""
        left = self.energy - self.along[:, :rank].square().sum(1)
        return (left.clamp_min(0) + ROUNDING * self.energy).sqrt()[:, None]

    def first(self, rank: int) -> Tensor:
        """(n, k+1), whose products with those of other descriptors are at least the products of all channels."""
        return torch.cat([self.along[:, :rank], self.rest(rank)], 1)

    def more(self, rank: int, sign: int) -> Tensor:
        """(n, KNOWN-k+2): added, its products make the bound that of KNOWN directions. sign: -1 on one side, 1 on the
        other."""
        return torch.cat([self.along[:, rank:], self.rest(KNOWN), sign * self.rest(rank)], 1)


@dataclass(frozen=True)
class Bounds:
    """Bounds of the correlations of one map's patches with another's, as products of vectors of pixels.

    first: (h*w, k+1) and (n, k+1), whose patch sums are at least the correlations. more: (h*w, KNOWN-k+2) and
    (n, KNOWN-k+2), whose patch sums, added, make the closer bound. slack (h-2, w-2): what rounding may take from
    either.
    """

    rank: int
    first: tuple[Tensor, Tensor]
    more: tuple[Tensor, Tensor]
    slack: Tensor


def find_bounds(own: Tensor, ref: Tensor, basis: Tensor, scale: Tensor, limit: Tensor) -> Bounds | None:
    """Bounds of the rank that costs least; None when correlating everything does.

    own (h, w, C) and ref (n, C): pixels of the map and of its reference, row after row, n >= H*W. basis (C, KNOWN):
    their ``directions``. scale (H-2, W-2): what correlations with each reference patch are multiplied by. limit
    (h-2, w-2): beyond which no correlation of a patch can be, the product of norms.
    """
    known_ref = Known.of(ref, basis)
    rank = choose_rank(own, ref, known_ref, basis, scale)
    if rank is None:
        return None
    known = Known.of(own.flatten(0, 1), basis)
    first = known.first(rank), known_ref.first(rank)
    return Bounds(rank, first, (known.more(rank, -1), known_ref.more(rank, 1)), SLACK * limit)


def choose_rank(own: Tensor, ref: Tensor, known_ref: Known, basis: Tensor, scale: Tensor) -> int | None:
    """The k that costs least on a few patches; None when the full product does. For arguments see ``find_bounds``."""
    (h, w, channels), (rows, cols) = own.shape, scale.shape
    places = torch.linspace(0, (h - 2) * (w - 2) - 1, PROBES).long()
    corners = (places // (w - 2) * w + places % (w - 2))[:, None]
    patch = torch.tensor([i * w + j for i in range(3) for j in range(3)])
    pixels = own.view(h * w, -1)[(corners + patch).flatten()]

    def correlations(own: Tensor, ref: Tensor) -> Tensor:
        products = (own @ ref[: (rows + 2) * (cols + 2)].T).view(PROBES, 3, 3, rows + 2, cols + 2)
        sums = sum(products[:, i, j, i : i + rows, j : j + cols] for i in range(3) for j in range(3))
        return (sums * scale).flatten(1)

    best = correlations(pixels, ref).amax(1, keepdim=True)
    probes = Known.of(pixels, basis)
    costs: dict[int | None, float] = {None: channels + SUMS}
    for k in RANKS:
        least = k + 1 + SUMS
        if least < 0.95 * min(costs.values()):
            share = (correlations(probes.first(k), known_ref.first(k)) >= best).float().mean().item()
            costs[k] = least + LOOK * share
    return min(costs, key=costs.__getitem__)

