"""Running methods, measuring SR images, and super-resolving one photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli.common import (
    command_line,
    data_root_option,
    exit_on_failures,
    leaks_option,
    load_method,
    load_methods,
    load_metrics,
    lpips_option,
    matching_option,
    names,
    out_option,
    pair_progress,
    path_type,
    protocol_of,
    protocol_options,
    report_runs,
    with_options,
)
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.core.schema import Result


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    shell_complete=names("METHODS"),
    help="May be given again. 'all': every method that has weights here.",
)
@click.option("--command", help="A method of your own: 'python mymodel.py {lr} {ref} {out}', run once per image.")
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=600.0,
    show_default=True,
    metavar="SECONDS",
    help="Of --command, per image.",
)
@click.option(
    "--dataset", "datasets", multiple=True, required=True, shell_complete=names("DATASETS"), help="May be given again."
)
@with_options(protocol_options)
@click.option("--draws", type=click.IntRange(2, 1000), help="Repeat with references drawn at random, N seeds.")
@click.option(
    "--weights",
    multiple=True,
    metavar="[METHOD=]PATH",
    help="Weights instead of the method's own. 'synthetic': by formula, to see that methods without weights run.",
)
@matching_option
@click.option("--name", help="Another name for the method's row and folder.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N pairs; such runs are never ranked.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--save-images", is_flag=True, help="Keep SR, HR, LR and references as PNG, for the leaderboard's pages.")
@click.option("--save-matches", is_flag=True, help="Also pictures of where methods found the reference.")
@click.option("--fresh", is_flag=True, help="Start over instead of resuming; the old run is set aside.")
@data_root_option
@lpips_option
@leaks_option
@out_option
def run(
    methods: tuple[str, ...],
    command: str | None,
    time_limit: float,
    datasets: tuple[str, ...],
    protocol_name: str,
    settings: tuple[str, ...],
    refs: str | None,
    draws: int | None,
    weights: tuple[str, ...],
    matching: str | None,
    name: str | None,
    limit: int | None,
    device: str,
    save_images: bool,
    save_matches: bool,
    fresh: bool,
    data_root: Path | None,
    lpips_weights: Path | None,
    allow_leaks: bool,
    out: Path,
) -> None:
    """Run methods on data sets under one protocol, record every image, and write results and a page."""
    from refsr_bench.core import report
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluate import checks, runner

    methods = methods or (("external",) if command else ())
    if not methods:
        raise Misuse("Give --method NAME ('refsr-bench methods list' has the names), --method all, or --command.")
    if name and (len(methods) > 1 or "all" in methods):
        raise Misuse("--name is for a single --method.")
    if draws and refs:
        raise Misuse("--draws chooses references at random itself; leave --refs out.")
    protocol = protocol_of(protocol_name, settings, refs)
    protocols = [protocol.changed({"refs": f"random:{seed}"}) for seed in range(draws)] if draws else [protocol]
    device = runner.resolve_device(device)
    opened = [open_dataset(dataset, data_root) for dataset in datasets]
    loading = load_methods(methods, weights, device, matching, command, time_limit)
    if "all" not in methods:
        loading = list(loading)  # what is missing is said before hours pass; of all there are, one at a time is held
    metrics = load_metrics(protocol, device, lpips_weights)
    tasks = [(dataset, each, dataset.pairs[:limit]) for dataset in opened for each in protocols]
    notes = [checks.refuse_leaks(dataset, each, pairs, allow_leaks) for dataset, each, pairs in tasks]
    done = []
    for card, loaded in loading:
        method = runner.method_predictor(card, loaded, device, name)
        for (dataset, each, pairs), noted in zip(tasks, notes, strict=True):
            predictor = method
            if checks.must_stack(method.info, each, dataset, pairs):
                click.echo(f"{method.info.name} takes one reference: all are stacked into one image.", err=True)
                predictor = runner.stacking(method)
            result, folder = runner.evaluate(
                predictor, dataset, each, metrics, out, pairs=pairs, fresh=fresh, notes=noted,
                save_images=save_images or save_matches, save_matches=save_matches, command=command_line(),
                track=pair_progress(f"{method.info.name} on {dataset.name}"),
            )  # fmt: skip
            done.append((result, folder))
    report_runs([result for result, _ in done], out)
    if save_images or save_matches:
        _report_pictures(done, out)
    if draws:
        click.echo(f"\nOver the draws (mean ± standard deviation)\n{report.draws_table([r for r, _ in done])}")
    exit_on_failures(done)


def _report_pictures(done: Sequence[tuple[Result, Path]], out: Path) -> None:
    """What the pictures of these runs take on the disk, and which are missing."""
    from refsr_bench.pixels import saved

    folders = {folder / name for _, folder in done for name in ("images", "matches")}
    folders |= {folder.parent / "inputs" for _, folder in done}
    count, size = saved.size(folders)
    click.echo(f"Pictures: {count} files, {size / 2**20:.1f} MiB below {out}")
    for result, folder in done:
        if missing := saved.missing(folder, result):
            click.echo(
                f"{result.run.method.name}, {result.run.dataset.name}: {len(missing)} images were measured before "
                "without being saved; --fresh measures and saves them.",
                err=True,
            )


@click.command()
@click.option("--pred", type=path_type(), required=True, help="Folder of SR images, one per pair.")
@click.option("--dataset", "dataset_name", required=True, shell_complete=names("DATASETS"))
@with_options(protocol_options)
@click.option("--name", required=True, help="The method's name in tables.")
@click.option("--group", type=click.Choice(["SISR", "Ref-SR"]), default="Ref-SR", show_default=True)
@click.option("--gan", is_flag=True, help="Trained with an adversarial loss (such rows are shaded).")
@click.option("--partial", is_flag=True, help="Measure what is there when images are missing; never ranked.")
@click.option("--save-images", is_flag=True, help="Keep SR, HR, LR and references as PNG, for the leaderboard's pages.")
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
    save_images: bool,
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
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.evaluate import checks, predictions, runner

    protocol = protocol_of(protocol_name, settings, refs)
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
        predictor, dataset, protocol, load_metrics(protocol, "cpu", lpips_weights), out, pairs=pairs, fresh=fresh,
        notes=checks.refuse_leaks(dataset, protocol, pairs, allow_leaks), command=command_line(),
        save_images=save_images, track=pair_progress(name),
    )  # fmt: skip
    report_runs([result], out)
    if save_images:
        _report_pictures([(result, folder)], out)
    exit_on_failures([(result, folder)])


@click.command()
@click.option("--lr", type=path_type(), required=True, help="The low-resolution photo.")
@click.option("--ref", "refs", type=path_type(), multiple=True, help="A high-resolution photo of something similar.")
@click.option("--method", default="c2matching", show_default=True, shell_complete=names("METHODS"))
@click.option("--weights", type=path_type(), help="Weights instead of the method's own.")
@matching_option
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--out", type=path_type(), required=True, help="The SR image, a .png.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def sr(
    lr: Path,
    refs: tuple[Path, ...],
    method: str,
    weights: Path | None,
    matching: str | None,
    device: str,
    out: Path,
    overwrite: bool,
) -> None:
    """Super-resolve one photo x4 with the help of others, of any size."""
    from refsr_bench.core import catalogue
    from refsr_bench.evaluate import runner
    from refsr_bench.pixels import images

    card = catalogue.get("METHODS", method)
    if out.suffix.lower() != ".png":
        raise Misuse(f"--out {out}: SR images are written as PNG, without loss. Give a name that ends in .png.")
    if out.exists() and not overwrite:
        raise Misuse(f"{out} exists. Choose another --out or give --overwrite.")
    if card.references != "none" and not refs:
        raise Misuse(f"{method} needs at least one --ref.")
    device = runner.resolve_device(device)
    low = images.read_image(lr)
    high = [images.read_image(ref) for ref in refs]
    loaded = load_method(card, weights, device, matching)
    image = loaded.predict(low, high, 4).sr
    images.write_png(out, image)
    click.echo(f"{out}: {image.shape[1]}x{image.shape[0]}, {card.title}, weights {loaded.weights.name}")
