"""Shares what several commands need: the display of errors, common options, and small helpers around a run."""

from __future__ import annotations

import dataclasses
import errno
import functools
import io
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.core import extras
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.terminal import one_line, printable

if TYPE_CHECKING:
    from refsr_bench.core.schema import Result
    from refsr_bench.evaluation.loop import Track
    from refsr_bench.evaluation.metrics import Metric
    from refsr_bench.protocols.base import Protocol
    from refsr_bench.views.proposals import Views


class EchoHandler(logging.Handler):
    """Show what the packages log as plain lines on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(printable(record.getMessage()), err=True)


class Commands(click.Group):
    """Shows problems that a person can mend as one paragraph, with exit code 2 for misuse and 1 for failed work."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            # Python shows bytes that are no UTF-8 as halves of characters
            if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", word):
                raise click.UsageError(f"{word[:200]!a}: control characters, or no UTF-8. Rename the file.", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        logger = logging.getLogger("refsr_bench")
        if not any(isinstance(handler, EchoHandler) for handler in logger.handlers):
            logger.addHandler(EchoHandler())
            logger.setLevel(logging.INFO)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"Error: {one_line(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of a pipe left; click ends quietly
                raise
            place = f"{error.filename}: "[:200] if error.filename else ""
            told = f"{place}{error.strerror or error}. Check the place, its rights and its room."
            click.echo(f"Error: {one_line(told)}", err=True)
            no_path = error.errno in (errno.ENAMETOOLONG, errno.ELOOP)
            ctx.exit(Misuse.exit_code if no_path else BenchError.exit_code)
        except ImportError as error:
            if not (told := extras.explained(error)):
                raise
            click.echo(f"Error: {one_line(told)}", err=True)
            ctx.exit(Misuse.exit_code)
        except KeyboardInterrupt:
            click.echo("\nStopped. Records are kept; run the same command again to continue.", err=True)
            ctx.exit(130)


def names(kind: str) -> Callable[..., list[str]]:
    """Shell completion with the names of the catalogue."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from refsr_bench.core import catalogue

        return [name for name in catalogue.collect(kind) if name.startswith(incomplete)]

    return complete


def path_type(**checks: Any) -> click.Path:
    return click.Path(path_type=Path, **checks)


data_root_option = click.option(
    "--data-root",
    type=path_type(),
    help="Folder that holds the data sets, or one data set itself. Default: $REFSR_DATA.",
)
protocol_options = [
    click.option(
        "--protocol",
        "protocol_name",
        default="c2",
        show_default=True,
        shell_complete=names("PROTOCOLS"),
        help=f"A published convention; `{command('protocols')}` lists them.",
    ),
    click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override one choice."),
    click.option("--refs", help="Which references: standard, all, L1, level:K, first, random:SEED, list, lr, none."),
]
lpips_option = click.option("--lpips-weights", type=path_type(), help="AlexNet file from torchvision, when offline.")
leaks_option = click.option("--allow-leaks", is_flag=True, help="Measure pairs whose reference is the ground truth.")
matching_option = click.option(
    "--matching",
    help="How C2-Matching matches: exact (as published), sub-cell (to parts of a pixel), half (16 bits) or coarse "
    "(faster).",
)
VIEWS = {"run": "none", "robustness": "none", "sr": "auto", "match": "none"}
"""The views of commands that are not told. ``run`` and ``robustness`` measure methods as they were published; ``sr``
gives the best image (``api.upscaling``)."""


def views_option(name: str, more: str = "", multiple: bool = False) -> Callable:
    """Return the option --views of a command. more: what else it takes; multiple: it may be given again."""
    return click.option(
        "--views",
        default=(VIEWS[name],) if multiple else None if name == "sr" else VIEWS[name],
        show_default=VIEWS[name],
        multiple=multiple,
        metavar="auto|none|N[:KEYPOINTS]",
        help="Views of the references that the method is given: warped into the frame of the image by the motions that "
        f"are found, at most N.{more}",
    )


reuse_option = click.option(
    "--reuse",
    type=click.Choice(["missing", "never", "only"]),
    default="missing",
    show_default=True,
    help="Records of an earlier run: measure the pairs that are missing, set the old run aside and measure every pair, "
    "or measure nothing.",
)
out_option = click.option("--out", type=path_type(), default=Path("results"), show_default=True, help="Results folder.")


def with_options(options: Sequence[Callable]) -> Callable:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def as_one(function: Callable) -> Callable:
    """Hand a command all of its options as one frozen object: ``asked.limit`` is what ``--limit`` was given."""

    @functools.wraps(function)
    def call(**options: Any) -> None:
        function(dataclasses.make_dataclass("Options", options, frozen=True)(**options))

    return call


def command_line() -> str:
    return command(*sys.argv[1:])


def protocol_of(name: str, settings: Sequence[str] = (), refs: str | None = None) -> Protocol:
    from refsr_bench.core import catalogue
    from refsr_bench.protocols.base import parse_label, parse_settings

    values = parse_settings(settings)
    if refs is not None:
        values["refs"] = refs
    protocol = parse_label(name, lambda label: catalogue.get("PROTOCOLS", label))
    return protocol.changed(values) if values else protocol


def views_of(text: str) -> Views | None:
    from refsr_bench.views.proposals import parse

    return parse(text)


def metrics_of(protocol: Protocol, device: str, lpips_weights: Path | None) -> tuple[Metric, ...]:
    from refsr_bench.evaluation.metrics import load_metrics

    return load_metrics(protocol.metrics, device, lpips_weights)


def pair_progress(what: str) -> Track:
    """Return a progress bar over the pairs of a run."""
    from refsr_bench.core.terminal import tracked

    return functools.partial(tracked, what=what)


def report_runs(done: Sequence[Result], out: Path) -> None:
    """Print the means of these runs, then build the pages of everything in the results folder, with small pictures."""
    from leaderboard.pages.site import build
    from leaderboard.reading.failures import reasons
    from refsr_bench.cli.tables import means_table

    for label in dict.fromkeys(result.run.protocol.label for result in done):
        group = [result for result in done if result.run.protocol.label == label]
        click.echo(f"\nProtocol {label} ({group[0].run.protocol.digest[:8]})\n{means_table(group)}")
    for result in done:
        for reason, number in reasons(result.failed):
            where = f"{result.run.method.name}, {result.run.dataset.name}"
            click.echo(one_line(f"failed: {where}, {number} of {len(result.run.pair_ids)} pairs: {reason}"), err=True)
    built = build(out, out / "site", images="thumbs", drawn=False)
    for problem in built.problems:
        click.echo(one_line(f"left out of the page: {problem.path}: {problem.reason}"), err=True)
    click.echo(f"\nPage: {built.pages[0]}")


def exit_on_failures(done: Sequence[tuple[Result, Path]]) -> None:
    failed = sum(len(result.failed) for result, _ in done)
    if failed:
        click.echo(f"{failed} images failed, for the reasons above. The same command tries them again.", err=True)
        sys.exit(1)
