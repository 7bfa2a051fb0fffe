"""What the commands share: how errors are shown, common options, and small helpers around a run."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.core.errors import BenchError, Misuse, NoWeights

if TYPE_CHECKING:
    from refsr_bench.core.cards import LoadedMethod, MethodCard
    from refsr_bench.core.schema import Result
    from refsr_bench.core.types import RefPair
    from refsr_bench.protocols.base import Protocol


class Commands(click.Group):
    """Shows problems a person can mend as one paragraph, with exit code 2 for misuse and 1 for failed work."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("\nStopped. What was recorded is kept; the same command goes on from here.", err=True)
            ctx.exit(130)


def names(kind: str) -> Callable[..., list[str]]:
    """Shell completion with the names of the catalogue."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from refsr_bench.core import catalogue

        return [name for name in catalogue.collect(kind) if name.startswith(incomplete)]

    return complete


def path_type(**checks: Any) -> click.Path:
    return click.Path(path_type=Path, **checks)


data_root_option = click.option(
    "--data-root",
    type=path_type(),
    help="Folder that holds the data sets, or one data set itself. Default: $REFSR_DATA.",
)
protocol_options = [
    click.option(
        "--protocol",
        "protocol_name",
        default="c2",
        show_default=True,
        shell_complete=names("PROTOCOLS"),
        help="A published convention; 'refsr-bench protocols' lists them.",
    ),
    click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override one choice."),
    click.option("--refs", help="Which references: standard, all, L1, level:K, first, random:SEED, list, lr, none."),
]
lpips_option = click.option("--lpips-weights", type=path_type(), help="AlexNet file from torchvision, when offline.")
leaks_option = click.option("--allow-leaks", is_flag=True, help="Measure pairs whose reference is the ground truth.")
matching_option = click.option("--matching", help="How C2-Matching matches: exact, half (16 bits) or coarse (faster).")
out_option = click.option("--out", type=path_type(), default=Path("results"), show_default=True, help="Results folder.")


def with_options(options: Sequence[Callable]) -> Callable:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def into(kind: type) -> Callable:
    """Hand a command its options as one dataclass: ``@into(RunOptions) def run(asked: RunOptions)``."""

    def decorate(command: Callable) -> Callable:
        @functools.wraps(command)
        def call(**options: Any) -> None:
            command(kind(**options))

        return call

    return decorate


def command_line() -> str:
    return shlex.join(["refsr-bench", *sys.argv[1:]])


def protocol_of(name: str, settings: Sequence[str] = (), refs: str | None = None) -> Protocol:
    from refsr_bench.core import catalogue
    from refsr_bench.protocols.base import parse_label, parse_settings

    values = parse_settings(settings)
    if refs is not None:
        values["refs"] = refs
    protocol = parse_label(name, lambda label: catalogue.get("PROTOCOLS", label))
    return protocol.changed(values) if values else protocol


def weights_of(options: Sequence[str], methods: Sequence[str]) -> dict[str, Path]:
    files = {}
    for option in options:
        method, equals, path = option.partition("=")
        if not equals:
            if len(methods) > 1:
                raise Misuse(f"--weights {option}: with several methods, say whose: --weights METHOD={option}.")
            method, path = methods[0], option
        if method not in methods:
            raise Misuse(f"--weights {option}: {method} is not among the methods of this run.")
        files[method] = Path(path)
    return files


def load_methods(
    names: Sequence[str],
    weights: Sequence[str],
    device: str,
    matching: str | None,
    command: str | None,
    time_limit: float,
) -> Iterator[tuple[MethodCard, LoadedMethod]]:
    """The methods of a run, one after the other. ``all``: every method whose weights are here, the others are named;
    with ``--weights synthetic`` those others too."""
    from refsr_bench.core import catalogue
    from refsr_bench.learning.weights import SYNTHETIC

    everything = "all" in names
    chosen = [name for name in catalogue.collect("METHODS") if name != "external"] if everything else list(names)
    cards = [catalogue.get("METHODS", name) for name in chosen]
    invent = str(SYNTHETIC) in weights
    files = weights_of([option for option in weights if option != str(SYNTHETIC)], chosen)
    if command and "external" not in names:
        raise Misuse("--command is for --method external.")
    for card in cards:
        if card.name == "external" and command:
            from baselines.external import load_command

            yield card, load_command(command, time_limit)
            continue
        chosen_matching = None if everything and not card.matching else matching
        try:
            yield card, load_method(card, files.get(card.name), device, chosen_matching)
        except NoWeights as error:
            if invent:
                yield card, load_method(card, SYNTHETIC, device, chosen_matching)
            elif everything:
                click.echo(f"left out: {error}", err=True)
            else:
                raise


def load_method(card: MethodCard, weights: Path | None, device: str, matching: str | None) -> LoadedMethod:
    if matching is None:
        return card.load(weights, device)
    if matching not in card.matching:
        known = f"only {', '.join(card.matching)}" if card.matching else "no choice of matching"
        raise Misuse(f"--matching {matching}: {card.name} has {known}.")
    return card.load(weights, device, matching=matching)


def load_metrics(protocol: Protocol, device: str, lpips_weights: Path | None) -> dict:
    from refsr_bench.core import catalogue
    from refsr_bench.evaluate import runner

    cards = [catalogue.get("METRICS", metric) for metric in protocol.metrics]
    return runner.load_metrics(cards, device, lpips_weights, lambda text: click.echo(text, err=True))


def pair_progress(what: str) -> Callable[[Sequence[RefPair], int], Iterable[RefPair]]:
    from tqdm import tqdm

    def track(pairs: Sequence[RefPair], done: int) -> Iterator[RefPair]:
        yield from tqdm(pairs, desc=what, initial=done, total=done + len(pairs), unit="img", disable=None)

    return track


class Bar:
    """A progress bar for functions that report (done, total)."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> Callable[[int, int], None]:
        from tqdm import tqdm

        self.bar = tqdm(desc=self.what, unit="img", disable=None)

        def progress(done: int, total: int) -> None:
            self.bar.total = total
            self.bar.update(done - self.bar.n)

        return progress

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def report_runs(done: Sequence[Result], out: Path) -> None:
    """Print the means of these runs, then build the pages of everything in the results folder, without pictures."""
    from leaderboard.pages.site import build
    from refsr_bench.core import report

    for label in dict.fromkeys(result.run.protocol.label for result in done):
        group = [result for result in done if result.run.protocol.label == label]
        click.echo(f"\nProtocol {label} ({group[0].run.protocol.digest[:8]})\n{report.means_table(group)}")
    for result in done:
        for record in result.failed:
            click.echo(f"failed: {result.run.method.name}, {result.run.dataset.name}, {record.error}", err=True)
    built = build(out, out / "site", images="none", drawn=False)
    for problem in built.problems:
        click.echo(f"left out of the page: {problem.path}: {problem.reason}", err=True)
    click.echo(f"\nPage: {built.pages[0]}")


def exit_on_failures(done: Sequence[tuple[Result, Path]]) -> None:
    failed = sum(len(result.failed) for result, _ in done)
    if failed:
        click.echo(f"{failed} images failed, for the reasons above. The same command tries them again.", err=True)
        sys.exit(1)
