"""Two or more methods against each other, image by image, in the terminal."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli.common import names, path_type
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from leaderboard.reading.load import LoadedRun
    from leaderboard.statistics.statistics import Contest, Pair, Standing


@click.command()
@click.argument("methods", metavar="A B [C ...]", nargs=-1, required=True, shell_complete=names("METHODS"))
@click.option("--results", "results_dir", type=path_type(), default=Path("results"), show_default=True)
@click.option("--dataset", help="On this data set alone. Default: on every one that all of them have.")
@click.option(
    "--protocol", "protocol_label", help="Under this protocol alone, by its label or the start of its digest."
)
@click.option("--metric", "metric_name", help="Default: the PSNR of the protocol.")
@click.option("--json", "json_file", type=path_type(), help="Also write every number, unrounded.")
@click.option("--csv", "csv_file", type=path_type(), help="Also write the pairs, unrounded.")
def compare(
    methods: tuple[str, ...],
    results_dir: Path,
    dataset: str | None,
    protocol_label: str | None,
    metric_name: str | None,
    json_file: Path | None,
    csv_file: Path | None,
) -> None:
    """Say which differences between methods are more than chance.

    A, B, ... are names of methods in the results folder, or run files (or their folders). p values are corrected over
    all methods that the folder has on the data set, as on the leaderboard's page; of run files given by path, only over
    these.
    """
    from leaderboard.statistics import statistics

    if len(methods) < 2:
        raise Misuse("compare needs two methods or more: refsr-bench compare A B --results DIR.")
    runs, chosen = _gather(methods, results_dir)
    found = _contests(runs, chosen, methods, dataset, protocol_label, metric_name)
    selected = [(contest, _pairs(contest, chosen)) for contest in found]
    for contest, pairs in selected:
        click.echo(_report(contest, pairs))
    if csv_file:
        lines = [line for contest, pairs in selected for line in statistics.records(contest, pairs)]
        _write(csv_file, statistics.to_csv(lines))
    if json_file:
        from refsr_bench.core.reader import dumps

        _write(json_file, dumps({"comparisons": [_document(contest, pairs) for contest, pairs in selected]}))


# -- which runs ------------------------------------------------------------------------------------------------------


def _gather(methods: Sequence[str], results_dir: Path) -> tuple[list[LoadedRun], dict[str, set[str]]]:
    """The runs to compare among, and for every argument the run files (``LoadedRun.path``) it stands for."""
    from leaderboard.reading.load import read_folder, run_key

    files = {text: Path(text) for text in methods if _is_path(text)}
    by_name = [text for text in methods if text not in files]
    runs: list[LoadedRun] = []
    chosen: dict[str, set[str]] = {}
    if by_name:
        if not results_dir.is_dir():
            raise Misuse(f"There is no results folder {results_dir}; --results names another.")
        results = read_folder(results_dir)
        loaded = results.benchmarks()
        for problem in results.problems:
            click.echo(f"left out: {problem.path}: {problem.reason}", err=True)
        runs += loaded
        for text in by_name:
            chosen[text] = _named(text, loaded, results_dir)
    for text, path in files.items():
        own = _at(path)
        known = {run_key(run.result): run.path for run in runs}
        # A file of the results folder, given by its path, is that run and not a second one.
        chosen[text] = {known.get(run_key(run.result), run.path) for run in own}
        runs += [run for run in own if run_key(run.result) not in known]
    for first, second in combinations(methods, 2):
        if first == second or chosen[first] & chosen[second]:
            raise Misuse(f"'{first}' and '{second}' are the same run; compare needs two different ones.")
    return runs, chosen


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith(".json") or (Path(text) / "result.json").is_file()


def _at(path: Path) -> list[LoadedRun]:
    """The runs of a run file, of its folder, or below a folder."""
    import dataclasses

    from leaderboard.reading.load import read_folder

    folder = path.parent if path.name == "result.json" else path
    if not folder.is_dir() or (path.name == "result.json" and not path.is_file()):
        raise Misuse(f"{path}: no such run file or folder; a run file is called result.json.")
    results = read_folder(folder)
    loaded, problems = results.of_kind("benchmark"), results.problems
    if path.name == "result.json":
        loaded = tuple(run for run in loaded if run.path == "result.json")
        problems = tuple(problem for problem in problems if problem.path == "result.json")
    if problems:
        raise BenchError(f"{folder / problems[0].path}: {problems[0].reason}")
    if not loaded:
        raise Misuse(f"{path}: not a benchmark run; robustness runs and ablations are not compared.")
    return [dataclasses.replace(run, path=(folder / run.path).as_posix()) for run in loaded]


def _named(text: str, runs: Sequence[LoadedRun], results_dir: Path) -> set[str]:
    """The runs of a method by its name or title. Raises Misuse when there is none, or with several weights."""
    from leaderboard.reading.load import weights_key

    cards = [(run, run.result.run.method) for run in runs]
    found = [(run, card) for run, card in cards if card.name == text] or [
        (run, card) for run, card in cards if text.casefold() in (card.name.casefold(), card.title.casefold())
    ]
    if not found:
        known = sorted({card.name for _, card in cards})
        folded = {name.casefold(): name for name in known}
        near = [folded[name] for name in difflib.get_close_matches(text.casefold(), folded, n=3, cutoff=0.5)]
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
        raise Misuse(f"{results_dir} has no run of a method called '{text}'. {hint}")
    weights = {(card.name, weights_key(card)): run for run, card in found}
    if len(weights) > 1:
        examples = ", ".join(str(results_dir / run.path) for run in weights.values())
        raise Misuse(f"'{text}' was measured with {len(weights)} sets of weights. Give run files instead: {examples}.")
    return {run.path for run, _ in found}


def _contests(
    runs: Sequence[LoadedRun],
    chosen: dict[str, set[str]],
    methods: Sequence[str],
    dataset: str | None,
    protocol_label: str | None,
    metric_name: str | None,
) -> list[Contest]:
    """The columns in which all chosen methods stand. Raises Misuse, saying why, when there is none."""
    from leaderboard.statistics import statistics
    from leaderboard.tables.tables import SECONDS, build_tables

    tables = build_tables(runs)
    if protocol_label is not None:
        labels = list(dict.fromkeys(table.protocol.label for table in tables))
        tables = tuple(
            table for table in tables
            if table.protocol.label == protocol_label
            or (len(protocol_label) > 5 and table.protocol.digest.startswith(protocol_label))
        )  # fmt: skip
        if not tables:
            raise Misuse(f"--protocol {protocol_label}: no run was measured under it. There are: {', '.join(labels)}.")
    if dataset is not None:
        sets = list(dict.fromkeys(column.dataset.name for table in tables for column in table.columns))
        if dataset not in sets:
            raise Misuse(f"--dataset {dataset}: no run was measured on it. There are: {', '.join(sets)}.")
    wanted = set().union(*chosen.values())
    synthetic = {run.result.run.method.title for run in runs if run.path in wanted and not run.result.run.method.ranked}
    if synthetic:
        raise Misuse(f"{', '.join(sorted(synthetic))}: synthetic weights mean nothing and are not compared.")
    found, metrics = [], {}
    for table in tables:
        for place, column in enumerate(table.columns):
            paths = {row.cells[place].run.path for group in table.groups for row in group.rows if row.cells[place]}
            if dataset not in (None, column.dataset.name) or not all(paths & chosen[text] for text in methods):
                continue
            usable = {metric.name: metric for metric in table.metrics if metric.name != SECONDS.name}
            metrics |= usable
            metric = usable.get(metric_name or table.psnr.name)
            if metric is None:
                continue
            made = statistics.contest(table, place, metric)
            if all({standing.run for standing in made.standings} & chosen[text] for text in methods):
                found.append(made)
    if found:
        return found
    if metrics:
        raise Misuse(
            f"Not all of {', '.join(methods)} have the metric {metric_name}. There are: {', '.join(metrics)}."
            if metric_name
            else f"{', '.join(methods)}: one of them has no measured image."
        )
    raise Misuse(_apart([run for run in runs if run.path in wanted], chosen, methods, dataset, protocol_label))


def _apart(
    runs: Sequence[LoadedRun],
    chosen: dict[str, set[str]],
    methods: Sequence[str],
    dataset: str | None,
    protocol_label: str | None,
) -> str:
    """Why methods cannot be compared: where each was measured, and what separates the protocols."""
    from leaderboard.tables.protocols import differences

    lines = [f"{', '.join(methods)} were not measured on the same data set under the same protocol:"]
    first: dict[str, Any] = {}
    for text in methods:
        own = [run.result.run for run in runs if run.path in chosen[text]]
        places = dict.fromkeys(
            f"{run.dataset.name} (manifest {run.dataset.manifest_sha256[:8]}) under {run.protocol.label} "
            f"({run.protocol.digest[:8]})"
            for run in own
        )
        lines.append(f"  {text}: {', '.join(places)}")
        for run in own:
            first.setdefault(run.protocol.digest, run.protocol)
    if dataset is not None or protocol_label is not None:
        asked = [f"--dataset {dataset}"] * (dataset is not None)
        asked += [f"--protocol {protocol_label}"] * (protocol_label is not None)
        lines.append(f"Asked for: {', '.join(asked)}.")
    cards = list(first.values())
    if len(cards) == 2:
        lines += [f"  {text}" for text in differences(*cards)]
    lines.append(
        "Numbers of different protocols or images are not compared; measure both alike with 'refsr-bench run'."
    )
    return "\n".join(lines)


def _pairs(contest: Contest, chosen: dict[str, set[str]]) -> list[Pair]:
    wanted = set().union(*chosen.values())
    places = [n for n, standing in enumerate(contest.standings) if standing.run in wanted]
    return [contest.pair(i, j) for i, j in combinations(places, 2)]


# -- what is printed -------------------------------------------------------------------------------------------------


def _report(contest: Contest, pairs: Sequence[Pair]) -> str:
    from leaderboard.statistics import statistics
    from leaderboard.statistics.statistics import interval_text, p_text, value_text
    from refsr_bench.core.report import text_table

    metric, unit = contest.metric, contest.metric.unit or contest.metric.title
    places = sorted({place for pair in pairs for place in (pair.a, pair.b)})
    standings = [contest.standings[place] for place in places]
    total = contest.dataset.n_pairs
    heading = (
        f"\n{contest.dataset_title}, {metric.title}, protocol {contest.protocol.label} ({contest.protocol.digest[:8]})"
    )
    means = text_table(
        ("method", "mean", "95 % interval", "images"),
        [
            (s.title + (" (GAN)" if s.gan else ""), value_text(s.mean, metric),
             interval_text(s.low, s.high, metric) or "-", f"{s.images}/{total}")
            for s in standings
        ],
    )  # fmt: skip
    rows = []
    for pair in pairs:
        a, b = contest.standings[pair.a].title, contest.standings[pair.b].title
        p = [
            "-" if value is None else p_text(value).removeprefix("p = ").removeprefix("p ")
            for value in (pair.p, pair.p_holm, pair.wilcoxon_holm)
        ]
        rows.append(
            (f"{a} - {b}", value_text(pair.difference, metric, signed=True),
             interval_text(pair.low, pair.high, metric, signed=True) or "-", *p,
             f"{pair.wins}/{pair.ties}/{pair.losses}")
        )  # fmt: skip
    holm = f"p Holm ({contest.family})" if contest.family else "p Holm"
    head = ("pair", unit, "95 % interval", "p", holm, "Wilcoxon Holm", "wins/ties/losses")
    parts = [heading, means, text_table(head, rows)]
    parts.append("\n".join(statistics.sentence(contest, pair) for pair in pairs))
    shown = 5 if len(pairs) == 1 else 3
    parts += [text for pair in pairs if (text := _extremes(contest, pair, shown))]
    return "\n\n".join(parts)


def _differences(contest: Contest, pair: Pair) -> list[tuple[float, str]]:
    """(a - b, image id) of all images that both have, the largest first; equal values, also infinite ones, differ by
    nothing."""
    a, b = contest.standings[pair.a].values, contest.standings[pair.b].values
    found = [(0.0 if a[image] == b[image] else a[image] - b[image], image) for image in a if image in b]
    return sorted(found, key=lambda entry: (-entry[0], entry[1]))


def _extremes(contest: Contest, pair: Pair, shown: int) -> str:
    """The images with the largest differences either way."""
    from leaderboard.statistics.statistics import value_text
    from leaderboard.tables.tables import clean

    a, b, metric = contest.standings[pair.a], contest.standings[pair.b], contest.metric
    found = _differences(contest, pair)
    above, below = [entry for entry in found if entry[0] > 0], [entry for entry in reversed(found) if entry[0] < 0]
    if metric.direction == "lower":
        above, below = below, above

    def lines(winner: Standing, other: Standing, entries: list[tuple[float, str]]) -> list[str]:
        if not entries:
            return [f"No image on which {winner.title} is better."]
        width = max(len(clean(image)) for _, image in entries[:shown])
        sign = 1 if winner is a else -1
        return [f"Largest differences where {winner.title} is better than {other.title}:"] + [
            f"  {clean(image).ljust(width)}  {value_text(sign * difference, metric, signed=True)}"
            f"  ({value_text(winner.values[image], metric)} and {value_text(other.values[image], metric)})"
            for difference, image in entries[:shown]
        ]

    return "\n".join([*lines(a, b, above), *lines(b, a, below)]) if found else ""


def _document(contest: Contest, pairs: Sequence[Pair]) -> dict[str, Any]:
    from leaderboard.statistics import statistics

    places = sorted({place for pair in pairs for place in (pair.a, pair.b)})
    return {
        "protocol": contest.protocol.label,
        "protocol_digest": contest.protocol.digest,
        "dataset": contest.dataset.name,
        "dataset_manifest_sha256": contest.dataset.manifest_sha256,
        "metric": contest.metric,
        "methods": [
            {"name": s.name, "title": s.title, "weights": s.weights, "gan": s.gan, "status": s.status, "mean": s.mean,
             "low": s.low, "high": s.high, "images": s.images, "run_file": s.run}
            for s in (contest.standings[place] for place in places)
        ],
        "pairs": [
            record | {"sentence": statistics.sentence(contest, pair),
                      "differences": {image: value for value, image in _differences(contest, pair)}}
            for record, pair in zip(statistics.records(contest, pairs), pairs, strict=True)
        ],
    }  # fmt: skip


def _write(path: Path, text: str) -> None:
    from refsr_bench.core.files import write_text

    try:
        write_text(path, text)
    except OSError as error:
        raise BenchError(f"{path}: cannot be written ({error.strerror or error}).") from None
    click.echo(f"\n{path}")
