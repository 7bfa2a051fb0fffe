"""Reading run files, pictures and published numbers."""
