"""The commands for weights: list, describe, fetch, import the authors', pack, verify."""

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
    """Weights: list, fetch, describe, import the authors', pack and verify them."""


def _bundled() -> dict[str, Path]:
    """Return the files that come with the package, by name."""
    from refsr_bench.core import catalogue

    return {card.bundled.stem: card.bundled for card in catalogue.collect("METHODS").values() if card.bundled}


def _found(name: str) -> Path:
    """Return the path of a file, of a bundled one given by name, or of one that the registry knows."""
    bundled = _bundled()
    if name in bundled:
        return bundled[name]
    from refsr_bench.formats.checkpoints import check_file
    from refsr_bench.registry.known import files
    from refsr_bench.registry.places import weights_file

    try:
        return check_file(Path(name))
    except Misuse:
        if name in files():
            return weights_file(name)
        raise Misuse(
            f"{name} is neither a file nor the name of one ({', '.join(bundled)}; `{command('weights', 'list')}` has "
            "those that can be fetched)."
        ) from None


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".safetensors":
        raise Misuse(f"--out {out}: must end in .safetensors.")
    options.refuse_existing(out, overwrite)


@weights.command("list")
@options.json_option
def list_(as_json: bool) -> None:
    """List the weights that come with the package, those that were imported, and others that are known by name."""
    from refsr_bench.core.lists import some
    from refsr_bench.core.terminal import text_table
    from refsr_bench.formats.checkpoints import read_metadata, sha256
    from refsr_bench.learning.weights import owner
    from refsr_bench.registry.known import files, users
    from refsr_bench.registry.places import folder, state_of

    found = [
        {"name": path.stem, "method": read_metadata(path).get("method") or owner(path).name, "file": path,
         "bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in (*_bundled().values(), *sorted(folder().glob("*.safetensors")))
    ]  # fmt: skip
    lines = [
        f"{each['name']}  {each['method']}  {each['bytes'] / 1e6:.1f} MB  sha256 {each['sha256'][:12]}  {each['file']}"
        for each in found
    ]
    known = [
        {"name": name, "file": file.file, "for": users(file), "state": state_of(file), "sha256": file.sha256,
         "url": file.url, "home": file.home, "license": file.license, "facts": file.facts}
        for name, file in files().items()
    ]  # fmt: skip
    bring, get = command("weights", "import", "--help"), command("weights", "fetch", "NAME")
    rows = [(each["name"], some(each["for"], 2) or "-", each["state"], each["facts"]) for each in known]
    table = text_table(("known by name", "for", "state", "what"), rows)
    lines += ["", table, f"`{get}` gets one, or says where to get it."]
    lines.append(f"Others: --weights FILE, a .safetensors of training or of `{bring}`, or a model from anywhere.")
    output.answer(as_json, {"weights": found, "known": known}, "\n".join(lines))


@weights.command()
@click.argument("name", shell_complete=complete.known_weights)
@options.json_option
def fetch(name: str, as_json: bool) -> None:
    """Download a file of weights by its name, or all files of a method, and verify their digests.

    They go to $REFSR_WEIGHTS, or to the platform's data folder. $REFSR_MIRROR names another server that has them.
    """
    from refsr_bench.core.terminal import progress_bar
    from refsr_bench.formats.foreign import MOST_BYTES
    from refsr_bench.registry.fetching import fetch as download
    from refsr_bench.registry.known import named
    from refsr_bench.registry.places import fetching, folder

    got, errors = [], []
    for file in named(name):
        with progress_bar(f"fetching {file.file}", unit="bytes") as progress:
            try:
                got.append(download(file, folder(), MOST_BYTES, fetching(file), progress))
            except BenchError as error:
                errors.append(str(error))
    output.answer(as_json, {"files": got, "missing": errors}, "\n".join(f"{path}: here, and whole." for path in got))
    if errors:
        raise BenchError(" ".join(errors))


@weights.command()
@click.argument("name", shell_complete=complete.known_weights)
@options.json_option
def where(name: str, as_json: bool) -> None:
    """Print where a file of weights lies that is known by its name, once its digest is right."""
    from refsr_bench.registry.places import weights_file

    path = _bundled().get(name) or weights_file(name)
    output.answer(as_json, {"file": path}, str(path))


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
    from refsr_bench.learning.weights import import_files
    from refsr_bench.registry.places import folder

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
    from refsr_bench.learning.recognise import recognise
    from refsr_bench.learning.weights import left_out
    from refsr_bench.registry.known import PARTS

    path = _found(name)
    found, wanted = sha256(path), digest
    if not wanted and path in _bundled().values():
        wanted = json.loads((path.parent / "digests.json").read_text(encoding="utf-8"))[path.name]
    if wanted and not found.startswith(wanted.lower()):
        raise BenchError(f"{path}: its SHA-256 is {found}, not {wanted}. The file is damaged or another one.")
    if name in {part.name for part in PARTS}:
        output.answer(as_json, {"file": path, "sha256": found}, f"{path}: good. sha256 {found}.")
        return
    rng = np.random.default_rng(0)
    lr, ref = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((32, 40, 3), (128, 160, 3)))
    card = recognise(path)
    loaded = card.load(None, "cpu")
    if unknown := left_out(card, path) if card.system else []:
        names_ = ", ".join(map(shown, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        output.warn(f"{path}: {card.name} does not take {names_}.")
    sr = loaded.predict(lr, [ref], loaded.scale or 4).sr
    text = f"{path}: good. sha256 {found}, {loaded.parameters:,} parameters, 40x32 to {sr.shape[1]}x{sr.shape[0]}."
    facts = {"method": card.name, "parameters": loaded.parameters, "not_taken": unknown}
    output.answer(as_json, {"file": path, "sha256": found, **facts}, text)
