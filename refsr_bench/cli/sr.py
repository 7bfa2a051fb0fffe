"""The command that super-resolves photos."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one
from refsr_bench.core.errors import BenchError
from refsr_bench.core.terminal import one_line

if TYPE_CHECKING:
    from refsr_bench.api.photos import Job, Restored, Restorer
    from refsr_bench.api.upscaling import Upscaler


@click.command(cls=Command)
@options.lr("A folder and a quoted pattern ('photos/*.jpg') name several.", "lrs", multiple=True, required=True)
@options.ref("A folder and a pattern name several; of a folder, several photos get what is called like them.", "refs")
@options.method("Default: what --weights are recognised as, else c2matching.")
@options.weights("Without --method: a model from anywhere, which is recognised.", type=options.path_type())
@options.matching()
@options.views_option("sr")
@options.tile_option("sr")
@options.device_option
@options.dtype_option
@options.out("SR of one photo, a .png; or a folder, which gets a .png for each.", required=True)
@options.overwrite("Without it, photos that are in the folder already are left as they are.")
@options.json_option
@as_one
def sr(asked: Any) -> None:
    """Super-resolve photos x4 with the help of reference photos of any size.

    Alpha, grey, 16 bits and the colour profile of a photo are kept. A photo that fails does not stop the others.
    """
    from refsr_bench.api import photos, upscaling

    manner = upscaling.Manner(
        asked.method, asked.weights, asked.matching, asked.views, asked.device, asked.dtype, asked.tile
    )
    upscaling.check(manner, len(asked.refs))
    planned = photos.jobs(asked.lrs, asked.refs, asked.out, manner.card, asked.overwrite)
    todo = [job for job in planned if not job.there]
    if len(todo) < len(planned):
        output.notice(f"{len(planned) - len(todo)} photos are in {asked.out} already; --overwrite makes them again.")
    upscaler = upscaling.upscaler(manner) if todo else None
    done = _restored(todo, photos.Restorer(upscaler)) if upscaler else []
    failed = [(job, made) for job, made in done if isinstance(made, str)]
    if len(planned) == 1 and failed:
        raise BenchError(failed[0][1])
    document = {
        "method": manner.card.name,
        "weights": upscaler.loaded.weights if upscaler else None,
        "there_already": len(planned) - len(todo),
        "photos": [_document(job, made) for job, made in done],
    }
    words = [_in_words(job, made, upscaler) for job, made in done if not isinstance(made, str)]
    if words or asked.as_json:
        output.answer(asked.as_json, document, "\n".join(map(one_line, words)))
    for job, reason in failed:
        output.warn(one_line(f"failed: {job.lr}: {reason}"))
    if failed:
        output.warn(f"{len(failed)} of {len(todo)} photos failed, for the reasons above.")
        sys.exit(1)


def _restored(todo: Sequence[Job], restorer: Restorer) -> list[tuple[Job, Restored | str]]:
    """Restore photos with a progress bar: of photos, or of the tiles of a single one."""
    from refsr_bench.api.photos import restored
    from refsr_bench.core.terminal import progress_bar

    done: list[tuple[Job, Restored | str]] = []
    single = len(todo) == 1
    with progress_bar(restorer.upscaler.card.title, "tiles" if single else "photos") as report:

        def track(tile: int, tiles: int) -> None:
            if single:
                report(tile, tiles)
            else:
                report(len(done), len(todo), f"tile {tile} of {tiles}")

        for result in restored(todo, restorer, track):
            done.append(result)
            if not single:
                report(len(done), len(todo))
    return done


def _document(job: Job, made: Restored | str) -> dict[str, Any]:
    asked = {"lr": str(job.lr), "refs": list(map(str, job.refs)), "file": str(job.out)}
    if isinstance(made, str):
        return {**asked, "error": made}
    width, height = made.size
    return {**asked, "width": width, "height": height, "bits": made.bits, "tile": made.tile, "error": None}


def _in_words(job: Job, made: Restored, upscaler: Upscaler) -> str:
    seen = ""
    if made.tile is not None:
        seen = f"; in tiles of {made.tile} LR pixels"
    elif upscaler.views:
        seen = _views_in_words(made, job.refs)
    if made.bits < made.lr_bits:
        seen += f"; written with {made.bits} bits, because {upscaler.card.name} computes in them"
    width, height = made.size
    return f"{job.out}: {width}x{height}, {upscaler.card.title}, weights {upscaler.loaded.weights.name}{seen}"


def _views_in_words(made: Restored, refs: Sequence[Path]) -> str:
    """Return what the method took from views, or could take if it does not tell."""
    from refsr_bench.core.schema import IN_WORDS

    told = [
        f"; {f'{refs[view.reference]}: ' if len(refs) > 1 else ''}view by {IN_WORDS['found_by'][view.found_by]}, "
        f"{100 * view.share:.0f} % of the image"
        for view in made.views
    ]
    return "".join(told) or "; no view of a reference was believed"
