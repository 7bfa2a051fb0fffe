"""The leaderboard: reads run files and writes static pages. It never loads torch."""
