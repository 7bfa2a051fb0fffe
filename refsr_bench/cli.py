"""The command line. Each command parses, calls and prints; everything heavy is imported inside it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench import __version__
from refsr_bench.types import BenchError, Misuse

if TYPE_CHECKING:
    from refsr_bench.protocols.base import Protocol
    from refsr_bench.results import Result
    from refsr_bench.types import RefPair


class Commands(click.Group):
    """Shows problems a person can mend as one paragraph, with exit code 2 for misuse and 1 for failed work."""

    def invoke(self, ctx: click.Context) -> Any:
        from refsr_bench.results import ResultError

        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except ResultError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("\nStopped. What was recorded is kept; the same command goes on from here.", err=True)
            ctx.exit(130)


def _names(kind: str) -> Callable[..., list[str]]:
    """Shell completion with the names of the catalogue."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from refsr_bench import catalog

        return [name for name in catalog.collect(kind) if name.startswith(incomplete)]

    return complete


def _path(**checks: Any) -> click.Path:
    return click.Path(path_type=Path, **checks)


data_root_option = click.option(
    "--data-root", type=_path(), help="Folder that holds the data sets, or one data set itself. Default: $REFSR_DATA."
)
protocol_options = [
    click.option(
        "--protocol",
        "protocol_name",
        default="c2",
        show_default=True,
        shell_complete=_names("PROTOCOLS"),
        help="A published convention; 'refsr-bench protocols' lists them.",
    ),
    click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="Override one choice."),
    click.option("--refs", help="Which references: standard, all, L1, level:K, first, random:SEED, list, lr, none."),
]
lpips_option = click.option("--lpips-weights", type=_path(), help="AlexNet file from torchvision, when offline.")
leaks_option = click.option("--allow-leaks", is_flag=True, help="Measure pairs whose reference is the ground truth.")
out_option = click.option("--out", type=_path(), default=Path("results"), show_default=True, help="Results folder.")


def _with(options: Sequence[Callable]) -> Callable:
    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="refsr-bench")
def main() -> None:
    """Data, protocols, methods and results for reference-based super-resolution."""


# -- running and scoring -------------------------------------------------------------------------------------------


@main.command()
@click.option(
    "--method", "methods", multiple=True, required=True, shell_complete=_names("METHODS"), help="May be given again."
)
@click.option(
    "--dataset", "datasets", multiple=True, required=True, shell_complete=_names("DATASETS"), help="May be given again."
)
@_with(protocol_options)
@click.option("--draws", type=click.IntRange(2, 1000), help="Repeat with references drawn at random, N seeds.")
@click.option("--weights", multiple=True, metavar="[METHOD=]PATH", help="Weights instead of the method's own.")
@click.option("--name", help="Another name for the method's row and folder.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N pairs; such runs are never ranked.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--save-images", is_flag=True, help="Keep every SR image as PNG.")
@click.option("--fresh", is_flag=True, help="Start over instead of resuming; the old run is set aside.")
@data_root_option
@lpips_option
@leaks_option
@out_option
def run(
    methods: tuple[str, ...],
    datasets: tuple[str, ...],
    protocol_name: str,
    settings: tuple[str, ...],
    refs: str | None,
    draws: int | None,
    weights: tuple[str, ...],
    name: str | None,
    limit: int | None,
    device: str,
    save_images: bool,
    fresh: bool,
    data_root: Path | None,
    lpips_weights: Path | None,
    allow_leaks: bool,
    out: Path,
) -> None:
    """Run methods on data sets under one protocol, record every image, and write results and a page."""
    from refsr_bench import catalog, checks, report, runner
    from refsr_bench.datasets import open_dataset

    if name and len(methods) > 1:
        raise Misuse("--name is for a single --method.")
    if draws and refs:
        raise Misuse("--draws chooses references at random itself; leave --refs out.")
    protocol = _protocol(protocol_name, settings, refs)
    protocols = [protocol.changed({"refs": f"random:{seed}"}) for seed in range(draws)] if draws else [protocol]
    cards = [catalog.get("METHODS", method) for method in methods]
    files = _weights(weights, methods)
    device = runner.resolve_device(device)
    opened = [open_dataset(dataset, data_root) for dataset in datasets]
    predictors = [
        runner.method_predictor(card, card.load(files.get(card.name), device), device, name) for card in cards
    ]
    metrics = _metrics(protocol, device, lpips_weights)
    done = []
    for dataset in opened:
        pairs = dataset.pairs[:limit]
        for each in protocols:
            for predictor in predictors:
                checks.check_references(predictor.info, each, dataset, pairs)
            notes = checks.refuse_leaks(dataset, each, pairs, allow_leaks)
            for predictor in predictors:
                result, folder = runner.evaluate(
                    predictor, dataset, each, metrics, out, pairs=pairs, fresh=fresh, save_images=save_images,
                    notes=notes, command=_command(), track=_progress(f"{predictor.info.name} on {dataset.name}"),
                )  # fmt: skip
                done.append((result, folder))
    _report([result for result, _ in done], out)
    if draws:
        click.echo(f"\nOver the draws (mean ± standard deviation)\n{report.draws_table([r for r, _ in done])}")
    _exit_on_failures(done)


