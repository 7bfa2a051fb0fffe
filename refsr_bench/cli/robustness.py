"""Robustness to changes of the reference (the paper's Fig. 6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.api import SWEPT_MATCHERS, SWEPT_METHODS
from refsr_bench.cli import complete, options, output
from refsr_bench.cli.common import command_line, exit_on_failures, pair_progress
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import as_one, views_option
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.api.sweeping import Sweep
    from refsr_bench.sweeps.session import RobustnessStudy

@click.command(cls=Command)
@options.transform(
    "'given': the data set's own references, where their true correspondence is known.",
    "transforms",
    required=True,
    multiple=True,
)
@options.method(f"Default: {', '.join(SWEPT_METHODS)}.", "methods", multiple=True)
@options.matcher(
    f"'none' for no matcher. Default: {', '.join(SWEPT_MATCHERS)}.",
    "matchers",
    multiple=True,
    shell_complete=complete.names("MATCHERS", "none"),
)
@click.option("--matchers-only", is_flag=True, help="Compare only correspondences, without restoration.")
@options.dataset("", "dataset_name", default="sample", show_default=True)
@options.levels("An unrelated reference is always measured with methods.", show_default="identity,small,medium,large")
@options.weights("Also of a matcher.", multiple=True, metavar="[METHOD=]PATH")
@options.matching("All that are given are measured.", multiple=True)
@views_option(
    "robustness",
    "'truth' gives the reference put back by its true transformation, the most that any view could give. All that are "
    "given are measured.",
    multiple=True,
)
@options.limit("The first pairs.")
@options.subset_option
@options.device_option
@options.reuse_option
@options.data_root_option
@options.results_out
@options.json_option
@as_one
def robustness(asked: Any) -> None:
    """Measure matching and restoration while the reference turns, shrinks or spoils (the paper's Fig. 6).

    References are made from the ground truth, so nothing measured here is ever ranked. If the command is stopped, run
    it again to continue.
    """
    from refsr_bench.api import sweeping

    asked_for = [_study(asked, transform) for transform in dict.fromkeys(asked.transforms)]
    done = list(sweeping.run(asked_for, asked.out, asked.reuse, pair_progress, report=partial(_report, asked.as_json)))
    if asked.as_json:
        output.answer(True, {"transformations": [sweep.document() for sweep in done]}, "")
    exit_on_failures([pair for sweep in done for pair in sweep.runs])


def _report(as_json: bool, sweep: Sweep) -> None:
    for level, (result, _) in sweep.levels:
        for record in result.failed:
            output.warn(f"failed: {result.run.method.name}, {level}, {record.id}: {record.error}")
    if not as_json:
        click.echo(f"\n{sweep}")
        click.echo("\n" + "\n".join(f"Written: {path}" for path in sweep.files))


def _study(asked: Any, transform: str) -> RobustnessStudy:
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluation.machine import resolve_device
    from refsr_bench.sweeps.session import RobustnessStudy

    if asked.matchers_only and asked.methods:
        raise Misuse("--matchers-only leaves methods out; give no --method with it.")
    return RobustnessStudy(
        dataset=open_dataset(asked.dataset_name, asked.data_root),
        transform=transform,
        methods=() if asked.matchers_only else asked.methods or SWEPT_METHODS,
        matchers=() if asked.matchers == ("none",) else asked.matchers or SWEPT_MATCHERS,
        levels=asked.levels,
        weights=asked.weights,
        limit=asked.limit,
        textured=asked.subset == "texture",
        device=resolve_device(asked.device),
        views=asked.views,
        matching=asked.matching,
        command=command_line(),
    )
