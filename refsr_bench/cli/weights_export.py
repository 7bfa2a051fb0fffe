"""The command that writes a network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refsr_bench import __version__
from refsr_bench.cli import options, output
from refsr_bench.cli.grammar import Command
from refsr_bench.cli.options import path_type
from refsr_bench.core.errors import Misuse

if TYPE_CHECKING:
    from refsr_bench.core.cards import MethodCard
    from refsr_bench.core.schema import Weights
    from refsr_bench.learning.onnx import Example

SIZES = ((32, 40), (24, 52), (41, 27))
"""LR rows and columns of the images that an exported file is checked on: traced, wider, higher."""


@click.command(cls=Command)
@options.method("Needed without --weights.")
@options.weights("'synthetic': made by formula.", type=path_type())
@options.licence("Of the weights, which the file then states.", default="")
@options.out("An .onnx file.", required=True)
@options.overwrite()
@options.json_option
@options.as_one
def export(asked: Any) -> None:
    """Write a network as an ONNX file, for programs without this package.

    Images may have any size. SISR methods take LR alone; c2matching takes LR, a reference and the matches. The file is
    written when onnxruntime makes the same image from it as the method.
    """
    from refsr_bench.learning import onnx

    out = asked.out
    if out.suffix != ".onnx":
        raise Misuse(f"--out {out}: must end in .onnx.")
    options.refuse_existing(out, asked.overwrite)
    card = _card(asked.method, asked.weights)
    onnx.check(card)
    net, about = card.load.network(asked.weights)
    done = onnx.export(card, net, out, _examples(), _facts(card, about, asked.license))
    lines = [f"input  {port.name} ({', '.join(map(str, port.shape))}): {port.meaning}" for port in done.inputs]
    lines += [
        f"checked on {width}x{height} pixels: {difference:.2g} grey levels from {card.name} itself"
        for (width, height), difference in done.differences.items()
    ]
    size = out.stat().st_size
    inputs = [{"name": port.name, "shape": port.shape, "meaning": port.meaning} for port in done.inputs]
    checks = [{"width": width, "height": height, "difference": difference}
              for (width, height), difference in done.differences.items()]  # fmt: skip
    document = {"file": out, "bytes": size, "method": card.name, "weights": about, "inputs": inputs, "checks": checks}
    text = "\n".join([*lines, f"{out}: {size / 1e6:.1f} MB, {card.title}, weights {about.name}"])
    output.answer(asked.as_json, document, text)


def _card(method: str | None, weights: Path | None) -> MethodCard:
    """Return the method that was asked for, else that of the weights."""
    from refsr_bench.core import catalogue
    from refsr_bench.formats.checkpoints import check_file
    from refsr_bench.learning.weights import SYNTHETIC, owner

    if method:
        return catalogue.get("METHODS", method)
    if weights is None or weights == SYNTHETIC:
        raise Misuse("Which network? Give --method NAME, or --weights FILE, which tells its method.")
    return owner(check_file(weights))


def _examples() -> list[Example]:
    """Return parts of a photograph of the sample set as LR images, each with a part of another as its reference."""
    from refsr_bench.data.opening import open_dataset
    from refsr_bench.learning.system import SCALE
    from refsr_bench.learning.tensors import degrade

    pair = open_dataset("sample", None).pairs[0]
    hr, ref = pair.hr.load(), pair.refs[0].load()
    return [
        (degrade(hr[: SCALE * rows, : SCALE * columns])[0], [ref[: SCALE * (rows + 8), : SCALE * (columns - 4)]])
        for rows, columns in SIZES
    ]


def _facts(card: MethodCard, about: Weights, licence: str) -> dict[str, str]:
    """Return what the file says about its weights."""
    published = "; ".join(f"{file.file} ({file.home}, {file.facts})" for file in card.files)
    return {
        "weights": about.name,
        "weights_kind": about.kind,
        "weights_sha256": about.sha256 or "",
        "license": licence or about.license or "not stated: that of the weights holds",
        "published_weights": published,
        "source": f"refsr-bench {__version__}",
    }
