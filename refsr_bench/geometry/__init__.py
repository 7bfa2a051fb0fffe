"""Positions in one image and in another: transformations, their truth, and the errors of correspondences."""
