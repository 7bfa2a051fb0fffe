"""Results as a page to publish."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from refsr_bench.cli.common import path_type
from refsr_bench.types import Misuse


@click.group()
def leaderboard() -> None:
    """Results as a page to publish."""


@leaderboard.command("build")
@click.option("--results", "results_dir", type=path_type(), default=Path("results"), show_default=True)
@click.option("--out", type=path_type(), default=Path("site"), show_default=True)
@click.option("--title", help="The page's heading.")
def leaderboard_build(results_dir: Path, out: Path, title: str | None) -> None:
    """Build the static site of every result below a folder."""
    from leaderboard.site import build

    if not results_dir.is_dir():
        raise Misuse(f"There is no results folder {results_dir}.")
    report = build(results_dir, out, **({"title": title} if title else {}))
    for problem in report.problems:
        click.echo(f"left out: {problem.path}: {problem.reason}", err=True)
    click.echo(f"{report.pages[0]} ({len(report.tables)} tables)")
    if report.problems:
        sys.exit(1)
