"""Statistics between methods."""
