"""Matching of descriptors."""
