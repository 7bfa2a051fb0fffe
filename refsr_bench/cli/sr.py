"""The command that super-resolves photos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one
from refsr_bench.core.errors import BenchError
from refsr_bench.core.terminal import one_line

if TYPE_CHECKING:
    from refsr_bench.api.photos import Job, Restored
    from refsr_bench.api.upscaling import Upscaler
    from refsr_bench.core.types import Prediction


@click.command(cls=Command)
@options.lr("A folder and a quoted pattern ('photos/*.jpg') name several.", "lrs", multiple=True, required=True)
@options.ref("A folder and a pattern name several; of a folder, several photos get what is called like them.", "refs")
@options.method(default="c2matching", show_default=True)
@options.weights(type=options.path_type())
@options.matching()
@options.views_option("sr")
@options.tile_option("sr")
@options.device_option
@options.dtype_option
@options.out("SR of one photo, a .png; or a folder, which gets a .png for each.", required=True)
@options.overwrite("Without it, photos that are in the folder already are left as they are.")
@as_one
def sr(asked: Any) -> None:
    """Super-resolve photos x4 with the help of reference photos of any size.

    Alpha, grey, 16 bits and the colour profile of a photo are kept. A photo that fails does not stop the others.
    """
    from refsr_bench.api import photos, upscaling
    from refsr_bench.core.terminal import progress_bar

    manner = upscaling.Manner(
        asked.method, asked.weights, asked.matching, asked.views, asked.device, asked.dtype, asked.tile
    )
    upscaling.check(manner, len(asked.refs))
    planned = photos.jobs(asked.lrs, asked.refs, asked.out, manner.card, asked.overwrite)
    todo = [job for job in planned if not job.there]
    if len(todo) < len(planned):
        click.echo(f"{len(planned) - len(todo)} photos are in {asked.out} already; --overwrite makes them again.")
    if not todo:
        return
    upscaler = upscaling.upscaler(manner)
    failed = []
    with progress_bar(manner.card.title, "photos" if len(todo) > 1 else "tiles") as report:

        def track(done: int, total: int) -> None:
            if len(todo) > 1:
                report(finished, len(todo), f"tile {done} of {total}")
            else:
                report(done, total)

        finished = 0
        for finished, (job, made) in enumerate(photos.restored(todo, photos.Restorer(upscaler), track), 1):
            if isinstance(made, str):
                failed.append((job, made))
            else:
                click.echo(one_line(_in_words(job, made, upscaler)))
            if len(todo) > 1:
                report(finished, len(todo))
    _report_failures(failed, len(todo))


def _report_failures(failed: Sequence[tuple[Job, str]], of: int) -> None:
    """Exit with the reason of a single photo, or with a list of those that failed."""
    if of == 1 and failed:
        raise BenchError(failed[0][1])
    for job, reason in failed:
        click.echo(one_line(f"failed: {job.lr}: {reason}"), err=True)
    if failed:
        click.echo(f"{len(failed)} of {of} photos failed, for the reasons above.", err=True)
        sys.exit(1)


def _in_words(job: Job, made: Restored, upscaler: Upscaler) -> str:
    seen = ""
    if made.prediction.tile is not None:
        seen = f"; in tiles of {made.prediction.tile} LR pixels"
    elif upscaler.views:
        seen = _views_in_words(made.prediction, job.refs)
    if made.bits < made.lr_bits:
        seen += f"; written with {made.bits} bits, because {upscaler.card.name} computes in them"
    width, height = made.size
    return f"{job.out}: {width}x{height}, {upscaler.card.title}, weights {upscaler.loaded.weights.name}{seen}"


def _views_in_words(made: Prediction, refs: Sequence[Path]) -> str:
    """Return what the method took from views, or could take if it does not tell."""
    from refsr_bench.core.schema import IN_WORDS

    shares = made.shares or [view.valid.mean() for view in made.views]
    told = [
        f"; {f'{refs[view.reference]}: ' if len(refs) > 1 else ''}view by {IN_WORDS['found_by'][view.found_by]}, "
        f"{100 * share:.0f} % of the image"
        for view, share in zip(made.views, shares, strict=True)
    ]
    return "".join(told) or "; no view of a reference was believed"
