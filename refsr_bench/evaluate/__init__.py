"""The evaluation loop and what surrounds it: run folders, predictors, checks, measuring again."""
