"""Results as folders for the Hugging Face Hub: a data set of all numbers, and a model card for each method.

    README.md           card of the data set, with its tables
    results.parquet     ``frame.load_results``: a row for each image and metric
    models/<method>/README.md   metadata ``model-index``: means by data set, protocol and metric

Nothing is sent. The cards' metadata are written by huggingface_hub itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from leaderboard.exports.export import export, whole
from leaderboard.exports.latex_markdown import markdown
from leaderboard.frame import frame
from leaderboard.reading.load import LoadedRun, Problem, method_key, read_folder
from leaderboard.statistics.robustness import unrelated
from leaderboard.tables.tables import build_tables
from leaderboard.text import anchor, clean
from refsr_bench.core import files
from refsr_bench.core.errors import Misuse
from refsr_bench.core.lists import grouped
from refsr_bench.core.reader import digest
from refsr_bench.core.schema import MethodInfo

TASK, TASK_NAME = "image-to-image", "Reference-based super-resolution, x4"
TAGS = ["super-resolution", "reference-based-super-resolution", "refsr-bench"]
TABLE = "results.parquet"


@dataclass(frozen=True)
class Written:
    """A folder that was written. left: runs that no model card states, each with the reason."""

    files: tuple[Path, ...]
    left: tuple[str, ...]
    problems: tuple[Problem, ...]


def write(results_dir: Path, out: Path, source: str = "") -> Written:
    """Write every result below a folder as a data set and as model cards, into a new folder.

    source: an address at which these results are published, which the cards then state. A model card states whole runs
    of methods that are ranked; the data set holds all. Raises Misuse for a folder that is not empty or an address of
    another kind, BenchError when there is nothing to write.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"{out} is there already and stays; choose a new folder with --out.")
    if source and (urlsplit(source).scheme not in ("http", "https") or not urlsplit(source).netloc):
        raise Misuse(f"--source {source!r} is no address such as https://HOST/PAGE.")
    results = read_folder(results_dir)
    runs = results.benchmarks()
    tables = build_tables(runs, unrelated(results.runs))
    files.make_folder(out)
    with files.writing(out / TABLE) as partial:
        frame(results.runs).to_parquet(partial)
    parts = [f"## {markdown(table.title)}\n\n{export(table, whole(table), 'markdown')}" for table in tables]
    written = [out / TABLE, _card(out / "README.md", _of_data_set(), _ABOUT_DATA + "\n".join(parts))]
    stated = [run for run in runs if not _unfit(run)]
    for own in grouped(stated, lambda run: method_key(run.result.run.method)).values():
        method = own[0].result.run.method
        folder = out / "models" / f"{anchor(method.name)}-{digest(method_key(method))[:6]}"
        files.make_folder(folder, below=out)
        written.append(_card(folder / "README.md", _of_model(method, own, source), _about(method, own)))
    left = tuple(f"{run.path}: {reason}" for run in runs if (reason := _unfit(run)))
    return Written(tuple(written), left, results.problems)


def _unfit(run: LoadedRun) -> str:
    """Say why a run is no result to state about a model; "" if it is one."""
    result = run.result
    if not result.run.method.ranked:
        return "weights made by formula"
    if not result.complete:
        return f"{len(result.measured)} of {result.run.dataset.n_pairs} pairs"
    return "" if result.run.dataset.official else "not the published data"


def _card(path: Path, data: Any, text: str) -> Path:
    files.write_text(path, f"---\n{data.to_yaml()}\n---\n\n{text}")
    return path


# -- the data set --------------------------------------------------------------------------------------------------

_ABOUT_DATA = """# Results of reference-based super-resolution

Measured with refsr-bench. `results.parquet` has a row for each image and metric; columns are those of
`refsr_bench.load_results`. Rows of different protocols (`protocol_digest`) cannot be compared.

```python
import datasets

results = datasets.load_dataset("parquet", data_files="results.parquet", split="train").to_pandas()
print(results.groupby(["protocol", "dataset", "method", "metric"]).value.mean())
```

"""


def _of_data_set() -> Any:
    from huggingface_hub import DatasetCardData

    configs = [{"config_name": "default", "data_files": [{"split": "train", "path": TABLE}]}]
    return DatasetCardData(
        pretty_name="Results of reference-based super-resolution", tags=TAGS, task_categories=[TASK], configs=configs
    )


# -- a method ------------------------------------------------------------------------------------------------------


def _of_model(method: MethodInfo, runs: Iterable[LoadedRun], source: str) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    stated = {"source_name": "refsr-bench", "source_url": source} if source else {}
    found = [
        EvalResult(
            task_type=TASK,
            task_name=TASK_NAME,
            dataset_type=clean(run.dataset.name),
            dataset_name=f"{clean(run.dataset.title)} ({clean(run.protocol.label)})",
            dataset_config=clean(run.protocol.label),
            dataset_args={"protocol_digest": run.protocol.digest, "manifest_sha256": run.dataset.manifest_sha256},
            metric_type=metric.name,
            metric_name=clean(metric.title),
            metric_value=round(value, metric.digits),
            **stated,
        )
        for run, result in ((loaded.result.run, loaded.result) for loaded in runs)
        for metric in run.metrics
        if (value := result.means.get(metric.name)) is not None and math.isfinite(value)
    ]
    told = method.weights.license  # in words; the Hub has a list of its own, and the name "other" for the rest
    terms = {"license": "other", "license_name": anchor(told)} if told else {"license": "unknown"}
    return ModelCardData(
        model_name=clean(method.title), eval_results=found, tags=TAGS, pipeline_tag=TASK, **terms
    )


def _about(method: MethodInfo, runs: Sequence[LoadedRun]) -> str:
    """Return the text of a model card: what it is, where its weights come from, what it was measured on."""
    weights = method.weights
    licence = markdown(weights.license) or "that of their maker; set `license` above"
    known = f", SHA-256 `{weights.sha256}`" if weights.sha256 else ""
    lines = [
        f"# {markdown(method.title)}",
        "",
        f"{markdown(method.paper)}.",
        "",
        f"Weights: {markdown(weights.name)} ({weights.kind}){known}. Licence: {licence}.",
        "",
        "| data set | protocol | metric | mean |",
        "| --- | --- | --- | --- |",
    ]
    for run, result in ((loaded.result.run, loaded.result) for loaded in runs):
        lines += [
            f"| {markdown(run.dataset.title)} | {markdown(run.protocol.label)} ({run.protocol.digest[:12]}) | "
            f"{markdown(metric.title)} | {result.means[metric.name]:.{metric.digits}f} |"
            for metric in run.metrics
            if metric.name in result.means
        ]
    return "\n".join([*lines, ""])
