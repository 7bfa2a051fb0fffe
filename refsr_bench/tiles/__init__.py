"""Large images in small memory: tiles of LR, each with the part of the references that shows the same."""
