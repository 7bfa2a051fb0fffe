"""The commands for weights: list, describe, import the authors', pack, verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench.cli import complete, options, output
from refsr_bench.cli.grammar import Group, renamed
from refsr_bench.cli.options import path_type
from refsr_bench.core.commands import command
from refsr_bench.core.errors import BenchError, Misuse

if TYPE_CHECKING:
    from torch import Tensor


@click.group(cls=Group)
def weights() -> None:
    """Weights: list, describe, import the authors', pack and verify them."""


def _bundled() -> dict[str, Path]:
    """Return the files that come with the package, by name."""
    from refsr_bench.core import catalogue

    return {card.bundled.stem: card.bundled for card in catalogue.collect("METHODS").values() if card.bundled}


def _found(name: str) -> Path:
    """Return the path of a file, or of a bundled one given by name."""
    bundled = _bundled()
    if name in bundled:
        return bundled[name]
    from refsr_bench.formats.checkpoints import check_file

    try:
        return check_file(Path(name))
    except Misuse:
        raise Misuse(f"{name} is neither a file nor bundled weights ({', '.join(bundled)}).") from None


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".safetensors":
        raise Misuse(f"--out {out}: must end in .safetensors.")
    options.refuse_existing(out, overwrite)


@weights.command("list")
@options.json_option
def list_(as_json: bool) -> None:
    """List the weights that come with the package, and those that were imported."""
    from refsr_bench.formats.checkpoints import read_metadata, sha256
    from refsr_bench.learning.weights import folder, owner

    found = [
        {"name": path.stem, "method": read_metadata(path).get("method") or owner(path).name, "file": path,
         "bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in (*_bundled().values(), *sorted(folder().glob("*.safetensors")))
    ]  # fmt: skip
    lines = [
        f"{each['name']}  {each['method']}  {each['bytes'] / 1e6:.1f} MB  sha256 {each['sha256'][:12]}  {each['file']}"
        for each in found
    ]
    bring = command("weights", "import", "--help")
    lines.append(f"Others: --weights FILE, a .safetensors of training or of `{bring}`, or a file of the authors.")
    output.answer(as_json, {"weights": found}, "\n".join(lines))


@weights.command()
@click.argument("name", metavar="FILE|NAME", shell_complete=complete.bundled)
@options.json_option
def info(name: str, as_json: bool) -> None:
    """Show what a file of weights holds and how it was made."""
    from refsr_bench.core.reader import parse_json
    from refsr_bench.formats.checkpoints import read_metadata, read_weights, sha256, shown

    path = _found(name)
    state, metadata = read_weights(path), read_metadata(path)
    lines = [f"{path}", f"sha256      {sha256(path)}"]
    if "method" in metadata:
        lines.append(f"method      {shown(metadata['method'])}")
    parts: dict[str, list[Tensor]] = {}
    for key, value in state.items():
        parts.setdefault(key.partition(".")[0], []).append(value)
    sizes = {}
    for part, own in parts.items():
        kinds = sorted({str(value.dtype).removeprefix("torch.") for value in own})
        sizes[part] = {"values": sum(value.numel() for value in own), "types": kinds}
        lines.append(f"{shown(part):<24}{sizes[part]['values']:,} values, {', '.join(kinds)}")
    if "format" not in metadata:
        bring = command("weights", "import", "--method", "METHOD", path)
        lines.append(f"{len(state)} tensors under other names. Are they a file of the authors? Bring it in: {bring}")
    said = {key: metadata[key] for key in ("name", "network", "options", "sources", "training") if key in metadata}
    read = {key: text if key == "name" else parse_json(text, f"{path}: its {key}") for key, text in said.items()}
    lines += [f"{key:<12}{shown(it) if key == 'name' else json.dumps(it, indent=2)}" for key, it in read.items()]
    document = {"file": path, "sha256": sha256(path), "method": metadata.get("method"), "parts": sizes, **read}
    output.answer(as_json, document, "\n".join(lines))


@weights.command("import")
@options.method("To which the weights belong.", required=True)
@click.argument("files", nargs=-1, required=True, type=path_type())
@options.out("A .safetensors file; default: where methods look for theirs.")
@options.name("Of these weights; default: the first file's.")
@options.overwrite()
@renamed("--force", "overwrite", "--overwrite", is_flag=True)
@options.json_option
@options.as_one
def import_(asked: Any) -> None:
    """Turn the authors' files into one file that runs anywhere and states its origin.

    Nothing in them is executed. `refsr-bench methods info METHOD` names the files. Without --out, METHOD uses these
    weights from now on.
    """
    from refsr_bench.core import catalogue
    from refsr_bench.learning.weights import folder, import_files

    card = catalogue.get("METHODS", asked.method)
    if card.system is None:
        raise Misuse(f"{asked.method} has no weights to import.")
    out = asked.out or folder() / f"{asked.method}.safetensors"
    _check_out(out, asked.overwrite)
    used = import_files(card, asked.files, out, asked.name or asked.files[0].stem)
    known, size = ", ".join(file.name for file in used), out.stat().st_size
    text = f"{out}: {size / 1e6:.1f} MB from {known}. Use it with --weights {asked.method}={out}."
    output.answer(asked.as_json, {"file": out, "bytes": size, "method": asked.method, "sources": used}, text)


@weights.command()
@click.argument("file", type=path_type())
@options.out("A .safetensors file.", required=True)
@options.name("Of these weights; default: the file's.")
@options.overwrite()
@renamed("--force", "overwrite", "--overwrite", is_flag=True)
@options.json_option
def pack(file: Path, out: Path, name: str | None, overwrite: bool, as_json: bool) -> None:
    """Rewrite trained weights as float16, half the size, for sharing. They are read as float32."""
    from refsr_bench.learning import weights as files

    if file.suffix != ".safetensors":
        raise Misuse(f"{file} is no .safetensors file of training, and no imported one.")
    _check_out(out, overwrite)
    files.owner(file).load(file, "cpu")  # damaged weights, or those of another network, are not passed on
    files.pack(file, out, name or out.stem)
    sizes = {"bytes": out.stat().st_size, "bytes_before": file.stat().st_size}
    text = f"{out}: {sizes['bytes'] / 1e6:.1f} MB, was {sizes['bytes_before'] / 1e6:.1f} MB."
    output.answer(as_json, {"file": out, **sizes}, text)


@weights.command()
@click.argument("name", metavar="FILE|NAME", shell_complete=complete.bundled)
@click.option("--sha256", "digest", metavar="HEX", help="The expected beginning of the file's digest.")
@options.json_option
def verify(name: str, digest: str | None, as_json: bool) -> None:
    """Check that a file is whole: digest, names, shapes, finite values, and that it runs.

    Tensors that its method does not take are named.
    """
    import numpy as np

    from refsr_bench.formats.checkpoints import sha256, shown
    from refsr_bench.learning.weights import left_out, owner

    path = _found(name)
    found, wanted = sha256(path), digest
    if not wanted and path in _bundled().values():
        wanted = json.loads((path.parent / "digests.json").read_text(encoding="utf-8"))[path.name]
    if wanted and not found.startswith(wanted.lower()):
        raise BenchError(f"{path}: its SHA-256 is {found}, not {wanted}. The file is damaged or another one.")
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((32, 40, 3), (128, 160, 3)))
    card = owner(path)
    loaded = card.load(path, "cpu")
    if unknown := left_out(card, path):
        names_ = ", ".join(map(shown, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        output.warn(f"{path}: {card.name} does not take {names_}.")
    sr = loaded.predict(lr, [ref], 4).sr
    text = f"{path}: good. sha256 {found}, {loaded.parameters:,} parameters, 40x32 to {sr.shape[1]}x{sr.shape[0]}."
    facts = {"method": card.name, "parameters": loaded.parameters, "not_taken": unknown}
    output.answer(as_json, {"file": path, "sha256": found, **facts}, text)
