"""Runs the corpus, the fuzz targets, the kills and the faults; writes their counts into docs/project/reliability.md.

    python tests/reliability/report.py --kills 100 --seconds 30
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "project" / "reliability.md"
BEGIN, END = "<!-- counts: written by tests/reliability/report.py -->", "<!-- end of counts -->"

# The folders that pytest finds modules in, for a start by hand.
HELPERS = ("reliability", "leaderboard", "builder", "datasets", "local_page")
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / name) for name in HELPERS)]


def corpus() -> dict[str, int]:
    """Run every hostile input; return the number of cases by class. Raises SystemExit naming those that fail."""
    from corpus import all_cases
    from sandbox import Sandbox

    cases = all_cases()
    with Sandbox() as sandbox:
        failed = [f"{case.name}: {'; '.join(wrong)}" for case in cases if (wrong := sandbox.judge(case)[1])]
    if failed:
        raise SystemExit("\n".join(failed))
    return dict(Counter(case.name.partition(":")[0] for case in cases))


def hindered() -> dict[str, int]:
    """Hinder each command in every way that this machine allows; return the number of commands by fault."""
    import faults
    import kills

    with kills.bench() as place:
        return faults.run(place)


def table(kind: str, counts: Mapping[str, int], unit: str) -> list[str]:
    """Return the rows of one kind, the sum first."""
    total = f"| **{kind}** | **{sum(counts.values()):,} {unit}** |"
    return [total, *(f"| {name} | {count:,} |" for name, count in sorted(counts.items()))]


def written(text: str, rows: list[str]) -> str:
    """Return the page with these rows between its two marks."""
    between = "\n".join([BEGIN, "", "| what | runs |", "| --- | ---: |", *rows, "", END])
    return re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda found: between, text, flags=re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="kills in all")
    parser.add_argument("--seconds", type=int, default=30, help="seconds for each fuzz target")
    asked = parser.parse_args()
    import fuzz
    import kills

    rows = [
        *table("hostile inputs", corpus(), "cases"),
        *table("fuzzing", fuzz.run(asked.seconds), "executions"),
        *table("kills", kills.run(asked.kills), "kills"),
        *table("faults", hindered(), "commands"),
    ]
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
