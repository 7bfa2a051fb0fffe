"""Checks the results that others submit."""
