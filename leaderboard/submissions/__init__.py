"""Checking what others submit."""
