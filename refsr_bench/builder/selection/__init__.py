"""The choice of a reference for each query: what people decided, how well they agree, and the page they use."""
