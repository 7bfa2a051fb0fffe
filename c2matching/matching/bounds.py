"""Upper bounds of patch correlations: exact matching computes in full only what they cannot exclude (Eq. 4 and 8).

Descriptors of photographs lie close to a few directions. That bounds their correlations at a fraction of the work:

1. Split a pixel's descriptor into its part along the first k principal directions of both maps and the rest,
   a = Pa + a'. The parts are orthogonal, so a.b = Pa.Pb + a'.b'.
2. Cauchy and Schwarz bound the second term by the norms of the rests:

       a.b <= Pa.Pb + |a'| |b'|

   The right side is again a product of two vectors, of k + 1 numbers instead of C: the k coordinates of Pa, and the
   norm |a'| as one more channel.
3. A patch correlation is the sum over nine pixel pairs, so the sum of the nine bounds is a bound of it.
4. Once some correlation of a patch is known, all candidates whose bound lies below it are excluded.
5. Those that are left get a second bound, with K = DIRECTIONS > k directions. It is the first one plus

       (what directions k+1 .. K contribute) + |a''| |b''| - |a'| |b'|

   where a'' is what K directions leave. This, too, is a product of two vectors, of K - k + 2 numbers.
6. Only candidates that the second bound leaves as well are correlated over all C channels.

Nothing is approximate. In float32 three things are not as above, and the allowances below exceed them: squared norms
and products are rounded, |a'| is computed as a small difference of two squared norms, and the computed directions are
not quite orthonormal. With the matrix B of directions as columns and E = BᵀB - I, the latter takes up to |E| |a| |b|
from a bound, and up to |E| |a|² from a squared rest. On descriptors of photographs and on synthetic ones, the 2-norm of
E was measured as 1.9e-6 to 2.5e-6, and the error of the squared rests as 0.6e-6 to 1.5e-6 of the squared norms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

RANKS = (63, 95, 47)  # k, the usual one first; k + 1 channels are a multiple of 16, which suits vector units
DIRECTIONS = 125  # K: with k = 63, K - k + 2 channels are 64
PROBES = 8  # patches on which k is chosen
SPREAD = 0.6  # share of the channels; energy spread over more directions than that means descriptors as good as random
SAMPLE = 1024  # pixels of each map from which the directions are computed
# The cost of a pair of patches in multiplications of the product: the nine-shift sum with its maximum takes about 30, a
# look at a candidate that the first bound leaves about 2000. They decide what is tried, never what is found.
SUMS_COST, CANDIDATE_COST = 30, 2000
WORTHWHILE = 0.95  # another k must promise to be 5 % cheaper before it is tried
ROUNDING = 4e-6  # added to squared rests, relative to the squared norm: more than the 1.5e-6 measured above
SLACK = 4e-6  # allowed to every bound, relative to the norms of the two patches: more than the 2.5e-6 measured above


def principal_directions(features: Tensor, ref_features: Tensor) -> Tensor | None:
    """Compute the principal directions of both maps, (C, DIRECTIONS), orthonormal, by falling energy.

    features (C, h, w), ref_features (C, H, W). Returns None when bounds cannot pay, because there are too
    few channels or the energy is spread over too many directions.
    """
    pixels = torch.cat([f.flatten(1)[:, :: max(1, f[0].numel() // SAMPLE)] for f in (features, ref_features)], 1)
    energy = pixels @ pixels.T  # (C, C)
    channels = len(energy)
    # With eigenvalues e, (sum e)^2 / sum e^2 counts the directions that hold the energy.
    if channels <= DIRECTIONS or energy.trace().square() > SPREAD * channels * energy.square().sum():
        return None
    return torch.linalg.eigh(energy)[1].flip(1)[:, :DIRECTIONS]


@dataclass(frozen=True)
class Projected:
    """Descriptors in the principal directions: coordinates (n, DIRECTIONS) and squared norms, ``energy`` (n,)."""

    coordinates: Tensor
    energy: Tensor

    @classmethod
    def of(cls, pixels: Tensor, basis: Tensor) -> Projected:
        """Project pixels (n, C) on basis (C, DIRECTIONS), orthonormal."""
        return cls(pixels @ basis, pixels.square().sum(1))

    def rest(self, rank: int) -> Tensor:
        """Return |a'|, the norms of what ``rank`` directions leave, or a little more, (n, 1)."""
        left = self.energy - self.coordinates[:, :rank].square().sum(1)  # Pythagoras
        return (left.clamp_min(0) + ROUNDING * self.energy).sqrt()[:, None]

    def first(self, rank: int) -> Tensor:
        """Return vectors (n, k+1) of the first bound, whose products are at least those of all channels (step 2)."""
        return torch.cat([self.coordinates[:, :rank], self.rest(rank)], 1)

    def second(self, rank: int, sign: int) -> Tensor:
        """Return vectors (n, K-k+2) whose products, added to the first bound, give the second (step 5).

        sign: -1 for the one map and 1 for the other, so that |a'| |b'| is taken away.
        """
        return torch.cat([self.coordinates[:, rank:], self.rest(DIRECTIONS), sign * self.rest(rank)], 1)


