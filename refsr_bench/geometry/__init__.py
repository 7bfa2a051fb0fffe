"""How one image lies in another: transformations, their truth, and the errors of correspondences."""
