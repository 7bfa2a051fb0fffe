"""The leaderboard: run files in, static pages out. Imports nothing of the toolkit but ``refsr_bench.core.results``."""
