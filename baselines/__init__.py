"""One module per system that C2-Matching is compared with: its card and its adapter."""
