"""Likeness of images: embeddings and an index of whole images, matches and copies of two, levels from albums."""
