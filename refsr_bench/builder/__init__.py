"""Building a webly-referenced data set: queries, a pool of candidates, cleaning, selection, rescaling, export.

A project is a folder of plain tables and images (``project.py``); each stage reads the tables before it and adds rows
to its own, so that every stage can be looked at, stopped and gone on with.
"""
