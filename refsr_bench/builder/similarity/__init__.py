"""How alike images are: embeddings, index, levels."""
