"""Reads run files, pictures and published numbers."""
