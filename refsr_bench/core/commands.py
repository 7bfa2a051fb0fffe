"""Command lines that messages and pages tell a person to type."""

from __future__ import annotations

import shlex
from pathlib import Path


def command(*words: str | Path, program: str = "refsr-bench") -> str:
    """Return a command line, quoted so that a shell reads these words again.

    words: those behind ``program``. One in capitals ("FILE") is for the reader to fill in; a Path never reads as an
    option.
    """
    return shlex.join([program, *map(_word, words)])


def _word(word: str | Path) -> str:
    return f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
