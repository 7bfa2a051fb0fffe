"""Readers of the files of weights that others write. They bound every size and run no code."""
