"""Errors that a person can mend: shown as one paragraph, without a traceback."""

from __future__ import annotations


class BenchError(Exception):
    """Something a person can mend. The message says what is wrong, where, and what to do; no traceback is shown."""

    exit_code = 1


class Misuse(BenchError):
    """The command itself is wrong (unknown name, impossible option, absent dataset): exit code 2."""

    exit_code = 2


class Busy(BenchError):
    """Another process holds the files that are to be written."""


class NoWeights(Misuse):
    """The requested method comes without weights, and none were given."""
