"""Writes the table of shared options in command-line.md from the commands themselves."""

import re
from pathlib import Path

from refsr_bench.cli import listing, main


def written(page: str) -> str:
    """Return the page with its table brought up to date."""
    begin, end = "<!-- options: written by docs/scripts/options_table.py -->\n", "<!-- end of options -->"
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}{listing.table(main, 2)}\n{end}", page, flags=re.S)


if __name__ == "__main__":
    path = Path(__file__).resolve().parents[1] / "guide" / "command-line.md"
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
