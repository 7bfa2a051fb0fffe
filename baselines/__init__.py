"""The systems that C2-Matching is compared with, one module each: the card and the adapter."""
