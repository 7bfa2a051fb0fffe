"""Measures how alike images are: embeddings and an index, matches and copies of two, levels from albums."""
