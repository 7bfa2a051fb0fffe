"""The commands that turn results into pages and figures to publish."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Group, renamed
from refsr_bench.core.errors import Misuse
from refsr_bench.core.terminal import one_line

if TYPE_CHECKING:
    from leaderboard.reading.load import Problem

FOLDERS = ("fiftyone", "hub")
"""Formats of an export that are folders."""


@click.group(cls=Group)
def leaderboard() -> None:
    """Results as a page to publish."""


@leaderboard.command("build")
@options.results("", "results_dir")
@options.out("The folder of the site.", default=Path("site"), show_default=True)
@options.title()
@click.option(
    "--pictures",
    type=click.Choice(["all", "thumbs", "none"]),
    default="all",
    show_default=True,
    help="Pictures that runs saved (--save-images): all, small ones only, or none.",
)
@renamed("--images", "pictures", "--pictures")
@click.option(
    "--publish-inputs",
    "publish",
    multiple=True,
    metavar="DATASET",
    help="Publish pictures of a data set whose owners do not allow it to everyone. May be given again.",
)
@options.json_option
@options.as_one
def leaderboard_build(asked: Any) -> None:
    """Build the static site of every result below a folder: tables, statistics, figures, methods, images."""
    from leaderboard.pages.site import build

    title = {"title": asked.title} if asked.title else {}
    report = build(asked.results_dir, asked.out, images=asked.pictures, publish=asked.publish, **title)
    for name, reason in report.withheld:
        output.notice(f"no pictures of {name}: {reason}; --publish-inputs {name} if you may.")
    document = {"page": report.pages[0], "pages": report.pages, "exports": report.exports,
                "withheld": [name for name, _ in report.withheld], "left_out": report.problems}  # fmt: skip
    output.answer(asked.as_json, document, f"{report.pages[0]} ({len(report.pages)} pages)")
    _left_out(report.problems)


@leaderboard.command("export")
@options.results("", "results_dir")
@options.protocol("Or its label, or the start of its digest. Not needed if there is only one.")
@options.metric("Instead of the protocol's PSNR and SSIM.", "metrics", multiple=True)
@click.option("--published/--no-published", default=True, show_default=True, help="Add published numbers.")
@options.file_format(["csv", "json", "latex", "markdown", *FOLDERS], default="markdown")
@options.out("A new folder, for the formats fiftyone and hub.")
@click.option("--source", default="", metavar="ADDRESS", help="Where these results are published, for the format hub.")
@options.as_one
def leaderboard_export(asked: Any) -> None:
    """Print one table of the leaderboard, as its page exports it, or write a folder for another program.

    fiftyone: the pictures of one protocol as a grouped data set that FiftyOne opens, with the values of all metrics.
    hub: every result as a data set for the Hugging Face Hub, and a model card for every method. Nothing is sent.
    """
    if (asked.form in FOLDERS) != (asked.out is not None):
        raise Misuse(f"--out is for --format {' and '.join(FOLDERS)}, which need it; the others print.")
    if asked.source and asked.form != "hub":
        raise Misuse("--source is for --format hub.")
    if asked.form not in FOLDERS:
        from leaderboard.exports.export import export_folder

        text, problems = export_folder(asked.results_dir, asked.form, asked.protocol, asked.metrics, asked.published)
        click.echo(text, nl=False)
    elif asked.form == "fiftyone":
        problems = _write_fiftyone(asked)
    else:
        problems = _write_hub(asked)
    _left_out(problems)


def _write_fiftyone(asked: Any) -> Sequence[Problem]:
    from leaderboard.exports import fiftyone

    written = fiftyone.write(asked.results_dir, asked.out, asked.protocol)
    click.echo(f"{asked.out}: {written.groups} images with {written.samples} pictures: {', '.join(written.slices)}")
    for name, reason in written.withheld:
        output.notice(f"The pictures of {name} are for you alone: {reason}")
    return written.problems


def _write_hub(asked: Any) -> Sequence[Problem]:
    from leaderboard.exports import hub

    written = hub.write(asked.results_dir, asked.out, asked.source)
    click.echo("\n".join(map(str, written.files)))
    for line in written.left:
        output.notice(f"not in a model card: {line}")
    return written.problems


@leaderboard.command("figures")
@options.results("", "results_dir")
@options.out("The folder of the figures.", default=Path("figures"), show_default=True)
@options.file_format(["svg", "png", "pdf"], default="pdf")
@click.option("--narrow", is_flag=True, help="One column wide (3.6 inches) instead of two (7.2).")
@options.json_option
def leaderboard_figures(results_dir: Path, out: Path, form: str, narrow: bool, as_json: bool) -> None:
    """Draw every figure that has enough data, as a file for a paper with its data as CSV beside it.

    Robustness, quality against cost, ablation, levels of similarity, protocol sensitivity.
    """
    from leaderboard.pages.figures import write

    report = write(results_dir, out, form, narrow)
    missing = {kind.key: kind.needs for kind in report.missing}
    document = {"files": report.files, "missing": missing, "left_out": report.problems}
    output.answer(as_json, document, "\n".join(map(str, report.files)))
    for kind in report.missing:
        output.notice(f"no {kind.key} figure: needs {kind.needs}\n    {kind.command(results_dir)}")
    _left_out(report.problems)


def _left_out(problems: Sequence[Problem]) -> None:
    """Say which files were left out and why; the command fails if there were any."""
    for problem in problems:
        output.warn(one_line(f"left out: {problem.path}: {problem.reason}"))
    if problems:
        sys.exit(1)
