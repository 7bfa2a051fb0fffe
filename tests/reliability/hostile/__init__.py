"""Hostile inputs, one module per class of files, each with ``CASES`` or ``cases()``; files are made by running them."""