@main.command()
@click.option("--pred", type=_path(), required=True, help="Folder of SR images, one per pair.")
@click.option("--dataset", "dataset_name", required=True, shell_complete=_names("DATASETS"))
@_with(protocol_options)
@click.option("--name", required=True, help="The method's name in tables.")
@click.option("--group", type=click.Choice(["SISR", "Ref-SR"]), default="Ref-SR", show_default=True)
@click.option("--gan", is_flag=True, help="Trained with an adversarial loss (such rows are shaded).")
@click.option("--partial", is_flag=True, help="Measure what is there when images are missing; never ranked.")
@click.option("--fresh", is_flag=True, help="Start over; the old run is set aside.")
@data_root_option
@lpips_option
@leaks_option
@out_option
def score(
    pred: Path,
    dataset_name: str,
    protocol_name: str,
    settings: tuple[str, ...],
    refs: str | None,
    name: str,
    group: str,
    gan: bool,
    partial: bool,
    fresh: bool,
    data_root: Path | None,
    lpips_weights: Path | None,
    allow_leaks: bool,
    out: Path,
) -> None:
    """Measure SR images that any other code produced.

    A file belongs to a pair when it is called like the pair's id, its HR file or its reference file, with or without
    something after "_", "-" or "." (000.png, 000_0.png, 000_mymethod.png).
    """
    from refsr_bench import checks, predictions, runner
    from refsr_bench.datasets import open_dataset

    protocol = _protocol(protocol_name, settings, refs)
    dataset = open_dataset(dataset_name, data_root)
    found = predictions.find_predictions(pred, protocol, dataset)
    missing = [pair.id for pair in dataset.pairs if pair.id not in found]
    if missing and (not partial or not found):
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        raise Misuse(f"{pred} has no SR image for {len(missing)} of {len(dataset.pairs)} pairs: {shown}. "
                     "Add them, or give --partial to measure the others.")  # fmt: skip
    pairs = tuple(pair for pair in dataset.pairs if pair.id in found)
    predictor = predictions.folder_predictor(name, group, gan, found)
    result, folder = runner.evaluate(
        predictor, dataset, protocol, _metrics(protocol, "cpu", lpips_weights), out, pairs=pairs, fresh=fresh,
        notes=checks.refuse_leaks(dataset, protocol, pairs, allow_leaks), command=_command(), track=_progress(name),
    )  # fmt: skip
    _report([result], out)
    _exit_on_failures([(result, folder)])


