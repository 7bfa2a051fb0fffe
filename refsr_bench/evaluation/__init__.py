"""The evaluation loop and its surroundings: run folders, predictors, checks, re-measuring."""
