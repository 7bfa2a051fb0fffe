"""The commands that run methods and measure SR images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.common import (
    command_line,
    exit_on_failures,
    metrics_of,
    pair_progress,
    protocol_of,
    report_runs,
    views_of,
)
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one, path_type, views_option, with_options
from refsr_bench.core.commands import command
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.core.schema import Result
    from refsr_bench.evaluation.plan import Pictures


@click.command(cls=Command)
@options.method(
    "'all': every method with installed weights.",
    "methods",
    multiple=True,
    shell_complete=complete.names("METHODS", "all"),
)
@click.option("--command", help="A method of your own: 'python mymodel.py {lr} {ref} {out}', run once per image.")
@click.option(
    "--depends",
    type=path_type(),
    multiple=True,
    help="A file or folder that --command runs without naming it: its changes make another run. May be given again.",
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit of --command per image.",
)
@options.dataset("", "datasets", multiple=True, required=True)
@with_options(options.protocol_options)
@click.option("--draws", type=click.IntRange(2, 1000), help="Repeat with references drawn at random from N seeds.")
@options.weights(
    "Without --method: a model from anywhere, which is recognised. 'synthetic': made by formula, to try methods that "
    "have none.",
    multiple=True,
    metavar="[METHOD=]PATH",
)
@options.matching()
@views_option("run")
@options.tile_option("run")
@options.name("Of the method's row and folder; default: its own.")
@options.limit("The first pairs; such runs are never ranked.")
@options.device_option
@options.dtype_option
@options.save_images("Default: of at most 20 pairs.", default=None)
@click.option("--save-matches", is_flag=True, help="Also save pictures of correspondences.")
@options.reuse_option
@options.data_root_option
@with_options(options.metric_options)
@options.leaks_option
@options.results_out
@options.json_option
@as_one
def run(asked: Any) -> None:
    """Run methods on data sets under one protocol, record every image, and write results and a page."""
    from leaderboard.tables.terminal import draws_table
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation.loading import EXTERNAL, Choice
    from refsr_bench.evaluation.machine import resolve_device
    from refsr_bench.evaluation.pictures import pictures_of
    from refsr_bench.evaluation.session import Session, run_session
    from refsr_bench.tiles.sizes import parse as tiles_of

    methods = asked.methods or ((EXTERNAL,) if asked.command else ())
    if not methods and not asked.weights:
        known = command("methods", "list")
        raise Misuse(f"Give --method NAME (`{known}` has the names), --method all, --command, or --weights FILE.")
    if asked.draws and asked.refs:
        raise Misuse("--draws chooses references at random itself; leave --refs out.")
    protocol = protocol_of(asked.protocol_name, asked.settings, asked.refs)
    draws = [protocol.changed({"refs": f"random:{seed}"}) for seed in range(asked.draws or 0)]
    datasets = tuple(open_dataset(dataset, asked.data_root) for dataset in asked.datasets)
    device = resolve_device(asked.device)
    metrics = metrics_of(protocol, device, asked)
    asked_for = {None: pictures_of(datasets, asked.limit, metrics), True: "images", False: "none"}
    pictures = "matches" if asked.save_matches else asked_for[asked.save_images]
    session = Session(
        choice=Choice(
            methods,
            asked.weights,
            device,
            asked.matching,
            asked.command,
            asked.time_limit,
            asked.depends,
            views_of(asked.views),
            tiles_of(asked.tile),
            asked.dtype,
        ),
        datasets=datasets,
        protocols=tuple(draws or [protocol]),
        metrics=metrics,
        name=asked.name,
        limit=asked.limit,
        allow_leaks=asked.allow_leaks,
        pictures=pictures,
        command=command_line(),
    )
    done = list(run_session(session, asked.out, asked.reuse, pair_progress))
    report_runs(done, asked.out, asked.as_json)
    _report_pictures(done, asked.out, pictures)
    if draws and not asked.as_json:
        click.echo(f"\nOver the draws (mean ± standard deviation)\n{draws_table([result for result, _ in done])}")
    exit_on_failures(done)


def _report_pictures(done: Sequence[tuple[Result, Path]], out: Path, pictures: Pictures) -> None:
    """Report the disk space that the pictures of these runs take, and which pictures are missing."""
    from refsr_bench.evaluation.pictures import missing_pictures, picture_folders
    from refsr_bench.pixels import saved

    if pictures == "none":
        return
    count, size = saved.size(picture_folders(folder for _, folder in done))
    output.notice(f"Pictures: {count} files, {size / 2**20:.1f} MiB below {out}")
    for result, folder in done:
        if missing := missing_pictures(folder, result):
            output.warn(
                f"{result.run.method.name}, {result.run.dataset.name}: {len(missing)} images were measured before "
                "without being saved; --reuse never measures and saves them."
            )


@click.command(cls=Command)
@click.option("--pred", type=path_type(), required=True, help="Folder of SR images, one per pair.")
@options.dataset("", "dataset_name", required=True)
@with_options(options.protocol_options)
@options.name("Of the method that made the images.", required=True)
@click.option("--group", type=click.Choice(["SISR", "Ref-SR"]), default="Ref-SR", show_default=True,
              help="Of methods: without references, or with them.")  # fmt: skip
@options.gan("The method was trained so; such rows are shaded.")
@options.device_option
@click.option("--partial", is_flag=True, help="Measure the others when images are missing; never ranked.")
@options.save_images("Default: none.", default=False)
@options.reuse_option
@options.data_root_option
@with_options(options.metric_options)
@options.leaks_option
@options.results_out
@options.json_option
@as_one
def score(asked: Any) -> None:
    """Measure SR images that any other code produced.

    A file belongs to a pair when it is called like the pair's id, its HR file or its reference file, with or without
    something after "_", "-" or "." (000.png, 000_0.png, 000_mymethod.png).
    """
    from refsr_bench.api import scoring
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation.loop import evaluate
    from refsr_bench.evaluation.machine import resolve_device

    protocol = protocol_of(asked.protocol_name, asked.settings, asked.refs)
    plan = scoring.plan_of(
        scoring.Outside(asked.pred, asked.name, asked.group, asked.gan, asked.partial),
        open_dataset(asked.dataset_name, asked.data_root),
        protocol,
        metrics=metrics_of(protocol, resolve_device(asked.device), asked),
        allow_leaks=asked.allow_leaks,
        save_images=asked.save_images,
        command=command_line(),
    )
    done = [evaluate(plan, asked.out, reuse=asked.reuse, track=pair_progress(asked.name))]
    report_runs(done, asked.out, asked.as_json)
    _report_pictures(done, asked.out, plan.pictures)
    exit_on_failures(done)
