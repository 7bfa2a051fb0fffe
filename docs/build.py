"""Builds the documentation as a site: python docs/build.py [OUT]. Every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

from sphinx.cmd.build import build_main

DOCS = Path(__file__).resolve().parent
FIRST = "docs/index.html"  # where the root document lies in the site, as its source does in the repository
LEADING = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>refsr-bench</title>
<meta http-equiv="refresh" content="0; url={FIRST}"><a href="{FIRST}">refsr-bench</a></html>
"""


def main(out: Path) -> int:
    """Write the site into a folder, with a page at its root that leads to the first one; return the exit status."""
    status = build_main(["--fail-on-warning", "--keep-going", "-q", "-c", str(DOCS), str(DOCS.parent), str(out)])
    (out / "index.html").write_text(LEADING, encoding="utf-8")
    if not status:
        print(f"{out / 'index.html'} is ready.")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "_site"))
