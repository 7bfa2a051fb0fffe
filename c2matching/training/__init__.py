"""Losses, stages and configurations of training."""
