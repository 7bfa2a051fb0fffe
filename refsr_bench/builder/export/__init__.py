"""The finished data set: its files, data card, Croissant metadata, and its upload to the Hugging Face Hub."""
