"""User studies as in the paper's Fig. 6c: people choose the better one of two images, blind, and methods are ranked.

    plan.json    what is compared, written once (``plan``)
    images/      every image that may be shown, without name or metadata
    votes.jsonl  every join, vote and undo (``votes``)

``prepare`` makes the folder from ``sources`` by somebody's ``options``; ``schedule`` says who sees what, ``serve``
asks, ``exchange`` brings votes from elsewhere, ``report`` says what they come to (``statistics``, ``report_format``).
"""
