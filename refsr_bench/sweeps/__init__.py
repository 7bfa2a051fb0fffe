"""Measures how far a reference can turn, shrink or degrade before a method breaks."""
