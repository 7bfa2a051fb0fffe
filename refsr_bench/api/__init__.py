"""The public functions: what ``import refsr_bench`` offers. The command line parses, calls these, and prints."""

SWEPT_METHODS = ("c2matching",)
SWEPT_MATCHERS = ("student", "vgg", "pixels", "sift", "dis")
"""The methods and matchers whose robustness is measured when none are named."""
