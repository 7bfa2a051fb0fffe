"""Writes measured tables in long form for programs: one line for each run, unrounded."""

from __future__ import annotations

from collections.abc import Sequence

from leaderboard.tables.model import Table
from leaderboard.text import csv_text
from refsr_bench.core.schema import Result

CSV_COLUMNS = (
    "protocol",
    "protocol_digest",
    "group",
    "method",
    "title",
    "year",
    "gan",
    "references",
    "parameters",
    "weights",
    "weights_sha256",
    "mark",
    "dataset",
    "dataset_manifest_sha256",
    "dataset_official",
    "images_measured",
    "images_total",
    "status",
    "seconds_per_image",
    "machine",
    "load",
    "psnr_rank",
    "ssim_rank",
)


def _names(result: Result) -> set[str]:
    """Return the metrics that a run has, or would have if it had had their weights."""
    return {*result.means, *(metric.name for metric in result.run.metrics if metric.lacks != "nothing")}


def to_csv(tables: Sequence[Table]) -> str:
    """Return tables in long form, one line per run: CSV_COLUMNS, then the unrounded mean of every metric in use."""
    names = sorted({name for table in tables for cell in table.cells for name in _names(cell.run.result)})
    lines = []
    for cell in (cell for table in tables for cell in table.cells):
        run, means = cell.run.result.run, cell.run.result.means
        method, dataset, protocol = run.method, run.dataset, run.protocol
        lines.append((
            protocol.label, protocol.digest, method.group, method.name, method.title, method.year, method.gan,
            method.references, method.parameters, method.weights.name, method.weights.sha256, method.mark,
            dataset.name, dataset.manifest_sha256, dataset.official, cell.measured, cell.total, cell.status,
            cell.seconds, *((cell.timing.machine, cell.timing.load) if cell.timing else (None, None)),
            cell.psnr.rank, cell.ssim.rank, *(means.get(name) for name in names),
        ))  # fmt: skip
    return csv_text((*CSV_COLUMNS, *names), lines)
