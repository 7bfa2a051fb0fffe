"""Training any system: configuration, photos, stages, the loop."""
