"""Results as one tidy pandas frame: a row for every image and metric of every run. Statistics and figures are views.

``refsr_bench.load_results`` is its public name:

    results = refsr_bench.load_results("results")
    results[results.metric == "psnr_y"].pivot_table(index="pair", columns="method", values="value")
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaderboard.reading.load import LoadedRun, read_folder
from leaderboard.tables.timing import cost_of, machine_words
from refsr_bench.core.schema import ImageRecord, Run

OF_RUN = {
    "path": "str", "kind": "str", "origin": "str", "timing": "str", "started": "str",
    "method": "str", "title": "str", "group": "str", "references": "str", "gan": "bool", "year": "int64",
    "parameters": "float64", "gmacs": "float64", "verified": "str", "ranked": "bool",
    "weights": "str", "weights_kind": "str", "weights_sha256": "str",
    "dataset": "str", "manifest_sha256": "str", "official": "bool", "n_pairs": "int64",
    "base": "str", "variation": "str", "level": "str",
    "protocol": "str", "protocol_digest": "str", "code": "str", "code_version": "str",
    "device": "str", "processor": "str", "threads": "float64", "more_machines": "str",
    "tiling": "str", "numbers": "str",
}  # fmt: skip
OF_IMAGE = {
    "pair": "str", "error": "str", "seconds": "float64", "peak_memory_mb": "float64", "load": "float64",
    "leak": "str", "leak_value": "float64",
}  # fmt: skip
OF_METRIC = {"metric": "str", "direction": "str", "unit": "str"}
COLUMNS = (*OF_RUN, *OF_IMAGE, *OF_METRIC, "value", "status")
MEASURED, MISSING, FAILED = STATUSES = ("measured", "missing", "failed")
"""status: the value was measured; the image was, but not by this metric; the image failed, and ``error`` says why."""


def load_results(folder: str | Path) -> pd.DataFrame:
    """Read every run below a results folder into one tidy pandas frame, a row for each image and metric.

        refsr_bench.load_results("results").groupby(["method", "metric"]).value.mean()

    folder: runs of any kind below it are read, as ``frame`` describes. Invalid files are left out;
    ``frame.attrs["left_out"]`` holds their (path, reason). Raises BenchError when ``folder`` is not a folder, when it
    holds no readable run, and when two files hold the same method, weights, data set and protocol.
    """
    found = read_folder(Path(folder))
    if not found.runs:
        found.benchmarks()  # raises if something is missing or wrong
    table = frame(found.runs)
    table.attrs["left_out"] = [(problem.path, problem.reason) for problem in found.problems]
    return table


def frame(runs: Iterable[LoadedRun]) -> pd.DataFrame:
    """Return a row for each image and metric of each run, in the order of runs, of their images, and of their metrics.

    Columns, in the words of ``core.schema``: COLUMNS. path: of the run file, relative to the folder. method, title,
    weights ...: of its method. base, variation, level: for a data set made from another, missing otherwise. protocol:
    the label. pair: the image's id. value: float64, unrounded; inf for the PSNR of identical images, nan if status is
    not "measured". seconds, peak_memory_mb, load: of the image; nan if not recorded. Pairs without a record have no
    row, and neither have metrics of all images together.
    """
    runs = list(runs)
    images = [image for loaded in runs for image in loaded.result.images]
    own = [[metric for metric in loaded.result.run.metrics if metric.level == "image"] for loaded in runs]
    cards = [metric for metrics in own for metric in metrics]
    sizes = np.array([len(loaded.result.images) for loaded in runs], int)
    metrics = np.array([len(metrics) for metrics in own], int)
    rows = sizes * metrics
    of_run = np.repeat(np.arange(len(runs)), rows)
    of_image = np.repeat(np.arange(len(images)), np.repeat(metrics, sizes))
    within = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows)  # the position of the image in its run
    of_card = np.repeat(np.cumsum(metrics) - metrics, rows) + within % np.repeat(metrics, rows)

    values = np.array(
        [images[i].metrics.get(cards[c].name, np.nan) for i, c in zip(of_image, of_card, strict=True)], np.float64
    )
    failed = np.array([image.error is not None for image in images], bool)[of_image]
    values[failed] = np.nan
    status = np.where(failed, STATUSES.index(FAILED), np.isnan(values).astype(int))
    facts = [_image_facts(loaded.result.run, image) for loaded in runs for image in loaded.result.images]
    return pd.DataFrame(
        _repeated(OF_RUN, [_run_facts(loaded.path, loaded.result.run) for loaded in runs], of_run)
        | _repeated(OF_IMAGE, facts, of_image)
        | _repeated(OF_METRIC, [(card.name, card.direction, card.unit) for card in cards], of_card)
        | {"value": values, "status": pd.array(np.array(STATUSES, object)[status], dtype="str")}
    )


def by_image(values: pd.DataFrame, paths: Sequence[str]) -> pd.DataFrame:
    """Return values of one metric as a matrix: a row for each image, a column for each of ``paths``, nan for none.

    values: rows of a ``frame`` with that metric and status. Images are in the order of the run that has most of them,
    then of the next, so draws by the number of an image are the same for all runs.
    """
    table = values.pivot(index="pair", columns="path", values="value").reindex(columns=list(paths))
    longest_first = table.count().sort_values(ascending=False, kind="stable").index
    # nan, for other runs, sorts last
    turn = values.path.map({path: n for n, path in enumerate(longest_first)}).to_numpy(float)
    return table.reindex(values.pair.iloc[np.argsort(turn, kind="stable")].unique()).dropna(how="all")


def _repeated(kinds: Mapping[str, str], facts: Sequence[tuple[Any, ...]], places: np.ndarray) -> dict[str, Any]:
    """Return facts as columns of the named kinds, each fact repeated at its positions."""
    columns = zip(*facts, strict=True) if facts else [()] * len(kinds)
    return {
        name: pd.Series(list(column), dtype=kind).array.take(places)
        for (name, kind), column in zip(kinds.items(), columns, strict=True)
    }


def _image_facts(run: Run, image: ImageRecord) -> tuple[Any, ...]:
    """Return the values of OF_IMAGE."""
    cost = cost_of(run, image)
    return (
        image.id, image.error, cost.get("seconds"), cost.get("peak_memory_mb"), cost.get("load"), image.leak.kind,
        image.leak.value,
    )  # fmt: skip


def _run_facts(path: str, run: Run) -> tuple[Any, ...]:
    """Return the values of OF_RUN."""
    method, dataset, code, machine = run.method, run.dataset, run.code, run.machine
    change = dataset.variation
    return (
        path, run.kind, run.origin, run.timing, run.started,
        method.name, method.title, method.group, method.references, method.gan, method.year, method.parameters,
        method.gmacs, method.verified, method.ranked,
        method.weights.name, method.weights.kind, method.weights.sha256,
        dataset.name, dataset.manifest_sha256, dataset.official, dataset.n_pairs,
        *((change.base, change.kind, change.level) if change else (None, None, None)),
        run.protocol.label, run.protocol.digest, code.name if code else None, code.version if code else None,
        machine.device, machine.processor, machine.threads,
        "; ".join(map(machine_words, run.more_machines)) or None, run.arithmetic.tiling, run.arithmetic.numbers,
    )  # fmt: skip
