"""Weights of C2-Matching: what there is, what is in a file, bringing in the authors', checking."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from refsr_bench.cli.common import path_type
from refsr_bench.types import BenchError, Misuse

if TYPE_CHECKING:
    from c2matching.restoration import RestorationConfig


@click.group()
def weights() -> None:
    """Weights of C2-Matching: list, look into, import the authors', pack, check."""


def _found(name: str) -> Path:
    """A file, or the name of one that comes with the package."""
    from c2matching.bundle import WEIGHTS

    bundled = WEIGHTS / f"{name}.safetensors"
    if bundled.is_file():
        return bundled
    if not Path(name).is_file():
        known = ", ".join(path.stem for path in sorted(WEIGHTS.glob("*.safetensors")))
        raise Misuse(f"{name} is neither a file nor bundled weights ({known}).")
    return Path(name)


def _check_out(out: Path, force: bool) -> None:
    if out.suffix != ".safetensors":
        raise Misuse(f"--out {out}: must end in .safetensors.")
    if out.exists() and not force:
        raise Misuse(f"{out} exists. Give another --out, or --force to replace it.")


@weights.command("list")
def list_() -> None:
    """The weights that come with the package."""
    from c2matching.bundle import WEIGHTS
    from refsr_bench.checkpoints import sha256

    for path in sorted(WEIGHTS.glob("*.safetensors")):
        click.echo(f"{path.stem}  {path.stat().st_size / 1e6:.1f} MB  sha256 {sha256(path)[:12]}  {path}")
    click.echo("Others: --weights FILE.safetensors (of 'train' or 'weights import'), or the authors' restoration .pth.")


@weights.command()
@click.argument("name", metavar="FILE|NAME")
def info(name: str) -> None:
    """What a file of weights holds and how it came to be."""
    from dataclasses import asdict

    from c2matching.bundle import PARTS, network_of, parts_of, read_metadata
    from refsr_bench.checkpoints import read_weights, sha256

    path = _found(name)
    state, metadata = read_weights(path), read_metadata(path)
    click.echo(f"{path}\nsha256      {sha256(path)}")
    for part, own in parts_of(state).items():
        kinds = ", ".join(sorted({str(value.dtype).removeprefix("torch.") for value in own.values()}))
        click.echo(f"{part:<12}{sum(value.numel() for value in own.values()):,} values, {kinds}")
        if part == "restoration":
            fields = asdict(network_of(metadata, own, path))
            click.echo("network     " + ", ".join(f"{field} {value}" for field, value in fields.items()))
    if not any(key.startswith(PARTS) for key in state):
        click.echo(f"{len(state)} tensors under other names: a file of the authors? See 'refsr-bench weights import'.")
    for key in ("name", "sources", "training"):
        if key in metadata:
            text = metadata[key]
            click.echo(f"{key:<12}{text if key == 'name' else json.dumps(json.loads(text), indent=2)}")


@weights.command("import")
@click.option("--restoration", type=path_type(), required=True, help="The authors' c2_matching_restoration*.pth.")
@click.option("--extractor", type=path_type(), help="Their feature_extraction.pth; default: beside the first.")
@click.option("--vgg19", type=path_type(), help="torchvision's vgg19*.pth; default: beside the first, or its download.")
@click.option("--out", type=path_type(), required=True, help="The .safetensors file to write.")
@click.option("--name", help="What results call these weights; default: the file's name.")
@click.option("--force", is_flag=True, help="Replace --out.")
def import_(
    restoration: Path, extractor: Path | None, vgg19: Path | None, out: Path, name: str | None, force: bool
) -> None:
    """Turn the authors' three files into one that runs anywhere and says where it came from."""
    from c2matching.bundle import load_official
    from refsr_bench.checkpoints import sha256

    _check_out(out, force)
    model, files = load_official(restoration, extractor, vgg19)
    parts = {
        "restoration": model.restoration.state_dict(),
        "extractor": model.extractor.state_dict(),
        "vgg": model.vgg.state_dict(),
    }
    sources = {file.name: sha256(file) for file in files}
    _write(out, parts, model.restoration.config, {"name": name or out.stem, "sources": json.dumps(sources)})
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB from {', '.join(sources)}. Use it with --weights {out}.")


def _write(out: Path, parts: dict, network: RestorationConfig, metadata: dict[str, str], half: bool = False) -> None:
    from c2matching.bundle import write_bundle

    try:
        write_bundle(out, parts, network, metadata, half)
    except OSError as error:
        raise BenchError(f"{out} could not be written ({error.strerror or error}).") from None


@weights.command()
@click.argument("file", type=path_type())
@click.option("--out", type=path_type(), required=True, help="The .safetensors file to write.")
@click.option("--name", help="What results call these weights; default: the file's name.")
@click.option("--force", is_flag=True, help="Replace --out.")
def pack(file: Path, out: Path, name: str | None, force: bool) -> None:
    """Rewrite the weights of a restoration training as float16, half the size, to pass on. They are read as float32."""
    from c2matching.bundle import load_bundle, parts_of, read_metadata
    from refsr_bench.checkpoints import read_weights

    if file.suffix != ".safetensors":
        raise Misuse(f"{file} is no .safetensors file of 'train' or 'weights import'.")
    _check_out(out, force)
    network = load_bundle(file).restoration.config
    metadata = read_metadata(file) | {"name": name or out.stem}
    _write(out, parts_of(read_weights(file)), network, metadata, half=True)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB, was {file.stat().st_size / 1e6:.1f} MB.")


@weights.command()
@click.argument("name", metavar="FILE|NAME")
@click.option("--sha256", "digest", metavar="HEX", help="What the file's digest must begin with.")
def verify(name: str, digest: str | None) -> None:
    """Check that a file is whole: digest, names, shapes, finite values, and that it runs."""
    import numpy as np

    from c2matching.bundle import WEIGHTS
    from c2matching.method import load
    from refsr_bench.checkpoints import sha256

    path = _found(name)
    found = sha256(path)
    recorded = json.loads((WEIGHTS / "digests.json").read_text(encoding="utf-8"))
    wanted = digest or (recorded.get(path.name) if path.parent == WEIGHTS else None)
    if wanted and not found.startswith(wanted.lower()):
        raise BenchError(f"{path}: its SHA-256 is {found}, not {wanted}. The file is damaged or another one.")
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((12, 16, 3), (48, 64, 3)))
    loaded = load(path, "cpu")
    sr = loaded.upscale(lr, [ref], 4)
    click.echo(f"{path}: good. sha256 {found}, {loaded.parameters:,} parameters, 16x12 to {sr.shape[1]}x{sr.shape[0]}.")
