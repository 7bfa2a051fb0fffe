"""Looking at correspondences."""

from __future__ import annotations

from pathlib import Path

import click

from refsr_bench.cli.common import path_type
from refsr_bench.core.errors import BenchError, Misuse

SUFFIXES = (".png", ".pdf", ".svg")


@click.command()
@click.option("--lr", "lr_path", type=path_type(), required=True, help="The LR image.")
@click.option("--ref", "ref_paths", type=path_type(), multiple=True, required=True, help="May be given again.")
@click.option("--out", type=path_type(), required=True, help="The figure: .png, .pdf or .svg.")
@click.option("--weights", type=path_type(), help="C2-Matching weights instead of the bundled ones.")
@click.option("--matching", type=click.Choice(["exact", "half", "coarse"]), default="exact", show_default=True)
@click.option("--lines", type=click.IntRange(0, 2000), default=40, show_default=True, help="Correspondences drawn.")
@click.option("--force", is_flag=True, help="Replace --out.")
def match(
    lr_path: Path,
    ref_paths: tuple[Path, ...],
    out: Path,
    weights: Path | None,
    matching: str,
    lines: int,
    force: bool,
) -> None:
    """Draw which patch of which reference C2-Matching finds for every patch of an LR image."""
    if out.suffix.lower() not in SUFFIXES:
        raise Misuse(f"--out {out}: must end in {', '.join(SUFFIXES)}.")
    if out.exists() and not force:
        raise Misuse(f"{out} exists. Give another --out, or --force to replace it.")
    if not out.parent.is_dir():
        raise Misuse(f"--out {out}: there is no folder {out.parent}.")
    import torch

    from c2matching import figure
    from c2matching.bundle import BUNDLED, load_bundle, load_official
    from c2matching.method import check_sizes
    from refsr_bench.learning.tensors import to_tensor
    from refsr_bench.pixels.crop import mod_crop
    from refsr_bench.pixels.images import read_image
    from refsr_bench.pixels.resize import resize_pil_bicubic

    lr, refs = read_image(lr_path), [read_image(path) for path in ref_paths]
    check_sizes(lr, refs)
    path = weights or BUNDLED
    model = load_bundle(path) if path.suffix == ".safetensors" else load_official(path)[0]
    model = model.eval().requires_grad_(False)
    model.matching = matching
    enlarged, refs = resize_pil_bicubic(lr, 4 * lr.shape[0], 4 * lr.shape[1]), [mod_crop(ref, 4) for ref in refs]
    with torch.inference_mode():
        (found,) = model.correspondences(to_tensor(enlarged)[None], [to_tensor(ref)[None] for ref in refs])
    try:
        figure.draw(enlarged, refs, found, [lr_path.name, *(path.name for path in ref_paths)], lines, out)
    except OSError as error:
        raise BenchError(f"{out} could not be written ({error.strerror or error}).") from None
    click.echo(f"{found.similarity.numel()} patches, mean cosine {found.similarity.mean():.3f}")
    for n, ref_path in enumerate(ref_paths):
        won = found.reference == n
        mean = f", mean cosine {found.similarity[won].mean():.3f}" if won.any() else ""
        click.echo(f"{ref_path}: {won.float().mean():.1%} of the patches{mean}")
    click.echo(f"Figure: {out}")