@dataclass(frozen=True)
class Bounds:
    """Bounds of the correlations of one map's patches with another's, as pairs of vectors of their pixels.

    first: (h*w, k+1) and (n, k+1); products summed over a patch are at least its correlation. second: (h*w, K-k+2) and
    (n, K-k+2); their sums added to the first make the closer bound. slack (h-2, w-2): what rounding may take from
    either.
    """

    rank: int
    first: tuple[Tensor, Tensor]
    second: tuple[Tensor, Tensor]
    slack: Tensor


def find_bounds(own: Tensor, ref: Tensor, basis: Tensor, scale: Tensor, limit: Tensor) -> Bounds | None:
    """Make bounds of the rank that costs least; None when correlating everything costs less.

    own (h, w, C) and ref (n, C): pixels of the map and of its reference, row after row, n >= H*W. basis
    (C, DIRECTIONS): their ``principal_directions``. scale (H-2, W-2): what correlations with each reference patch are
    multiplied by. limit (h-2, w-2): the product of norms, which no correlation of a patch exceeds.
    """
    ref_projected = Projected.of(ref, basis)
    rank = choose_rank(own, ref, ref_projected, basis, scale)
    if rank is None:
        return None
    projected = Projected.of(own.flatten(0, 1), basis)
    first = projected.first(rank), ref_projected.first(rank)
    return Bounds(rank, first, (projected.second(rank, -1), ref_projected.second(rank, 1)), SLACK * limit)


def choose_rank(
    own: Tensor, ref: Tensor, ref_projected: Projected, basis: Tensor, scale: Tensor
) -> int | None:
    """Choose the k that costs least on a few patches; None when the full product costs less.

    The cost is that of the product of k + 1 channels plus that of the candidates which the first bound leaves when the
    best match is known. ref_projected: ``ref`` in ``basis``; the other arguments are those of ``find_bounds``.
    """
    (h, w, channels), (rows, cols) = own.shape, scale.shape
    places = torch.linspace(0, (h - 2) * (w - 2) - 1, PROBES).long()
    corners = (places // (w - 2) * w + places % (w - 2))[:, None]
    patch = torch.tensor([i * w + j for i in range(3) for j in range(3)])
    pixels = own.view(h * w, -1)[(corners + patch).flatten()]  # (PROBES * 9, C)

    def correlations(own: Tensor, ref: Tensor) -> Tensor:
        """Correlate vectors (PROBES * 9, c) and (n, c) over all reference patches: (PROBES, rows * cols)."""
        products = (own @ ref[: (rows + 2) * (cols + 2)].T).view(PROBES, 3, 3, rows + 2, cols + 2)
        sums = sum(products[:, i, j, i : i + rows, j : j + cols] for i in range(3) for j in range(3))
        return (sums * scale).flatten(1)

    best = correlations(pixels, ref).amax(1, keepdim=True)
    probes = Projected.of(pixels, basis)
    costs: dict[int | None, float] = {None: channels + SUMS_COST}
    for k in RANKS:
        least = k + 1 + SUMS_COST
        if least < WORTHWHILE * min(costs.values()):
            share = (correlations(probes.first(k), ref_projected.first(k)) >= best).float().mean().item()
            costs[k] = least + CANDIDATE_COST * share
    return min(costs, key=costs.__getitem__)
