"""The paper's ablation (Fig. 5)."""

from __future__ import annotations

from pathlib import Path

import click

from refsr_bench.cli.common import command_line, data_root_option, names, pair_progress, path_type
from refsr_bench.core.errors import BenchError


@click.command()
@click.option("--data", "folders", type=path_type(), multiple=True, required=True, help="As for 'train'.")
@click.option("--out", type=path_type(), required=True, help="Folder of the trainings; what is there is not repeated.")
@click.option("--dataset", default="sample", show_default=True, shell_complete=names("DATASETS"), help="Measured on.")
@click.option("--config", "configs", multiple=True, help="As for 'train'.")
@click.option("--set", "settings", multiple=True, metavar="TABLE.FIELD=VALUE", help="Override one value.")
@click.option("--teacher", type=path_type(), help="A trained teacher, so that none is trained.")
@click.option("--vgg16", type=path_type(), help="ImageNet VGG16 from torchvision, when offline.")
@click.option("--vgg19", type=path_type(), help="ImageNet VGG19 from torchvision, when offline.")
@click.option("--device", type=click.Choice(["auto", "cpu"]), default="auto", show_default=True)
@data_root_option
def ablation(
    folders: tuple[Path, ...],
    out: Path,
    dataset: str,
    configs: tuple[str, ...],
    settings: tuple[str, ...],
    teacher: Path | None,
    vgg16: Path | None,
    vgg19: Path | None,
    device: str,
    data_root: Path | None,
) -> None:
    """Train and measure C2-Matching with one component after the other, beside the paper's Fig. 5.

    Writes ablation.json, which the leaderboard draws. Stopped at any point, the same command goes on.
    """
    from c2matching.method import METHODS
    from c2matching.training import ablation as study
    from c2matching.training import config
    from c2matching.training import train as training_loop
    from c2matching.training.data import find_photos
    from c2matching.training.prepare import Sources
    from refsr_bench.core import catalogue
    from refsr_bench.core.files import write_text
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.data.texture import texture_subset
    from refsr_bench.evaluate import runner

    training = config.load(configs, settings)
    photos, opened = find_photos(folders), open_dataset(dataset, data_root)
    accelerator = training_loop.accelerator_of(training.run.precision, device)
    parallel = training_loop.parallel_of(accelerator)

    def say(text: str) -> None:
        click.echo(text, err=True)

    try:
        weights = study.train_variants(
            photos, training, Sources(teacher=teacher, vgg16=vgg16, vgg19=vgg19), parallel, out,
            [str(folder) for folder in folders], say,
        )  # fmt: skip
    except training_loop.Stopped as stopped:
        say("Stopped and saved; the same command goes on.")
        raise SystemExit(128 + stopped.signal_number) from None
    protocol = catalogue.get("PROTOCOLS", "c2")
    metrics = runner.load_metrics([catalogue.get("METRICS", "psnr_y")], str(parallel.device), None, say)
    measured = {}
    for name, path in weights.items():
        loaded = METHODS[0].load(path, str(parallel.device))
        predictor = runner.method_predictor(METHODS[0], loaded, str(parallel.device), name)
        result, folder = runner.evaluate(
            predictor, opened, protocol, metrics, out / "runs", command=command_line(), kind="ablation",
            track=pair_progress(f"{name} on {opened.name}"),
        )  # fmt: skip
        if result.failed:
            raise BenchError(f"{name}: {result.failed[0].error}")
        measured[name] = (result, folder)
    scores = {name: {i.id: i.metrics["psnr_y"] for i in result.images} for name, (result, _) in measured.items()}
    subset = texture_subset(opened)
    try:
        write_text(out / study.FILE, study.document(measured, subset, training, teacher, photos, out))
    except OSError as error:
        raise BenchError(f"{out / study.FILE}: cannot be written ({error.strerror or error}).") from None
    click.echo(f"PSNR-Y in dB, {opened.name}, {len(opened.pairs)} images; texture subset: {len(subset)} images")
    click.echo(study.table(scores, subset))
    first = f"a given teacher, {teacher.name}" if teacher else f"{training.teacher.iterations} iterations as teacher"
    click.echo(
        f"\nOurs: {first}, {training.student.iterations} as student, {training.restoration.iterations} of restoration, "
        f"{len(photos)} photos. The paper's: CUFED5, full training."
    )
