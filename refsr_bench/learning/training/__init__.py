"""The training of any system: configuration, photos, stages and the loop."""
