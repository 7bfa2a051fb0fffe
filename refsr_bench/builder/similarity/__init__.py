"""Measures how alike images are: embeddings and an index of whole images, matches and copies of two, levels from
albums."""
