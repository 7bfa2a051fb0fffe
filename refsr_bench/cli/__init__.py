"""The command line. Each command parses, calls and prints; everything heavy is imported inside it."""

from __future__ import annotations

import click

from refsr_bench import __version__
from refsr_bench.cli import (
    ablation,
    build,
    compare,
    data,
    doctor,
    leaderboard,
    match,
    methods,
    protocols,
    robustness,
    run,
    sr,
    study,
    submit,
    train,
    view,
    weights,
    weights_export,
)
from refsr_bench.cli.grammar import Commands


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="refsr-bench")
def main() -> None:
    """Data, protocols, methods and results for reference-based super-resolution."""


for command in (
    run.run,
    run.score,
    sr.sr,
    match.match,
    view.view,
    train.train,
    ablation.ablation,
    robustness.robustness,
    weights.weights,
    data.data,
    build.build,
    methods.methods,
    protocols.protocols,
    leaderboard.leaderboard,
    study.study,
    submit.submit,
    compare.compare,
    doctor.doctor,
):
    main.add_command(command)
weights.weights.add_command(weights_export.export)
