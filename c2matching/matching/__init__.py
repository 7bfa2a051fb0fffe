"""Correspondences of descriptors (paper section 3.2, Eq. 4, and section 3.3, Eq. 8), one module per step.

1. ``correspondence``: matches an image with one or several references in the chosen way
2. ``patch_correlation``: the best patch of all, by tiles of the correlation volume
3. ``pruned``: the same patch on CPUs with less work, by the upper bounds of ``bounds`` and the loops of ``compiled``
4. ``coarse``: a nearly best patch of a large reference, from coarse cells to fine ones
5. ``subcell``: the place of a match in fractions of a pixel, with the loops of ``subcell_loops``
6. ``pre_offsets``: the displacements p0 that dynamic aggregation (Eq. 9) reads off the matches

``patches`` holds their common ground: the norms and the numbering of 3x3 patches.
"""