@main.command()
@click.option("--lr", type=_path(), required=True, help="The low-resolution photo.")
@click.option("--ref", "refs", type=_path(), multiple=True, help="A high-resolution photo of something similar.")
@click.option("--method", default="c2matching", show_default=True, shell_complete=_names("METHODS"))
@click.option("--weights", type=_path(), help="Weights instead of the method's own.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--out", type=_path(), required=True, help="The SR image, a .png.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def sr(lr: Path, refs: tuple[Path, ...], method: str, weights: Path | None, device: str, out: Path, overwrite: bool):
    """Super-resolve one photo x4 with the help of others, of any size."""
    from refsr_bench import catalog, images, runner

    card = catalog.get("METHODS", method)
    if out.suffix.lower() != ".png":
        raise Misuse(f"--out {out}: SR images are written as PNG, without loss. Give a name that ends in .png.")
    if out.exists() and not overwrite:
        raise Misuse(f"{out} exists. Choose another --out or give --overwrite.")
    if card.references != "none" and not refs:
        raise Misuse(f"{method} needs at least one --ref.")
    device = runner.resolve_device(device)
    low = images.read_image(lr)
    high = [images.read_image(ref) for ref in refs]
    loaded = card.load(weights, device)
    image = loaded.upscale(low, high, 4)
    images.write_png(out, image)
    click.echo(f"{out}: {image.shape[1]}x{image.shape[0]}, {card.title}, weights {loaded.weights}")


# -- data ----------------------------------------------------------------------------------------------------------


@main.group()
def data() -> None:
    """Data sets: what is known, what is here, bringing one in, checking it."""


@data.command("list")
@data_root_option
def data_list(data_root: Path | None) -> None:
    """Every data set the toolkit knows and whether it is here."""
    from refsr_bench import catalog
    from refsr_bench.datasets import open_dataset
    from refsr_bench.report import text_table

    rows, damaged = [], []
    for card in catalog.collect("DATASETS").values():
        try:
            opened = open_dataset(card.name, data_root)
            published = opened.official or card.embedded or card.n_pairs is None
            state = f"{len(opened.pairs)} pairs" + ("" if published else ", not the published set")
        except Misuse:
            state = "not here"
        except BenchError as error:
            state = "cannot be used"
            damaged.append(f"{card.name}: {error}")
        rows.append((card.name, str(card.n_pairs or "-"), card.refs_per_pair, state, card.description))
    click.echo("\n".join([text_table(("name", "pairs", "refs", "here", "what"), rows), *damaged]))


@data.command("info")
@click.argument("name", shell_complete=_names("DATASETS"))
def data_info(name: str) -> None:
    """Where a data set comes from, its terms, and how it must lie on disk."""
    from refsr_bench import catalog

    card = catalog.get("DATASETS", name)
    click.echo(f"{card.title} ({card.name})\n{card.description}")
    for label, value in (
        ("pairs", card.n_pairs or "any number"),
        ("references per pair", card.refs_per_pair),
        ("home", card.home),
        ("terms", card.terms),
        ("layout", card.layout),
        ("folder below the data root", card.folder or "-"),
    ):
        click.echo(f"  {label}: {value}")


@data.command("prepare")
@click.argument("name", shell_complete=_names("DATASETS"))
@click.option("--from", "source", type=_path(), required=True, help="The archive or folder you downloaded.")
@data_root_option
def data_prepare(name: str, source: Path, data_root: Path | None) -> None:
    """Unpack a download safely, check it, and write its manifest."""
    from refsr_bench.datasets import data_root as find_root
    from refsr_bench.datasets.prepare import prepare

    with _bar(f"checking {name}") as progress:
        folder = prepare(name, source, find_root(data_root), progress)
    click.echo(f"{name} is ready in {folder}. Check it at any time: refsr-bench data verify {name}")


@data.command("verify")
@click.argument("name", shell_complete=_names("DATASETS"))
@data_root_option
def data_verify(name: str, data_root: Path | None) -> None:
    """Check every file against the manifest and look for references that give the answer away."""
    from refsr_bench.datasets.prepare import verify

    with _bar(f"verifying {name}") as progress:
        report = verify(name, data_root, progress)
    click.echo(f"{name}: {report.n_pairs} pairs, {report.n_files} files in {report.folder or 'the package'}")
    faults = [(kind, items) for kind in ("missing", "changed", "extra") if (items := getattr(report, kind))]
    for kind, items in faults:
        click.echo(f"  {kind}: {', '.join(items[:10])}" + (f" and {len(items) - 10} more" if len(items) > 10 else ""))
    for leak in report.leaks:
        click.echo(f"  leak: pair {leak.pair_id}, reference {leak.ref_name} {leak.reason}")
    for sentence in (*report.problems, *(f"note: {note}" for note in report.notes)):
        click.echo(f"  {sentence}")
    click.echo("ok" if report.ok else "not ok")
    if not report.ok:
        sys.exit(1)


# -- methods and protocols -----------------------------------------------------------------------------------------


@main.command("methods")
def methods_list() -> None:
    """Every method the catalogue knows."""
    from refsr_bench import catalog
    from refsr_bench.report import text_table

    cards = catalog.collect("METHODS").values()
    rows = [(card.name, card.title, card.group, card.references, str(card.year), card.description) for card in cards]
    click.echo(text_table(("name", "title", "group", "refs", "year", "what"), rows))


@main.group(invoke_without_command=True)
@click.pass_context
def protocols(ctx: click.Context) -> None:
    """How numbers are made: one protocol per published convention."""
    if ctx.invoked_subcommand is None:
        from refsr_bench import catalog

        for protocol in catalog.collect("PROTOCOLS").values():
            click.echo(f"{protocol.name} (v{protocol.version}, {protocol.digest[:8]})\n  {protocol.summary}")


@protocols.command("diff")
@click.argument("a", shell_complete=_names("PROTOCOLS"))
@click.argument("b", shell_complete=_names("PROTOCOLS"))
def protocols_diff(a: str, b: str) -> None:
    """Explain in words, and where measured in dB, how two protocols differ."""
    from refsr_bench.protocols.effects import explain

    click.echo("\n".join(explain(_protocol(a), _protocol(b))))


@protocols.command("selftest")
@data_root_option
def protocols_selftest(data_root: Path | None) -> None:
    """Measure bicubic on the standard sets you have and compare with the published rows."""
    from refsr_bench.datasets import open_dataset
    from refsr_bench.protocols.selftest import ANCHORS, selftest
    from refsr_bench.report import text_table

    opened = []
    for name in ANCHORS:
        try:
            opened.append(open_dataset(name, data_root))
        except Misuse:
            continue
        except BenchError as error:
            click.echo(f"{name} passed over: {error}", err=True)
    checks = selftest(opened)
    rows = [
        (
            check.anchor.title,
            f"{check.anchor.psnr:.2f} / {check.anchor.ssim:.4f}".rstrip("0"),
            "-" if check.psnr is None else f"{check.psnr:.3f} / {check.ssim:.4f}",
            check.status,
            check.detail,
        )
        for check in checks
    ]
    click.echo(text_table(("bicubic x4", "published", "measured", "", "off"), rows))
    if any(check.status in ("differs", "failed") for check in checks):
        sys.exit(1)


# -- leaderboard ---------------------------------------------------------------------------------------------------


@main.group()
def leaderboard() -> None:
    """Results as a page to publish."""


@leaderboard.command("build")
@click.option("--results", "results_dir", type=_path(), default=Path("results"), show_default=True)
@click.option("--out", type=_path(), default=Path("site"), show_default=True)
@click.option("--title", help="The page's heading.")
def leaderboard_build(results_dir: Path, out: Path, title: str | None) -> None:
    """Build the static site of every result below a folder."""
    from leaderboard.site import build

    if not results_dir.is_dir():
        raise Misuse(f"There is no results folder {results_dir}.")
    report = build(results_dir, out, **({"title": title} if title else {}))
    for problem in report.problems:
        click.echo(f"left out: {problem.path}: {problem.reason}", err=True)
    click.echo(f"{report.pages[0]} ({len(report.tables)} tables)")
    if report.problems:
        sys.exit(1)


# -- what commands share -------------------------------------------------------------------------------------------


def _command() -> str:
    return shlex.join(["refsr-bench", *sys.argv[1:]])


def _protocol(name: str, settings: Sequence[str] = (), refs: str | None = None) -> Protocol:
    from refsr_bench import catalog
    from refsr_bench.protocols.base import parse_label, parse_settings

    values = parse_settings(settings)
    if refs is not None:
        values["refs"] = refs
    protocol = parse_label(name, lambda label: catalog.get("PROTOCOLS", label))
    return protocol.changed(values) if values else protocol


def _weights(options: Sequence[str], methods: Sequence[str]) -> dict[str, Path]:
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


def _metrics(protocol: Protocol, device: str, lpips_weights: Path | None) -> dict:
    from refsr_bench import catalog, runner

    cards = [catalog.get("METRICS", metric) for metric in protocol.metrics]
    return runner.load_metrics(cards, device, lpips_weights, lambda text: click.echo(text, err=True))


def _progress(what: str) -> Callable[[Sequence[RefPair], int], Iterable[RefPair]]:
    from tqdm import tqdm

    def track(pairs: Sequence[RefPair], done: int) -> Iterator[RefPair]:
        yield from tqdm(pairs, desc=what, initial=done, total=done + len(pairs), unit="img", disable=None)

    return track


class _bar:
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


def _report(done: Sequence[Result], out: Path) -> None:
    """Print the means of these runs, then build the page of everything in the results folder."""
    from leaderboard.site import build
    from refsr_bench import report

    for label in dict.fromkeys(result.run.protocol.label for result in done):
        group = [result for result in done if result.run.protocol.label == label]
        click.echo(f"\nProtocol {label} ({group[0].run.protocol.digest[:8]})\n{report.means_table(group)}")
    for result in done:
        for record in result.failed:
            click.echo(f"failed: {result.run.method.name}, {result.run.dataset.name}, {record.error}", err=True)
    built = build(out, out)
    for problem in built.problems:
        click.echo(f"left out of the page: {problem.path}: {problem.reason}", err=True)
    click.echo(f"\nPage: {built.pages[0]}")


def _exit_on_failures(done: Sequence[tuple[Result, Path]]) -> None:
    failed = sum(len(result.failed) for result, _ in done)
    if failed:
        click.echo(f"{failed} images failed, for the reasons above. The same command tries them again.", err=True)
        sys.exit(1)
