"""The public functions: what ``import refsr_bench`` offers. The command line parses, calls these, and prints."""
