"""Hostile images."""

from __future__ import annotations

from pathlib import Path

from hostile.case import Case


def _empty(folder: Path) -> list[str]:
    (folder / "low.png").touch()
    return ["sr", "--lr", "low.png", "--method", "bicubic", "--out", "sr.png"]


CASES = (Case("images: 0 bytes", _empty, "low.png"),)
