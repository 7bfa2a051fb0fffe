"""Looks over an installation: what is there and whole, what is missing, and the commands that mend it."""
