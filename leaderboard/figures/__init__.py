"""Figures of the leaderboard and of the command line, drawn by matplotlib, which is imported inside functions."""
