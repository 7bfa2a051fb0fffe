"""Builds a webly-referenced data set: queries, a pool of candidates, cleaning, selection, rescaling, export.

A project is a folder of plain tables and images (``project.py``). Each stage reads the tables of earlier stages and
adds rows to its own, so every stage can be inspected, stopped and continued.
"""
