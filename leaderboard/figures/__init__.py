"""Draws the figures of the leaderboard and of the command line with matplotlib, which is imported inside functions."""
