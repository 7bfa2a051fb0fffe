"""The finished data set: its files, data card, Croissant metadata, and the way to the Hugging Face Hub."""
