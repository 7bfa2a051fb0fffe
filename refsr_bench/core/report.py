"""Kept while callers move to ``core.terminal``."""

from refsr_bench.core.terminal import text_table as text_table
