"""Measured tables in long form: one line for each run, unrounded, for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from leaderboard.tables.model import Table
from leaderboard.text import plain_cell

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
    "psnr_rank",
    "ssim_rank",
)


def to_csv(tables: Sequence[Table]) -> str:
    """Tables in long form, one line per run: CSV_COLUMNS, then the unrounded mean of every metric any run has."""
    names = sorted({name for table in tables for cell in table.cells for name in cell.run.result.means})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(plain_cell(name) for name in names)])
    for table in tables:
        for cell in table.cells:
            run, means = cell.run.result.run, cell.run.result.means
            method, dataset = run.method, run.dataset
            # fmt: off
            values = (
                run.protocol.label, run.protocol.digest, method.group, method.name, method.title, method.year,
                str(method.gan).lower(), method.references, method.parameters, method.weights.name,
                method.weights.sha256 or "", method.mark,
                dataset.name, dataset.manifest_sha256, str(dataset.official).lower(),
                cell.measured, cell.total, cell.status, "" if cell.seconds is None else cell.seconds,
                cell.psnr.rank or "", cell.ssim.rank or "",
            )
            # fmt: on
            writer.writerow([plain_cell(value) for value in values] + [means.get(name, "") for name in names])
    return text.getvalue()
