"""Networks as ONNX files, which run without this package and take images of any size.

A file is written only after onnxruntime computed the same SR image from it as the method itself, on images of other
sizes than the one that the network was traced with.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from refsr_bench.core import catalogue, extras
from refsr_bench.core.cards import MethodCard
from refsr_bench.core.errors import BenchError, Misuse
from refsr_bench.core.files import make_folder, write_bytes
from refsr_bench.core.types import Image
from refsr_bench.learning.method import tensors
from refsr_bench.learning.system import SCALE, Graph, Port

if TYPE_CHECKING:
    from onnx import ModelProto

FORMAT = "refsr-bench onnx 1"
OPSET = 18  # GridSample came with 16; onnxruntime has no DeformConv (19) on CPUs, so it is made of GridSample
BOUND = 0.05  # grey levels of 255 between the two SR images; rounded to 8 bits, one value in ten may then differ by one
MOST_BYTES = 1_900_000_000  # protobuf's limit is 2 GiB
RANGE = "inputs: float32, RGB in [0, 1]; sr: float32, RGB, not clamped: clip to [0, 1], multiply by 255 and round"
_SIDE = re.compile(r"(?:(?P<factor>\d+)\*)?(?P<name>\w+?)(?:-(?P<less>\d+))?")

Example = tuple[Image, Sequence[Image]]
"""An LR image and its references, uint8 H x W x 3 RGB."""


@dataclass(frozen=True)
class Exported:
    """A file that was written and checked.

    inputs: as the file takes them. differences: by LR width and height, the largest difference from the method's own SR
    image, in grey levels before rounding.
    """

    inputs: tuple[Port, ...]
    differences: Mapping[tuple[int, int], float]


def can_export(card: MethodCard) -> bool:
    """Tell whether the method has a graph."""
    return card.system is not None and (card.system.graph is not None or card.references == "none")


def check(card: MethodCard) -> None:
    """Check that the method has a graph and the packages are installed, before any work begins. Raises Misuse."""
    if not can_export(card):
        able = ", ".join(name for name, each in catalogue.collect("METHODS").items() if can_export(each))
        why = "is no network" if card.system is None else "works on references, in steps that nobody wrote as a graph"
        raise Misuse(f"{card.name} cannot become an ONNX file, because it {why}. These methods can: {able}.")
    extras.require("onnx")


def graph_of(card: MethodCard, net: nn.Module) -> Graph:
    """Return the graph of a network of a method that ``check`` lets pass."""
    if card.system.graph is not None:
        return card.system.graph(net)
    return Graph(_Alone(card.system.restore, net), _SISR, lambda lr, lr_up, refs: (lr, lr_up))


_SISR = (
    Port("lr", (1, 3, "height", "width"), "LR image, RGB in [0, 1]"),
    Port("lr_up", (1, 3, "4*height", "4*width"), "LR image enlarged x4 by Pillow's bicubic in 8 bits, RGB in [0, 1]"),
)


class _Alone(nn.Module):
    """A network that takes no references."""

    def __init__(self, restore: Callable[..., Tensor], net: nn.Module) -> None:
        super().__init__()
        self.restore, self.net = restore, net

    def forward(self, lr: Tensor, lr_up: Tensor) -> Tensor:
        return self.restore(self.net, lr, lr_up, ())


def values(card: MethodCard, net: nn.Module, lr: Image, refs: Sequence[Image] = ()) -> dict[str, np.ndarray]:
    """Return the inputs of a network's ONNX file for one image, float32 arrays by name.

    lr, refs: uint8 H x W x 3 RGB. Of several references the first is taken. The matches of C2-Matching are found here.
    """
    graph = graph_of(card, net)
    _, given = _prepared(graph, lr, refs)
    return {port.name: value.numpy() for port, value in zip(graph.inputs, given, strict=True)}


def export(
    card: MethodCard, net: nn.Module, out: Path, examples: Sequence[Example], about: Mapping[str, str]
) -> Exported:
    """Write a network, on the CPU and in evaluation mode, as an ONNX file.

    examples: the first is traced, all are checked. about: more facts for the file's metadata. Raises Misuse like
    ``check``; BenchError when PyTorch cannot make the graph, when onnxruntime's image differs by more than BOUND, and
    when the disk refuses.
    """
    check(card)
    graph = graph_of(card, net)
    prepared = [_prepared(graph, *example) for example in examples]
    try:
        model = _traced(graph, prepared[0][1])
    except torch.onnx.OnnxExporterError as error:
        cause = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise BenchError(
            f"{out}: not written. PyTorch cannot express {card.name} as one graph for images of any size ({cause})."
        ) from None
    inputs = _clean(model, graph.inputs)
    facts = {"format": FORMAT, "method": card.name, "title": card.title, "paper": card.paper, "scale": str(SCALE)}
    facts |= {"value_range": RANGE} | {port.name: port.meaning for port in inputs}
    for key, value in (facts | dict(about)).items():
        model.metadata_props.add(key=key, value=value)
    if (size := model.ByteSize()) > MOST_BYTES:
        raise BenchError(f"{out}: {size / 1e9:.1f} GB are too much for one ONNX file; its limit is 2 GB.")
    data = model.SerializeToString(deterministic=True)
    differences = dict(_differences(data, card, net, graph, prepared))
    worst = max(differences.values())
    if not worst <= BOUND:
        raise BenchError(
            f"{out}: not written. onnxruntime's SR image differs from the method's by {worst:.3g} grey levels; "
            f"{BOUND} are allowed."
        )
    make_folder(out.parent)
    write_bytes(out, data)
    return Exported(inputs, differences)


def _prepared(graph: Graph, lr: Image, refs: Sequence[Image]) -> tuple[tuple[Any, ...], tuple[Tensor, ...]]:
    """Return the arguments of ``System.restore`` and those of the graph."""
    first, enlarged, others = tensors("cpu", lr, refs)
    return (first, enlarged, others), graph.prepare(first, enlarged, others)


def _traced(graph: Graph, example: tuple[Tensor, ...]) -> ModelProto:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    dims = _Dims()
    shapes = tuple(
        {axis: dims(side) for axis, side in enumerate(port.shape) if isinstance(side, str)} for port in graph.inputs
    )
    # The other ways of computing attention leave tensors in an order that a graph of any size cannot express.
    with _quiet(), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        program = torch.onnx.export(
            graph.module.eval(),
            example,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=[port.name for port in graph.inputs],
            output_names=["sr"],
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )
    return program.model_proto


class _Dims:
    """Sides of tensors as torch.export names them: ``4*height`` is four times the same ``height`` everywhere."""

    def __init__(self) -> None:
        self.named: dict[str, Any] = {}

    def __call__(self, side: str) -> Any:
        found = _SIDE.fullmatch(side)
        dim = self.named.setdefault(found["name"], torch.export.Dim(found["name"], min=3))
        dim = int(found["factor"]) * dim if found["factor"] else dim
        return dim - int(found["less"]) if found["less"] else dim


def _clean(model: ModelProto, ports: Sequence[Port]) -> tuple[Port, ...]:
    """Remove the inputs that nothing reads and name the sides of the output; return the ports that remain."""
    read = {name for node in model.graph.node for name in node.input}
    for unread in [each for each in model.graph.input if each.name not in read]:
        model.graph.input.remove(unread)
    left = {each.name for each in model.graph.input}
    sides = model.graph.output[0].type.tensor_type.shape.dim
    for side, known in zip(sides, (1, 3, "4*height", "4*width"), strict=True):
        side.Clear()
        if isinstance(known, int):
            side.dim_value = known
        else:
            side.dim_param = known
    return tuple(port for port in ports if port.name in left)


def _differences(
    data: bytes, card: MethodCard, net: nn.Module, graph: Graph, prepared: Sequence[tuple[Any, Any]]
) -> Iterator[tuple[tuple[int, int], float]]:
    """Compare onnxruntime's image with the method's own, for every example."""
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    taken = [each.name for each in session.get_inputs()]
    for images, given in prepared:
        values = {port.name: value.numpy() for port, value in zip(graph.inputs, given, strict=True)}
        (made,) = session.run(None, {name: values[name] for name in taken})
        with torch.no_grad():
            own = card.system.restore(net, *images)
        height, width = images[0].shape[-2:]
        yield (width, height), float((torch.from_numpy(made) - own).abs().max()) * 255


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says to its developers from the person's terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
