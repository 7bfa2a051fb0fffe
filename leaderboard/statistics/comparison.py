"""Compares a few methods of a results folder for ``refsr-bench compare``: chooses the runs and words the findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from leaderboard.frame import frame
from leaderboard.reading.failures import measured_something, shortfall
from leaderboard.reading.load import LoadedRun, Problem, method_key, read_folder, run_key
from leaderboard.statistics import contests, records
from leaderboard.statistics.contests import Contest, Pair, Standing
from leaderboard.statistics.words import interval_text, p_text, sentence, value_text
from leaderboard.tables.model import Table
from leaderboard.tables.tables import SECONDS, build_tables
from leaderboard.text import clean
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.names import did_you_mean
from refsr_bench.core.schema import ProtocolInfo
from refsr_bench.core.terminal import text_table
from refsr_bench.protocols.effects import sentences


@dataclass(frozen=True)
class Asked:
    """A question of ``compare``. methods: names in the folder ``results``, or run files, or folders of run files.

    dataset, protocol: only on this data set, only under this protocol (its label, or the start of its digest). metric:
    None for the protocol's PSNR.
    """

    methods: tuple[str, ...]
    results: Path
    dataset: str | None = None
    protocol: str | None = None
    metric: str | None = None


@dataclass(frozen=True)
class Comparison:
    """One column that has all of the methods. pairs: those between the methods that were asked for."""

    contest: Contest
    pairs: tuple[Pair, ...]

    @property
    def standings(self) -> tuple[Standing, ...]:
        """Return the methods that were asked for, the best first."""
        places = sorted({place for pair in self.pairs for place in (pair.a, pair.b)})
        return tuple(self.contest.standings[place] for place in places)


def compare(asked: Asked) -> tuple[tuple[Comparison, ...], tuple[Problem, ...]]:
    """Return every possible comparison, and the files of the results folder that were left out.

    Raises Misuse, saying what to do, for methods that do not exist, are one run, or cannot be compared; BenchError for
    an invalid run file.
    """
    if len(asked.methods) < 2:
        compare = command("compare", "METHOD", "METHOD", "--results", asked.results)
        raise Misuse(f"compare needs two methods or more: {compare}")
    runs, chosen, problems = _gather(asked)
    wanted = set().union(*chosen.values())
    found = []
    for contest in _contests(runs, chosen, asked):
        places = [n for n, standing in enumerate(contest.standings) if standing.run in wanted]
        found.append(Comparison(contest, tuple(contest.pair(i, j) for i, j in combinations(places, 2))))
    return tuple(found), problems


# -- which runs ------------------------------------------------------------------------------------------------------

Chosen = Mapping[str, set[str]]
"""The run files (``LoadedRun.path``) that each method stands for, by the name it was asked for."""


def _gather(asked: Asked) -> tuple[list[LoadedRun], Chosen, tuple[Problem, ...]]:
    """Return the runs to compare among, those that were asked for, and the files left out."""
    files = {text: Path(text) for text in asked.methods if _is_path(text)}
    by_name = [text for text in asked.methods if text not in files]
    runs: list[LoadedRun] = []
    problems: tuple[Problem, ...] = ()
    chosen: dict[str, set[str]] = {}
    if by_name:
        if not asked.results.is_dir():
            run = command("run", "--method", by_name[0], "--dataset", "sample", "--out", asked.results)
            raise Misuse(f"There is no results folder {asked.results}; --results names another. To make one: {run}")
        results = read_folder(asked.results)
        runs += results.benchmarks()
        problems = results.problems
        for text in by_name:
            chosen[text] = _named(text, runs, asked.results)
    for text, path in files.items():
        own = _at(path)
        known = {run_key(run.result): run.path for run in runs}
        # A file of the results folder that is given by its path is that run and not a second one.
        chosen[text] = {known.get(run_key(run.result), run.path) for run in own}
        runs += [run for run in own if run_key(run.result) not in known]
    for first, second in combinations(asked.methods, 2):
        if first == second or chosen[first] & chosen[second]:
            raise Misuse(f"'{first}' and '{second}' are the same run; compare needs two different ones.")
    return runs, chosen, problems


def _is_path(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith(".json") or (Path(text) / "result.json").is_file()


def _at(path: Path) -> list[LoadedRun]:
    """Return the runs of a run file, of its folder, or below a folder."""
    alone = path.name == "result.json"
    folder = path.parent if alone else path
    if not folder.is_dir() or (alone and not path.is_file()):
        raise Misuse(f"{path}: no such run file or folder; a run file is called result.json.")
    results = read_folder(folder)
    if problems := [problem for problem in results.problems if not alone or problem.path == path.name]:
        raise BenchError(f"{folder / problems[0].path}: {problems[0].reason}")
    found = [run for run in results.of_kind("benchmark") if not alone or run.path == path.name]
    if not found and results.runs:
        raise Misuse(f"{path}: not a benchmark run; robustness runs and ablations are not compared.")
    if not found:
        results.benchmarks()  # raises if there is none
    return [dataclasses.replace(run, path=(folder / run.path).as_posix()) for run in found]


def _named(text: str, runs: Sequence[LoadedRun], results: Path) -> set[str]:
    """Return the runs of a method by its name or title. Raises Misuse when there is none, or with several weights."""
    cards = [(run, run.result.run.method) for run in runs]
    found = [(run, card) for run, card in cards if card.name == text] or [
        (run, card) for run, card in cards if text.casefold() in (card.name.casefold(), card.title.casefold())
    ]
    if not found:
        known = sorted({card.name for _, card in cards})
        raise Misuse(f"{results} has no run of a method called '{text}'. {did_you_mean(text, known)}")
    weights = {method_key(card): run for run, card in found}
    if len(weights) > 1:
        examples = ", ".join(str(results / run.path) for run in weights.values())
        raise Misuse(f"'{text}' was measured with {len(weights)} sets of weights. Give run files instead: {examples}.")
    return {run.path for run, _ in found}


def _contests(runs: Sequence[LoadedRun], chosen: Chosen, asked: Asked) -> list[Contest]:
    """Return the columns that have all chosen methods. Raises Misuse, saying why, when there is none."""
    tables = _tables(runs, asked)
    own = [run for run in runs if any(run.path in paths for paths in chosen.values())]
    if synthetic := {run.result.run.method.title for run in own if not run.result.run.method.ranked}:
        raise Misuse(f"{', '.join(sorted(synthetic))}: synthetic weights mean nothing and are not compared.")
    results = frame(runs)
    found, metrics = [], {}
    for table in tables:
        for place, column in enumerate(table.columns):
            paths = {row.cells[place].run.path for row in table.rows if row.cells[place]}
            if asked.dataset not in (None, column.dataset.name) or not all(paths & own for own in chosen.values()):
                continue
            usable = {metric.name: metric for metric in table.metrics if metric.name != SECONDS.name}
            metrics |= usable
            if metric := usable.get(asked.metric or table.psnr.name):
                made = contests.contest(results, table, place, metric)
                if all({standing.run for standing in made.standings} & own for own in chosen.values()):
                    found.append(made)
    if not found:
        raise Misuse(_why_not(own, chosen, asked, metrics))
    return found


def _tables(runs: Sequence[LoadedRun], asked: Asked) -> tuple[Table, ...]:
    """Return the tables of the protocol that was asked for. Raises Misuse for an unknown protocol or data set."""
    tables = build_tables(runs)
    if asked.protocol is not None:
        labels = list(dict.fromkeys(table.protocol.label for table in tables))
        tables = tuple(
            table for table in tables
            if table.protocol.label == asked.protocol
            or (len(asked.protocol) > 5 and table.protocol.digest.startswith(asked.protocol))
        )  # fmt: skip
        if not tables:
            raise Misuse(f"--protocol {asked.protocol}: no run was measured under it. There are: {', '.join(labels)}.")
    sets = list(dict.fromkeys(column.dataset.name for table in tables for column in table.columns))
    if asked.dataset not in (None, *sets):
        raise Misuse(f"--dataset {asked.dataset}: no run was measured on it. There are: {', '.join(sets)}.")
    return tables


def _why_not(own: Iterable[LoadedRun], chosen: Chosen, asked: Asked, metrics: Iterable[str]) -> str:
    """Explain why methods cannot be compared. metrics: of the columns that have all of them."""
    methods = ", ".join(chosen)
    for text, paths in chosen.items():
        results = [loaded.result for loaded in own if loaded.path in paths]
        if not any(map(measured_something, results)):
            return f"{text}: every pair failed, so there is nothing to compare: {shortfall(results[0])}."
    if metrics and asked.metric:
        return f"Not all of {methods} have the metric {asked.metric}. There are: {', '.join(metrics)}."
    if metrics:
        return f"{methods}: one of them has no measured image."
    lines = [f"{methods} were not measured on the same data set under the same protocol:"]
    protocols: dict[str, ProtocolInfo] = {}
    for text, paths in chosen.items():
        runs = [loaded.result.run for loaded in own if loaded.path in paths]
        places = dict.fromkeys(
            f"{run.dataset.name} (manifest {run.dataset.manifest_sha256[:8]}) under {run.protocol.label} "
            f"({run.protocol.digest[:8]})"
            for run in runs
        )
        lines.append(f"  {text}: {', '.join(places)}")
        protocols |= {run.protocol.digest: run.protocol for run in runs if run.protocol.digest not in protocols}
    options = {"--dataset": asked.dataset, "--protocol": asked.protocol}
    if any(options.values()):
        lines.append(f"Asked for: {', '.join(f'{name} {value}' for name, value in options.items() if value)}.")
    if len(protocols) == 2:
        lines += [f"  {text}" for text in sentences(*protocols.values())]
    lines.append(
        "Numbers of different protocols or images are not compared. Measure both alike, with the same --dataset and "
        "--protocol."
    )
    return "\n".join(lines)


# -- what is said ----------------------------------------------------------------------------------------------------


def text_of(found: Comparison) -> str:
    """Format a comparison for the terminal: means, pairs, a sentence for each pair, and the images that differ most."""
    contest, metric = found.contest, found.contest.metric
    heading = (
        f"\n{contest.dataset_title}, {metric.title}, protocol {contest.protocol.label} ({contest.protocol.digest[:8]})"
    )
    means = text_table(
        ("method", "mean", "95 % interval", "images"),
        [
            (s.title + (" (GAN)" if s.gan else ""), value_text(s.mean, metric),
             interval_text(s.low, s.high, metric) or "-", f"{s.images}/{contest.dataset.n_pairs}")
            for s in found.standings
        ],
    )  # fmt: skip
    holm = f"p Holm ({contest.family})" if contest.family else "p Holm"
    head = ("pair", metric.unit or metric.title, "95 % interval", "p", holm, "Wilcoxon Holm", "wins/ties/losses")
    pairs = text_table(head, [_line(contest, pair) for pair in found.pairs])
    said = "\n".join(sentence(contest, pair) for pair in found.pairs)
    shown = 5 if len(found.pairs) == 1 else 3
    extremes = (_extremes(contest, pair, shown) for pair in found.pairs)
    return "\n\n".join([heading, means, pairs, said, *(text for text in extremes if text)])


def _line(contest: Contest, pair: Pair) -> tuple[str, ...]:
    """Format a pair as a line of the table."""
    metric = contest.metric
    p = (
        "-" if value is None else p_text(value).removeprefix("p = ").removeprefix("p ")
        for value in (pair.p, pair.p_holm, pair.wilcoxon_holm)
    )
    return (
        f"{contest.standings[pair.a].title} - {contest.standings[pair.b].title}",
        value_text(pair.difference, metric, signed=True),
        interval_text(pair.low, pair.high, metric, signed=True) or "-",
        *p,
        f"{pair.wins}/{pair.ties}/{pair.losses}",
    )


def _differences(contest: Contest, pair: Pair) -> list[tuple[float, str]]:
    """Return (a - b, image id) of all images that both have, the largest first.

    Equal values, also infinite ones, differ by 0.
    """
    a, b = contest.standings[pair.a].values, contest.standings[pair.b].values
    found = [(0.0 if a[image] == b[image] else a[image] - b[image], image) for image in a if image in b]
    return sorted(found, key=lambda entry: (-entry[0], entry[1]))


def _extremes(contest: Contest, pair: Pair, shown: int) -> str:
    """Return the images with the largest differences either way; "" without an image in common."""
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


def document(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values, every number unrounded."""
    contest = found.contest
    return {
        "protocol": contest.protocol.label,
        "protocol_digest": contest.protocol.digest,
        "dataset": contest.dataset.name,
        "dataset_manifest_sha256": contest.dataset.manifest_sha256,
        "metric": contest.metric,
        "methods": [
            {"name": s.name, "title": s.title, "weights": s.weights, "gan": s.gan, "status": s.status, "mean": s.mean,
             "low": s.low, "high": s.high, "images": s.images, "run_file": s.run}
            for s in found.standings
        ],
        "pairs": [
            record | {"sentence": sentence(contest, pair),
                      "differences": {image: value for value, image in _differences(contest, pair)}}
            for record, pair in zip(records.records(contest, found.pairs), found.pairs, strict=True)
        ],
    }  # fmt: skip
